"""What a service of OpenStack reads, of all its files, by section and option; and what is in values that all share.

Sources: oslo.config (`cfg.py`: how sections and options are found), oslo.messaging (`transport.py`,
TransportURL.parse), SQLAlchemy (database URLs).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import PurePosixPath
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.readers.ini import AGENTS, FIRST, OTHERS, SERVICES

EVERY = (*SERVICES, *OTHERS)
"""Every kind that is a service's own configuration."""
ALL = (*EVERY, AGENTS)
CONTROL = ("keystone", "glance", "heat", "placement", "horizon")
"""Those that only controllers run."""
YES = frozenset(("true", "1", "on", "yes"))
NO = frozenset(("false", "0", "off", "no"))
"""What oslo.config takes for a truth value; capitals do not count."""
LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")


def section_name(name: str) -> str:
    """Write a section's name as oslo.config compares it: DEFAULT as it is, all others in small letters."""
    return name if name == FIRST else name.lower()


def option_name(name: str) -> str:
    """Write an option's name as oslo.config compares it."""
    return name.replace("-", "_")


@dataclass(frozen=True)
class Config:
    """All that one program reads: a service's file, with what its drop-in folder and its plugin's file add."""

    kind: str
    host: str
    sections: tuple[Node, ...]

    def options(self, section: str) -> Iterator[Node]:
        """Everything that is set in a section."""
        return chain.from_iterable(one.inside for one in self.sections if section_name(one.name) == section)

    def option(self, section: str, *names: str) -> Node | None:
        """Return the one that counts: the last that has one of these names."""
        found = [one for one in self.options(section) if option_name(one.name) in names]
        return found[-1] if found else None

    def value(self, section: str, *names: str) -> str:
        """Its value, "" where it is not set."""
        found = self.option(section, *names)
        return found.value if found else ""

    def true(self, section: str, *names: str) -> bool:
        """Whether it is set, and to yes."""
        return self.value(section, *names).lower() in YES

    def has(self, section: str) -> bool:
        """Whether anything is set there."""
        return next(iter(self.options(section)), None) is not None

    def number(self, section: str, *names: str) -> float | None:
        """Its value as a figure; None where it is not set or is none."""
        try:
            return float(self.value(section, *names))
        except ValueError:
            return None


@lru_cache(maxsize=64)
def configs(estate: Estate, *kinds: str) -> tuple[Config, ...]:
    """Every program's configuration: by machine, kind and folder, since containers have a folder each."""
    found: dict[tuple[str, str, str], list[Node]] = {}
    for document in sorted(estate.of(*kinds), key=lambda one: one.text.path):
        key = (document.kind, document.host, _folder(document.text.path, document.kind))
        found.setdefault(key, []).extend(document.root.inside)
    return tuple(Config(kind, host, tuple(sections)) for (kind, host, _), sections in found.items())


def _folder(path: str, kind: str) -> str:
    if kind in {AGENTS, "glance"}:  # programs of one folder that do not read each other's
        return re.sub(r"\.conf\.d/[^/]*$", ".conf", path)
    parts = PurePosixPath(path).parts[:-1]
    if "plugins" in parts:
        parts = parts[: parts.index("plugins")]
    return "/".join(parts[:-1] if parts and parts[-1].endswith(".conf.d") else parts)


def hosts(estate: Estate, *kinds: str) -> frozenset[str]:
    """The machines that have such a file, as far as it is known from which they are."""
    return frozenset(one.host for one in estate.of(*kinds) if one.host)


def several(estate: Estate, *kinds: str) -> bool:
    """Whether it is certain that more than one controller runs it: computes have a nova.conf, too."""
    return len(hosts(estate, *kinds) & hosts(estate, *CONTROL)) > 1


def items(value: str) -> tuple[str, ...]:
    """Split a list: at commas, as oslo.config does."""
    return tuple(one.strip() for one in value.replace("\n", ",").split(",") if one.strip())


@dataclass(frozen=True)
class Peer:
    """A place that a client connects to. `port`: 0 where it is not said; `user` and `password`: None where not said."""

    host: str
    port: int = 0
    user: str | None = None
    password: str | None = None


def peer(text: str) -> Peer | None:
    """Read `[user[:password]@]host[:port]`; None where the port is none."""
    account, _, place = text.rpartition("@")
    user, colon, password = account.partition(":")
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    elif place.count(":") > 1:
        host, port = place, ""
    else:
        host, _, port = place.partition(":")
    try:
        number = int(port or 0)
    except ValueError:
        return None
    return Peer(host, number, unquote(user) if account else None, unquote(password) if colon else None)


@dataclass(frozen=True)
class Url:
    """Where a service finds messages or its database. `path`: the virtual host, or the database."""

    scheme: str
    peers: tuple[Peer, ...]
    path: str
    query: dict[str, str]


def parts(text: str) -> SplitResult | None:
    """Split a URL; None where it is none: one whose brackets are not around an address of IPv6, to begin with."""
    try:
        return urlsplit(text)
    except ValueError:
        return None


def url(text: str) -> Url | None:
    """Read a transport_url or a database's connection; None where it is none, or is put together of other options."""
    split = parts(text)
    if not split or not split.scheme or "$" in split.netloc or "{{" in text:
        return None
    named = [peer(one) for one in split.netloc.split(",") if one]
    peers = tuple(one for one in named if one)
    query = {name: values[-1] for name, values in parse_qs(split.query).items()}
    return Url(split.scheme, peers, split.path.removeprefix("/"), query) if len(peers) == len(named) else None


def databases(config: Config) -> Iterator[tuple[Node, Url]]:
    """Every database that a service connects to, by its former name as well."""
    for section in ("database", "api_database", "placement_database", FIRST):
        found = config.option(section, "connection", "sql_connection") if section != FIRST else None
        found = found or config.option(section, "sql_connection")
        where = url(found.value) if found else None
        if found and where:
            yield found, where


def transport(config: Config) -> tuple[Node, Url] | None:
    """Where a service sends its messages."""
    found = config.option(FIRST, "transport_url")
    where = url(found.value) if found else None
    return (found, where) if found and where else None


def named(options: Iterable[Node], *names: str) -> Iterator[Node]:
    """Those that have one of these names."""
    return (one for one in options if option_name(one.name) in names)
