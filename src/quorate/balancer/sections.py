"""Reading a configuration key by key, so that every mistake in it is found at once and told with its line.

A `Section` is one table of the file. Whoever reads it asks for each key that may stand there, with what is allowed;
what is left over is unknown. A wrong value is noted and the default taken, so that reading goes on.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

type_names = {bool: "a truth value", int: "a number", str: "a text", list: "a list", dict: "a table"}

Path = tuple[str | int, ...]
"""Where a value stands: names of tables and keys, positions in lists."""


class Address(NamedTuple):
    """Where something listens, as sockets take it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Place(NamedTuple):
    """The line of a key, and what the file calls it."""

    line: int
    label: str


class Mistake(NamedTuple):
    """One thing that is wrong with the file, or worth to be told."""

    line: int
    key: str
    what: str

    def told(self, file: str) -> str:
        """Tell it in one line, as compilers do."""
        text = f"{self.key}: {self.what}" if self.key else self.what
        return f"{file}:{self.line}: " + "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


@dataclass
class Source:
    """What was read of a file: its values, where they stand, and what was found out about it so far."""

    data: Mapping[str, Any]
    places: Mapping[Path, Place]
    mistakes: list[Mistake] = field(default_factory=list)
    notes: list[Mistake] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Find the line of the value, or of the closest thing around it whose line is known."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path].line if path else 1

    def label(self, path: Path) -> str:
        """Name the value as the file does: `servers[1].weight`."""
        if path in self.places and self.places[path].label:
            return self.places[path].label
        text = ""
        for part in path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text

    def wrong(self, path: Path, what: str) -> None:
        """Note a mistake."""
        self.mistakes.append(Mistake(self.line(path), self.label(path), what))


class Section:
    """One table of the file, read key by key."""

    def __init__(self, source: Source, path: Path, data: Mapping[str, Any]) -> None:
        self.source = source
        self.path = path
        self.data = data
        self.asked: dict[str, None] = {}

    def has(self, key: str) -> bool:
        """Say whether the file gives the key."""
        return key in self.data

    def wrong(self, key: str, what: str) -> None:
        """Note a mistake about one key of this table."""
        self.source.wrong((*self.path, key), what)

    def note(self, key: str, what: str) -> None:
        """Note that one key of this table is understood, but means something else here."""
        path = (*self.path, key)
        self.source.notes.append(Mistake(self.source.line(path), self.source.label(path), what))

    def value(self, key: str, kind: type, allowed: str) -> Any:
        """Give the value if it is there and of this kind, else None."""
        self.asked[key] = None
        value = self.data.get(key)
        if value is None or (isinstance(value, kind) and isinstance(value, bool) == (kind is bool)):
            return value
        self.wrong(key, f"{shown(value)} is not {type_names[kind]}, allowed: {allowed}")
        return None

    def whole(self, key: str, default: int, low: int, high: int, unit: str = "") -> int:
        """Read a whole number within bounds."""
        allowed = f"{low} to {high}" + (f" {unit}" if unit else "")
        value = self.value(key, int, allowed)
        if value is None:
            return default
        if not low <= value <= high:
            self.wrong(key, f"{value} is out of bounds, allowed: {allowed}")
            return default
        return int(value)

    def flag(self, key: str, default: bool) -> bool:
        """Read true or false."""
        value = self.value(key, bool, "true or false")
        return default if value is None else bool(value)

    def text(self, key: str, default: str, pattern: str, allowed: str, *, required: bool = False) -> str:
        """Read a text that matches the pattern as a whole."""
        value = self.value(key, str, allowed)
        if value is None:
            if required and key not in self.data:
                self.wrong(key, f"missing, allowed: {allowed}")
            return default
        if not re.fullmatch(pattern, value):
            self.wrong(key, f"{shown(value)} cannot stand here, allowed: {allowed}")
            return default
        return str(value)

    def choice(self, key: str, default: str, words: Sequence[str]) -> str:
        """Read one of some words."""
        value = self.value(key, str, ", ".join(words))
        if value is None:
            return default
        if value not in words:
            self.wrong(key, f"{shown(value)} is unknown{near(value, words)}, allowed: {', '.join(words)}")
            return default
        return str(value)

    def address(self, key: str, default: Address, *, required: bool = False) -> Address:
        """Read `host:port`; an IPv6 address stands in brackets."""
        allowed = "HOST:PORT, 192.0.2.1:11211 or [2001:db8::1]:11211"
        value = self.value(key, str, allowed)
        if value is None:
            if required and key not in self.data:
                self.wrong(key, f"missing, allowed: {allowed}")
            return default
        found = address(value)
        if isinstance(found, Address):
            return found
        self.wrong(key, f"{shown(value)}: {found}, allowed: {allowed}")
        return default

    def table(self, key: str) -> Section:
        """Read a table; one that is missing is empty."""
        value = self.value(key, dict, "a table")
        return Section(self.source, (*self.path, key), value or {})

    def tables(self, key: str) -> list[Section]:
        """Read a list of tables."""
        found = []
        for position, value in enumerate(self.value(key, list, "a list of tables") or []):
            path = (*self.path, key, position)
            if isinstance(value, dict):
                found.append(Section(self.source, path, value))
            else:
                self.source.wrong(path, f"{shown(value)} is not a table, allowed: a table")
        return found

    def texts(self, key: str, pattern: str, allowed: str) -> tuple[str, ...]:
        """Read a list of different texts that each match the pattern as a whole."""
        found: dict[str, None] = {}
        for position, value in enumerate(self.value(key, list, f"a list, each {allowed}") or []):
            path = (*self.path, key, position)
            if not isinstance(value, str) or not re.fullmatch(pattern, value):
                self.source.wrong(path, f"{shown(value)} cannot stand here, allowed: {allowed}")
            elif value in found:
                self.source.wrong(path, f"{shown(value)} stands here twice, allowed: each once")
            else:
                found[value] = None
        return tuple(found)

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        for key in self.data:
            if key not in self.asked:
                self.wrong(key, f"unknown key{near(key, self.asked)}, allowed: {', '.join(self.asked)}")


def shown(value: Any) -> str:
    """Show a value of the file, not endlessly."""
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def near(word: str, words: Sequence[str] | Mapping[str, Any]) -> str:
    """Hint at the word that was probably meant."""
    found = difflib.get_close_matches(word, list(words), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


def address(text: str) -> Address | str:
    """Read `host:port`, or say what is wrong with it."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit():
        return "no port"
    if not 1 <= int(port[:6]) <= 65535:
        return "the port is not one of 1 to 65535"
    if host.startswith("[") and host.endswith("]"):
        try:
            return Address(str(ipaddress.IPv6Address(host[1:-1])), int(port))
        except ValueError:
            return "no IPv6 address stands in the brackets"
    if ":" in host:
        return "an IPv6 address stands in brackets"
    if re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return "no IPv4 address"
    elif not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?", host) or len(host) > 253:
        return "no host's name"
    return Address(host, int(port))
