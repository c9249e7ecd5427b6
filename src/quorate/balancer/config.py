"""The balancer's configuration: a TOML file, or a `nutcracker.yml` as it is.

`load` reads a file, `parse` a text; both give a `Config` or raise one `ConfigError` that lists everything that is
wrong, each with its line. The dataclasses have the names of the file. Times are in milliseconds, sizes in bytes.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path as File
from typing import TypeVar

from quorate.balancer import files, nutcracker
from quorate.balancer.hashes import HASHES
from quorate.balancer.nutcracker import MEMCACHED_PORT
from quorate.balancer.sections import Address, Mistake, Path, Place, Section, Source, shown

__all__ = ["Address", "Auth", "Config", "ConfigError", "Limits", "Metrics", "RingConfig", "Server", "Timing", "Tls"]

TWEMPROXY_KINDS = ("ketama", "modula", "random")
CLIENT_KINDS = ("libmemcached", "python-memcached", "pymemcache")
KINDS = ("quorate", *TWEMPROXY_KINDS, *CLIENT_KINDS)
LISTEN = Address("127.0.0.1", 22122)
MOST_SERVERS = 64
"""A cas token has six bits for its server."""
MOST_WORKERS = 16
"""Each reads the registers of all workers of all controllers at every probe."""
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
NAME_ALLOWED = "1 to 64 letters, digits, '.', '_' and '-', the first a letter or a digit"
SERVER_NAME = r"[!#-\[\]-~]{1,250}"
SERVER_NAME_ALLOWED = "1 to 250 visible ASCII characters without quotes and backslashes"
FILE_NAME = r"[^\0]+"


class ConfigError(Exception):
    """The configuration cannot be used. `mistakes`: all that is wrong, one `file:line: key: what, allowed` each."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def bounded(default: int, low: int, high: int, unit: str) -> int:
    """Declare a number of the file: its default, its bounds (inclusive) and its unit."""
    value: int = field(default=default, metadata={"low": low, "high": high, "unit": unit})
    return value


@dataclass(frozen=True, slots=True)
class Server:
    """One memcached. Its name is what the ring hashes; `near` servers are read first."""

    name: str
    address: Address
    near: bool = False
    weight: int = 1


@dataclass(frozen=True, slots=True)
class RingConfig:
    """How keys find their servers.

    `hash` and `hash_tag` are for twemproxy's kinds; an empty `hash_tag` is none. `weighted` is for libmemcached: its
    behaviour KETAMA_WEIGHTED, which hashes with MD5, or else KETAMA.
    """

    kind: str = "quorate"
    hash: str = "fnv1a_64"
    hash_tag: str = ""
    weighted: bool = True


@dataclass(frozen=True, slots=True)
class Timing:
    """All in milliseconds, but `rise`, a count."""

    probe: int = bounded(100, 10, 10_000, "ms")  # interval of probes
    suspect: int = bounded(60, 5, 10_000, "ms")  # a change answered later than this: the server is given up
    hedge: int = bounded(
        15, 1, 10_000, "ms"
    )  # a read answered later is asked of another copy, until it is known what is usual
    deadline: int = bounded(300, 10, 60_000, "ms")  # no request takes longer
    lease: int = bounded(500, 20, 60_000, "ms")  # how long a view of the registers is trusted
    settle: int = bounded(1_000, 10, 600_000, "ms")  # good probes after which given-up connections count as drained
    dead: int = bounded(10_000, 100, 3_600_000, "ms")  # a balancer whose register stands still this long
    fill: int = bounded(60_000, 0, 86_400_000, "ms")  # how long an emptied server is filled on demand
    rise: int = bounded(2, 1, 100, "probes")  # good probes before a server is used again


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker holds at most. Sizes in bytes, the others counts."""

    connections: int = bounded(10_000, 1, 1_000_000, "clients")
    value: int = bounded(1_048_576, 1_024, 1_073_741_824, "bytes")  # of one value, memcached's -I
    missed: int = bounded(65_536, 1, 16_777_216, "keys")  # remembered for each server that misses changes
    output: int = bounded(16_777_216, 65_536, 1_073_741_824, "bytes")  # for a slow client before it is not read


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where Prometheus finds /metrics, and anybody /health."""

    listen: Address


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS towards the servers. Files in PEM; an empty name is none given. Without `verify` any certificate is taken."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Auth:
    """memcached's authentication in text (its -Y). The password is the first line of the file."""

    user: str
    password_file: str

    def command(self) -> bytes:
        """Give the first thing that a server must be sent; it answers STORED. OSError: the file cannot be read."""
        lines = File(self.password_file).read_bytes().splitlines() or [b""]
        block = self.user.encode() + b" " + lines[0]
        return b"set quorate:auth 0 0 %d\r\n%b\r\n" % (len(block), block)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the file says, checked. `notes`: what was understood, but has no or another meaning here."""

    name: str
    servers: tuple[Server, ...]
    balancers: tuple[str, ...]
    copies: int
    listen: Address = LISTEN
    workers: int = 1
    ring: RingConfig = RingConfig()
    timing: Timing = Timing()
    limits: Limits = Limits()
    metrics: Metrics | None = None
    tls: Tls | None = None
    auth: Auth | None = None
    notes: tuple[str, ...] = ()


def load(path: str | os.PathLike[str], pool: str | None = None) -> Config:
    """Read the file and look whether the files it names are there. `pool` chooses one of a nutcracker.yml's pools."""
    file = os.fspath(path)
    try:
        text = File(file).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError((f"{file}: cannot be read: {error.strerror}",)) from error
    except UnicodeDecodeError as error:
        raise ConfigError((f"{file}: is not UTF-8 (byte {error.start}), allowed: UTF-8",)) from error
    config = parse(text, file, pool, os.uname().nodename.partition(".")[0])
    if missing := tuple(files.unusable(config)):
        raise ConfigError(tuple(f"{file}: {told}" for told in missing))
    return replace(config, notes=(*config.notes, *(f"{file}: {told}" for told in files.open_secrets(config))))


def parse(text: str, path: str, pool: str | None = None, host: str = "localhost") -> Config:
    """Read the text of a file of this name, and nothing else. `host`: the balancer's name with a nutcracker.yml."""
    yaml = File(path).suffix in {".yml", ".yaml"}
    source = nutcracker.read(text, pool, host) if yaml else _toml(text)
    config = _config(source) if source.data or not source.mistakes else None
    if config is None or source.mistakes:
        ordered = sorted(dict.fromkeys(source.mistakes), key=lambda mistake: mistake.line)
        raise ConfigError(tuple(mistake.told(path) for mistake in ordered))
    return replace(config, notes=tuple(note.told(path) for note in source.notes))


# --- a text → values and their lines ------------------------------------------------------------------------

_HEADER = re.compile(r"\s*(\[{1,2})\s*([^\[\]#]+?)\s*\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_\-.\"' ]+?)\s*=")


def _toml(text: str) -> Source:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        found = re.match(r"line (\d+)", where)
        line = int(found[1]) if found else text.count("\n") + 1
        return Source({}, {}, [Mistake(line, "", f"no TOML: {what or error}, allowed: TOML 1.0")])
    return Source(data, _lines(text))


def _lines(text: str) -> dict[Path, Place]:
    """Find the line of each table and key. tomllib tells none; a scan is right for all that people write here."""
    places: dict[Path, Place] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _dotted(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                places.setdefault(table, Place(number, ""))
                table = (*table, counts[table])
            places.setdefault(table, Place(number, ""))
        elif key := _KEY.match(line):
            places.setdefault((*table, *_dotted(key[1])), Place(number, ""))
    return places


def _dotted(text: str) -> tuple[str, ...]:
    return tuple(part.strip(" \"'") for part in text.split("."))


# --- values → Config ----------------------------------------------------------------------------------------


def _config(source: Source) -> Config:
    top = Section(source, (), source.data)
    name = top.text("name", "", NAME, NAME_ALLOWED, required=True)
    balancers = top.texts("balancers", NAME, NAME_ALLOWED)
    if name and balancers and name not in balancers:
        top.wrong("name", f"{shown(name)} is none of balancers, allowed: {', '.join(balancers)}")
    ring = _ring(top.table("ring"))
    servers = _servers(top, name, ring.kind)
    most = max(len(servers), 1)
    config = Config(
        name=name,
        servers=servers,
        balancers=balancers or (name,),
        copies=top.whole("copies", min(2, most), 1, most, "(as many as there are servers)"),
        listen=top.address("listen", LISTEN),
        workers=top.whole("workers", 1, 1, MOST_WORKERS, "workers"),
        ring=ring,
        timing=_timing(top.table("timing")),
        limits=_numbers(top.table("limits"), Limits),
        metrics=_metrics(top),
        tls=_tls(top),
        auth=_auth(top),
    )
    _loops(top, config)
    top.finish()
    return config


def _loops(top: Section, config: Config) -> None:
    """Nothing listens where something else does."""
    for position, server in enumerate(config.servers):
        if server.address == config.listen:
            path = ("servers", position, "address")
            top.source.wrong(path, f"{shown(str(server.address))} is where the balancer listens, allowed: a memcached")
    if config.metrics is not None and config.metrics.listen == config.listen:
        top.source.wrong(
            ("metrics", "listen"), f"{shown(str(config.listen))} is where clients connect, allowed: another address"
        )


def _servers(top: Section, own: str, kind: str) -> tuple[Server, ...]:
    servers: list[Server] = []
    names: set[str] = set()
    addresses: set[Address] = set()
    sections = top.tables("servers")
    for section in sections:
        where = section.address("address", Address("", 0), required=True)
        name = section.text("name", default_name(where, kind), SERVER_NAME, SERVER_NAME_ALLOWED)
        near = section.flag("near", name == own)
        servers.append(Server(name, where, near, section.whole("weight", 1, 1, 1_000_000)))
        if name in names:
            section.wrong("name", f"{shown(name)} is the name of two servers, allowed: each once")
        if where.host and where in addresses:
            section.wrong("address", f"{shown(str(where))} is the address of two servers, allowed: each once")
        names.add(name)
        addresses.add(where)
        section.finish()
    listed = top.data.get("servers")
    if listed is None:
        top.wrong("servers", f"missing, allowed: 1 to {MOST_SERVERS} tables [[servers]]")
    elif isinstance(listed, list) and not 1 <= len(listed) <= MOST_SERVERS:
        top.wrong("servers", f"{len(listed)} servers, allowed: 1 to {MOST_SERVERS}")
    return tuple(servers)


def default_name(where: Address, kind: str) -> str:
    """Name a server as the real implementation of this kind does if it is told no name.

    twemproxy and libmemcached leave the port out where it is memcached's own.
    """
    short = where.port == MEMCACHED_PORT and kind in {*TWEMPROXY_KINDS, "libmemcached"}
    return where.host if short else f"{where.host}:{where.port}"


def _ring(section: Section) -> RingConfig:
    kind = section.choice("kind", "quorate", KINDS)
    ring = RingConfig(
        kind=kind,
        hash=section.choice("hash", "fnv1a_64", tuple(HASHES)),
        hash_tag=section.text("hash_tag", "", r"[!-~]{2}|", 'two characters, as in "{}"'),
        weighted=section.flag("weighted", default=True),
    )
    for key, kinds in (("hash", TWEMPROXY_KINDS), ("hash_tag", TWEMPROXY_KINDS), ("weighted", ("libmemcached",))):
        if section.has(key) and kind not in kinds:
            section.wrong(key, f"has no meaning for kind {kind}, allowed: with {', '.join(kinds)}")
    if kind == "random":
        told = (
            "keys have their places here, chosen as kind quorate does: what is anywhere can neither be kept nor deleted"
        )
        section.note("kind", f"random: {told}")
    if kind == "ketama" and ring.hash == "crc32":
        section.note("hash", "crc32: 15 bits on a circle of 32 lie with one server nearly always, as in twemproxy")
    section.finish()
    return ring


DEFAULTS: dict[type[Timing | Limits], Timing | Limits] = {Timing: Timing(), Limits: Limits()}
Numbers = TypeVar("Numbers", Timing, Limits)


def _numbers(section: Section, kind: type[Numbers]) -> Numbers:
    """Read a table of nothing but bounded numbers."""
    given: dict[str, int] = {}
    for one in fields(kind):
        default: int = getattr(DEFAULTS[kind], one.name)
        given[one.name] = section.whole(one.name, default, **one.metadata)
    section.finish()
    return kind(**given)


def _timing(section: Section) -> Timing:
    timing = _numbers(section, Timing)
    wrong = {mistake.key for mistake in section.source.mistakes}
    for key, other, holds, rule in (
        ("hedge", "suspect", timing.hedge < timing.suspect, "less than"),
        ("suspect", "deadline", timing.suspect < timing.deadline, "less than"),
        ("lease", "probe", timing.lease >= 2 * timing.probe, "at least twice"),
        ("dead", "lease", timing.dead > 2 * timing.lease, "more than twice"),
    ):
        if not holds and wrong.isdisjoint((f"timing.{key}", f"timing.{other}")):
            told = f"{getattr(timing, key)} ms does not fit, allowed: {rule} {other} ({getattr(timing, other)} ms)"
            section.wrong(key if section.has(key) else other, told if section.has(key) else f"{key} of {told}")
    return timing


def _metrics(top: Section) -> Metrics | None:
    section = top.table("metrics")
    if not top.has("metrics"):
        return None
    listen = section.address("listen", Address("", 0), required=True)
    section.finish()
    return Metrics(listen)


def _tls(top: Section) -> Tls | None:
    section = top.table("tls")
    if not top.has("tls"):
        return None
    names = {key: section.text(key, "", FILE_NAME, "a file's name") for key in ("ca", "cert", "key")}
    tls = Tls(**names, verify=section.flag("verify", default=True))
    for key, other in (("cert", "key"), ("key", "cert")):
        if getattr(tls, key) and not getattr(tls, other):
            section.wrong(key, f"stands without {other}, allowed: cert and key together")
    if tls.ca and not tls.verify:
        section.wrong("ca", "is of no use without verify, allowed: with verify = true")
    section.finish()
    return tls


def _auth(top: Section) -> Auth | None:
    section = top.table("auth")
    if not top.has("auth"):
        return None
    user = section.text("user", "", r"[!-9;-~]{1,32}", "1 to 32 visible ASCII characters, no ':'", required=True)
    password_file = section.text("password_file", "", FILE_NAME, "a file's name", required=True)
    section.finish()
    return Auth(user, password_file)
