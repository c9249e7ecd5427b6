"""HAProxy's configuration as HAProxy understands it: what a section has of its own, and what it has from `defaults`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from quorate.audit.estate import Estate
from quorate.audit.node import Node, Place
from quorate.audit.ports import ANYBODY_S

_TIME = re.compile(r"(\d+)(us|ms|s|m|h|d)?$")
_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, None: 1}
_CHECKS = frozenset(
    ("external-check", "httpchk", "ldap-check", "mysql-check", "pgsql-check", "redis-check", "smtpchk", "tcp-check")
) | {"ssl-hello-chk"}


def milliseconds(text: str) -> float | None:
    """Read a time as HAProxy writes it; without a unit it is in milliseconds. None where it is none."""
    match = _TIME.match(text)
    return int(match[1]) * _UNITS[match[2]] if match else None


@dataclass(frozen=True)
class Address:
    """A host and a port; "" and None where they are not said, or known only where HAProxy runs."""

    host: str
    port: int | None

    @property
    def anywhere(self) -> bool:
        """Whether it stands for every address of the machine."""
        return self.host in ("", "*", "0.0.0.0", "::")  # noqa: S104 - recognised, not bound

    @property
    def local(self) -> bool:
        """Whether only its own machine reaches it."""
        return self.host == "localhost" or (is_address(self.host) and ipaddress.ip_address(self.host).is_loopback)


def is_address(text: str) -> bool:
    """Whether it is an address of IPv4 or IPv6."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def address(text: str) -> Address | None:
    """Read `HOST:PORT`; None for sockets of files and what is only known at run time."""
    text = re.sub(r"^(ipv4|ipv6|tcp|tcp4|tcp6)@", "", text)
    if text.startswith(("/", "unix@", "abns@", "abnsz@", "fd@", "sockpair@", "udp", "quic")) or "$" in text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch(r"[-+]?\d*(-\d+)?", port):
        host, port = text, ""
    return Address(host.strip("[]"), int(port) if port.isdecimal() else None)


@dataclass(frozen=True)
class Server:
    """A server: its own line, and the words that hold for it, those of `default-server` first."""

    node: Node
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.node.words[1]

    @property
    def address(self) -> Address:
        """Where it is."""
        return address(self.node.words[2]) or Address("", None)

    def has(self, word: str) -> bool:
        """Whether a word is said of it, and not taken back."""
        said = [one for one in self.words if one in (word, f"no-{word}")]
        return bool(said) and said[-1] == word

    def value(self, word: str) -> str:
        """What follows the last such word; "" where there is none."""
        places = [place for place, one in enumerate(self.words[:-1]) if one == word]
        return self.words[places[-1] + 1] if places else ""


@dataclass(frozen=True)
class Section:
    """A `listen`, `frontend` or `backend` with the defaults that hold for it (None where there are none)."""

    node: Node
    host: str
    defaults: Node | None

    @property
    def name(self) -> str:
        """What it is called."""
        return self.node.words[1] if len(self.node.words) > 1 else ""

    def said(self, *words: str) -> Node | None:
        """The statement that begins with these words and holds: the section's last one, or else that of defaults.

        An option that is taken back (`no option …`) is none.
        """
        for where in (self.node, self.defaults):
            for node in reversed(where.inside if where else ()):
                if node.words[: len(words)] == words:
                    return node
                if node.words[: len(words) + 1] == ("no", *words):
                    return None
        return None

    @property
    def check(self) -> Node | None:
        """The option that says how servers are asked whether they are well; None where they are only connected to."""
        for where in (self.node, self.defaults):
            for node in reversed(where.inside if where else ()):
                if node.name == "option" and len(node.words) > 1 and node.words[1] in _CHECKS:
                    return node
        return None

    def time(self, what: str) -> float | None:
        """A timeout in milliseconds; None where it is not set."""
        node = self.said("timeout", what)
        return milliseconds(node.words[2]) if node and len(node.words) > 2 else None

    @cached_property
    def binds(self) -> tuple[tuple[Address, Node], ...]:
        """Where it listens, each with its line."""
        nodes = [(words, node) for node in self.node.all("bind") for words in node.words[1:2]]
        if self.node.name == "listen" and len(self.node.words) > 2 and not _from(self.node):
            nodes.append((self.node.words[2], self.node))
        parts = [(part, node) for words, node in nodes for part in words.split(",")]
        return tuple((found, node) for part, node in parts if (found := address(part)))

    @cached_property
    def servers(self) -> tuple[Server, ...]:
        """Its servers that are in use."""
        common = [
            word for node in (self.defaults.all("default-server") if self.defaults else ()) for word in _rest(node)
        ]
        found = []
        for node in self.node.inside:
            if node.name == "default-server":
                common += _rest(node)
            elif node.name == "server" and len(node.words) > 2:
                found.append(Server(node, (*common, *node.words[3:])))
        return tuple(server for server in found if not server.has("disabled"))

    @cached_property
    def targets(self) -> dict[str, Node]:
        """The backends that it leads to, by name, with the line; names that depend on a request are left out."""
        found = {}
        for node in self.node.all("default_backend", "use_backend"):
            if len(node.words) > 1 and "%" not in node.words[1]:
                found[node.words[1]] = node
        if self.node.name != "backend" and not self.node.all("default_backend"):
            common = self.said("default_backend")
            found |= {common.words[1]: common} if common and len(common.words) > 1 else {}
        return found

    @property
    def active(self) -> tuple[Server, ...]:
        """Servers that get connections while all are well."""
        return tuple(server for server in self.servers if not server.has("backup")) or self.servers[:1]


def _rest(node: Node) -> tuple[str, ...]:
    return node.words[1:]


@lru_cache(maxsize=1)
def sections(estate: Estate) -> tuple[Section, ...]:
    """Every section of every machine, in the order in which HAProxy reads them."""
    return tuple(_sections(estate))


def _sections(estate: Estate) -> Iterator[Section]:
    for host, root in estate.merged("haproxy").items():
        named: dict[str, Node] = {}
        defaults: Node | None = None
        for node in root.inside:
            above = named.get(_from(node))
            if node.name == "defaults":
                defaults = Node(node.words, node.place, ((*above.inside, *node.inside) if above else node.inside))
                named |= {node.words[1]: defaults} if len(node.words) > 1 else {}
            elif node.name in ("listen", "frontend", "backend"):
                yield Section(node, host, above or defaults)


def _from(node: Node) -> str:
    """The name of the defaults that a section asks for."""
    return node.words[3] if node.words[2:3] == ("from",) and len(node.words) > 3 else ""


@dataclass(frozen=True)
class Way:
    """How clients come to servers: the section that has these, and those by which one gets in, itself if it listens."""

    section: Section
    doors: tuple[Section, ...]

    @property
    def entrances(self) -> tuple[tuple[Address, Node], ...]:
        """Where one gets in, each with its line."""
        return tuple(bind for door in self.doors for bind in door.binds)

    @cached_property
    def ports(self) -> frozenset[int]:
        """At which ports clients come."""
        return frozenset(found.port for found, _ in self.entrances if found.port)

    @property
    def place(self) -> Place:
        """Where the section begins."""
        return self.section.node.place

    def serves(self, port: int) -> bool:
        """Whether it is for the service of that port: the servers are there, or else clients come there.

        Of a port that anybody may use, both.
        """
        return port in (self._theirs or self.ports) and (port not in ANYBODY_S or port in self.ports)

    @cached_property
    def _theirs(self) -> set[int | None]:
        return {server.address.port for server in self.section.servers} - {None}


@lru_cache(maxsize=1)
def ways(estate: Estate) -> tuple[Way, ...]:
    """Every section that has servers, with all that lead to it."""
    leading: dict[int, list[Section]] = {}
    for section in sections(estate):
        for led in led_to(estate, section):
            leading.setdefault(id(led), []).append(section)
    return tuple(
        Way(section, tuple(one for one in (section, *leading.get(id(section), ())) if one.binds))
        for section in sections(estate)
        if section.servers
    )


def led_to(estate: Estate, section: Section) -> list[Section]:
    """The sections to whose servers it leads, as far as they are there."""
    named = _named(estate)
    return [named[section.host, name] for name in section.targets if (section.host, name) in named]


@lru_cache(maxsize=1)
def _named(estate: Estate) -> Mapping[tuple[str, str], Section]:
    """What a name of a backend means on a machine: the first of that name, since HAProxy takes no second one."""
    several = [one for one in sections(estate) if one.node.name != "frontend"]
    return {(one.host, one.name): one for one in reversed(several)}
