"""memcached's command line, wherever a distribution keeps it: each option a node, `("-m", "64")`.

Debian: /etc/memcached.conf, an option a line. Red Hat and SUSE: /etc/sysconfig/memcached, variables of a shell.
kolla-ansible: memcached.json, with the `command` of its container. (memcached(1); memcached.c, its getopt_long.)
"""

from __future__ import annotations

import getopt
from collections.abc import Callable, Iterator, Sequence

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place
from quorate.audit.readers import json, shell

_SHORT = "a:AZp:s:U:m:MB:c:khiVrvdl:u:P:f:n:t:D:LR:CI:SFXWY:e:o:N:qb:"
_LONG = {
    "unix-mask": "-a", "enable-shutdown": "-A", "enable-ssl": "-Z", "port": "-p", "unix-socket": "-s",
    "udp-port": "-U", "memory-limit": "-m", "disable-evictions": "-M", "conn-limit": "-c", "lock-memory": "-k",
    "help": "-h", "license": "-i", "version": "-V", "enable-coredumps": "-r", "verbose": "-v", "daemon": "-d",
    "listen": "-l", "user": "-u", "pidfile": "-P", "slab-growth-factor": "-f", "slab-min-size": "-n", "threads": "-t",
    "enable-largepages": "-L", "max-reqs-per-event": "-R", "disable-cas": "-C", "listen-backlog": "-b",
    "protocol": "-B", "max-item-size": "-I", "enable-sasl": "-S", "disable-flush-all": "-F", "disable-dumping": "-X",
    "disable-watch": "-W", "auth-file": "-Y", "memory-file": "-e", "extended": "-o", "napi-ids": "-N",
}  # fmt: skip
_VARIABLES = {"PORT": "-p", "USER": "-u", "MAXCONN": "-c", "CACHESIZE": "-m"}


def options(words: Sequence[str], place: Place) -> Iterator[Node]:
    """Read the options of a command line as memcached's own getopt does."""
    long = [f"{name}=" if f"{letter[1]}:" in _SHORT else name for name, letter in _LONG.items()]
    try:
        found, _ = getopt.gnu_getopt(list(words), _SHORT, long)
    except getopt.GetoptError as error:
        raise Unreadable(place.line, f"memcached refuses it: {error.msg}") from None
    for name, value in found:
        letter = _LONG.get(name.removeprefix("--"), name)
        yield Node((letter, value) if value else (letter,), place)


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read an option a line; `logfile FILE` is the start script's, not memcached's."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith("-"):
            yield from options(line.partition("#")[0].split(), at(number))


def variables(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read the variables of a distribution's unit."""
    for node in shell.assignments(text, at):
        if node.name in _VARIABLES and node.value:
            yield Node((_VARIABLES[node.name], node.value), node.place)
        elif node.name in ("OPTIONS", "MEMCACHED_PARAMS"):
            yield from options(shell.arguments(node.value, node.place.line), node.place)


def container(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read the command of a container."""
    for node in json.read(text, at):
        if node.name == "command":
            yield from options(shell.arguments(node.value, node.place.line)[1:], node.place)


KINDS = (
    Kind("memcached", ("memcached.conf", "memcached_*.conf"), read, r"^\s*-[a-zA-Z-]"),
    Kind("memcached", ("sysconfig/memcached", "default/memcached"), variables, r"^\s*(MEMCACHED_PARAMS|OPTIONS|PORT)="),
    Kind("memcached", ("memcached.json", "memcached/config.json"), container, r'"command"\s*:\s*"[^"]*memcached\b'),
)
