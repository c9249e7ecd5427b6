"""twemproxy's `nutcracker.yml`, read as it is and put into the words of the balancer's own configuration.

Of YAML it knows what such files are made of: pools with keys, each with one value, and `servers`, a list. Everything
else is a mistake, told with its line, not a guess. What becomes of each directive stands in one table, `DIRECTIVES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from quorate.balancer.sections import Mistake, Path, Place, Source, near, shown

MEMCACHED_PORT = 11211


@dataclass
class Scalar:
    """One value and its line."""

    text: str
    line: int


@dataclass
class Pool:
    """One pool: its directives, `servers` as a list of values."""

    line: int
    values: dict[str, Scalar] = field(default_factory=dict)
    lists: dict[str, list[Scalar]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)


def read(text: str, pool: str | None, host: str) -> Source:
    """Read the file. `pool`: which one, if it has several; `host`: the balancer's name, of which twemproxy has none."""
    mistakes: list[Mistake] = []
    pools = Reader(text, mistakes).read()
    source = Source({}, {}, mistakes)
    chosen = pool if pool is not None else next(iter(pools), "")
    if not pools:
        mistakes.append(Mistake(1, "", "no pool, allowed: a pool with listen and servers"))
    elif pool is None and len(pools) > 1:
        mistakes.append(Mistake(1, "", f"{len(pools)} pools, allowed: one, chosen with --pool: {', '.join(pools)}"))
    elif chosen not in pools:
        mistakes.append(Mistake(1, chosen, f"no such pool{near(chosen, pools)}, allowed: {', '.join(pools)}"))
    elif not mistakes:
        Translation(chosen, pools[chosen], source, host).run()
    return source


# --- text → pools ------------------------------------------------------------------------------------------

_KEY = re.compile(r"([A-Za-z0-9_.-]+)\s*:(?:\s+(.*))?")
_QUOTED = re.compile(r"""(?:"([^"\\]*)"|'((?:[^']|'')*)')\s*(?:(?<=\s)#.*)?""")


class Reader:
    """The lines of the file → pools."""

    def __init__(self, text: str, mistakes: list[Mistake]) -> None:
        self.text = text
        self.mistakes = mistakes
        self.pools: dict[str, Pool] = {}
        self.pool: Pool | None = None
        self.indent = 0  # of the directives of this pool, 0: not known yet
        self.listed: list[Scalar] | None = None  # the list that is being read

    def read(self) -> dict[str, Pool]:
        """Read all lines; what cannot be understood is a mistake and passed over."""
        for number, line in enumerate(self.text.splitlines(), 1):
            content = line.strip(" ")
            if not content or content.startswith("#") or (number == 1 and content == "---"):
                continue
            if "\t" in line:
                self._wrong(number, "a tab, allowed: spaces")
                continue
            indent = len(line) - len(line.lstrip(" "))
            if content.startswith("- ") or content == "-":
                self._item(number, indent, content[1:].strip())
            elif (found := _KEY.fullmatch(content)) is None:
                self._wrong(number, f"{shown(content)} is no directive, allowed: key: value")
            elif indent == 0:
                self._begin(number, found[1], found[2])
            else:
                self._directive(number, indent, found[1], found[2])
        return self.pools

    def _wrong(self, line: int, what: str, key: str = "") -> None:
        self.mistakes.append(Mistake(line, key, what))

    def _begin(self, line: int, name: str, value: str | None) -> None:
        if value and not value.startswith("#"):
            self._wrong(line, f"{shown(value)} stands beside a pool's name, allowed: nothing", name)
        if name in self.pools:
            self._wrong(line, "a second pool of this name, allowed: each once", name)
        self.pool = self.pools.setdefault(name, Pool(line))
        self.indent = 0
        self.listed = None

    def _directive(self, line: int, indent: int, key: str, value: str | None) -> None:
        self.listed = None
        if self.pool is None:
            self._wrong(line, "stands in no pool, allowed: below a pool's name", key)
            return
        self.indent = self.indent or indent
        if indent != self.indent:
            self._wrong(line, f"{indent} spaces before it, allowed: {self.indent}, as before the others", key)
        if key in self.pool.lines:
            self._wrong(line, f"stands here twice (line {self.pool.lines[key]}), allowed: once", key)
        self.pool.lines[key] = line
        if value is None or value.startswith("#"):
            self.listed = self.pool.lists.setdefault(key, [])
        elif (scalar := self._scalar(line, value)) is not None:
            self.pool.values[key] = scalar

    def _item(self, line: int, indent: int, value: str) -> None:
        if self.listed is None or indent < self.indent:
            self._wrong(line, "an item that stands in no list, allowed: below servers:")
        elif (scalar := self._scalar(line, value)) is not None:
            self.listed.append(scalar)

    def _scalar(self, line: int, value: str) -> Scalar | None:
        """Read a value: plain, or in quotes."""
        if found := _QUOTED.fullmatch(value):
            return Scalar(found[1] if found[1] is not None else found[2].replace("''", "'"), line)
        plain = re.split(r"(?:^|\s+)#", value, maxsplit=1)[0]
        if plain and plain[0] not in "\"'&*!|>%@`[]{},?" and ": " not in plain and not plain.endswith(":"):
            return Scalar(plain, line)
        self._wrong(line, f"{shown(value)} is more than one value, allowed: one value, plain or in quotes")
        return None


# --- pool → configuration ----------------------------------------------------------------------------------


class Translation:
    """One pool, put into the words of the balancer's configuration."""

    def __init__(self, name: str, pool: Pool, source: Source, host: str) -> None:
        self.name = name
        self.pool = pool
        self.source = source
        self.data: dict[str, Any] = {"name": host, "copies": 1, "ring": {"kind": "ketama"}, "limits": {}, "servers": []}
        self.places: dict[Path, Place] = {("servers",): Place(pool.lines.get("servers", pool.line), f"{name}.servers")}

    def run(self) -> None:
        """Translate every directive; then say what twemproxy's file cannot say."""
        for key, line in self.pool.lines.items():
            if key == "servers":
                continue
            if key not in DIRECTIVES:
                known = (*DIRECTIVES, "servers")
                self.wrong(line, key, f"unknown directive{near(key, known)}, allowed: {', '.join(known)}")
            elif key in self.pool.lists:
                self.wrong(line, key, "no value, allowed: one value")
            elif key in self.pool.values:
                DIRECTIVES[key](self, key, self.pool.values[key])
        if "listen" not in self.pool.lines:
            self.wrong(self.pool.line, "listen", "missing, allowed: HOST:PORT")
        for position, value in enumerate(self.pool.lists.get("servers", ())):
            self.server(position, value)
        self.source.data = self.data
        self.source.places = self.places
        alone = "is the only balancer of its servers as far as this file can say; name all `balancers` in a TOML file"
        self.note(self.pool.line, "", alone)

    def wrong(self, line: int, key: str, what: str) -> None:
        """Note a mistake about a directive."""
        self.source.mistakes.append(Mistake(line, f"{self.name}.{key}", what))

    def note(self, line: int, key: str, what: str) -> None:
        """Note what a directive means here, if not the same."""
        self.source.notes.append(Mistake(line, f"{self.name}.{key}" if key else self.name, what))

    def place(self, path: Path, value: Scalar, label: str) -> None:
        """Remember where a value of the configuration comes from."""
        self.places[path] = Place(value.line, f"{self.name}.{label}")

    def server(self, position: int, value: Scalar) -> None:
        """Read `host:port:weight`, with or without a name behind it.

        The ring has the name; without one the address, without its port where that is memcached's own, as libmemcached.
        """
        label = f"servers[{position}]"
        if value.text.startswith("/"):
            self.wrong(value.line, label, f"{shown(value.text)} is a Unix socket, allowed: HOST:PORT:WEIGHT [NAME]")
            return
        found = re.fullmatch(r"(\S+):([0-9]{1,9}):([0-9]{1,9})(?: (\S+))?", value.text)
        if found is None:
            self.wrong(value.line, label, f"{shown(value.text)} cannot be read, allowed: HOST:PORT:WEIGHT [NAME]")
            return
        host, port, weight, name = found.groups()
        name = name or (host if int(port) == MEMCACHED_PORT else f"{host}:{port}")
        self.data["servers"].append({"name": name, "address": bracketed(host, port), "weight": int(weight)})
        path = ("servers", len(self.data["servers"]) - 1)
        self.place(path, value, label)
        for key in ("name", "address", "weight"):
            self.place((*path, key), value, label)


def bracketed(host: str, port: str) -> str:
    """Write an address; twemproxy writes IPv6 without brackets."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


Directive = Callable[[Translation, str, Scalar], None]


def _listen(to: Translation, key: str, value: Scalar) -> None:
    if value.text.startswith("/"):
        to.wrong(value.line, key, f"{shown(value.text)} is a Unix socket, allowed: HOST:PORT")
        return
    host, _, port = value.text.rpartition(":")
    to.data["listen"] = bracketed(host, port)
    to.place(("listen",), value, key)


def _ring(word: str) -> Directive:
    def directive(to: Translation, key: str, value: Scalar) -> None:
        to.data["ring"][word] = value.text
        to.place(("ring", word), value, key)

    return directive


def _distribution(to: Translation, key: str, value: Scalar) -> None:
    allowed = ("ketama", "modula", "random")
    if value.text not in allowed:
        hint = near(value.text, allowed)
        to.wrong(value.line, key, f"{shown(value.text)} is unknown{hint}, allowed: {', '.join(allowed)}")
        return
    _ring("kind")(to, key, value)


def _connections(to: Translation, key: str, value: Scalar) -> None:
    if (number := _number(to, key, value)) is None:
        return
    if number:
        to.data["limits"]["connections"] = number
        to.place(("limits", "connections"), value, key)
    else:
        to.note(value.line, key, "0 is no limit to twemproxy; there always is one here, limits.connections")


def _number(to: Translation, key: str, value: Scalar) -> int | None:
    if re.fullmatch(r"[0-9]{1,9}", value.text):
        return int(value.text)
    to.wrong(value.line, key, f"{shown(value.text)} is not a number, allowed: 0 and more")
    return None


def _flag(to: Translation, key: str, value: Scalar) -> bool | None:
    if value.text in {"true", "false"}:
        return value.text == "true"
    to.wrong(value.line, key, f"{shown(value.text)} is not a truth value, allowed: true or false")
    return None


def _without_meaning(check: Callable[[Translation, str, Scalar], object], instead: str) -> Directive:
    def directive(to: Translation, key: str, value: Scalar) -> None:
        if check(to, key, value) is not None:
            to.note(value.line, key, f"{value.text} has no meaning here: {instead}")

    return directive


def _redis(to: Translation, key: str, value: Scalar) -> None:
    if _flag(to, key, value):
        to.wrong(value.line, key, "true, allowed: false; this balancer speaks with memcached only")


def _redis_only(to: Translation, key: str, value: Scalar) -> None:
    to.wrong(value.line, key, "is for redis, allowed: not at all; this balancer speaks with memcached only")


DIRECTIVES: Mapping[str, Directive] = {
    "listen": _listen,
    "hash": _ring("hash"),
    "hash_tag": _ring("hash_tag"),
    "distribution": _distribution,
    "client_connections": _connections,
    "timeout": _without_meaning(_number, "timing.deadline bounds every request, timing.suspect gives a server up"),
    "backlog": _without_meaning(_number, "the kernel's largest is asked for"),
    "preconnect": _without_meaning(_flag, "servers are always connected to and probed"),
    "auto_eject_hosts": _without_meaning(_flag, "a server that is out keeps its keys, other copies answer"),
    "server_connections": _without_meaning(_number, "requests to a server are pipelined"),
    "server_retry_timeout": _without_meaning(_number, "timing.probe and timing.rise say when a server is back"),
    "server_failure_limit": _without_meaning(_number, "one failure is enough, timing.rise probes bring it back"),
    "tcpkeepalive": _without_meaning(_flag, "servers are probed"),
    "reuseport": _without_meaning(_flag, "workers always share the port"),
    "redis": _redis,
    "redis_auth": _redis_only,
    "redis_db": _redis_only,
}
"""What becomes of each directive of twemproxy 0.5 but `servers`."""
