"""Sections in brackets with `name = value`: what oslo.config reads, and Paste Deploy's files beside it.

As oslo.config does it, its traps included: an indented line continues the value above, whatever it looks like, a
comment too; an empty line or a comment ends a value; nothing may follow the bracket of a section.
(oslo.config, `oslo_config/iniparser.py` and `cfg.ConfigParser`.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place

FIRST = "DEFAULT"


def oslo(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read an oslo.config file.

    What stands before the first section is in a section of its own, `DEFAULT` at line 0: oslo.config itself refuses the
    whole file. A value of several lines has them inside as well, each with its place.
    """
    yield from _read(text, at, indented_comments=False)


def paste(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read a Paste Deploy file: of configparser's grammar, in which a comment may be indented."""
    yield from _read(text, at, indented_comments=True)


def _read(text: str, at: Callable[[int], Place], *, indented_comments: bool) -> Iterator[Node]:
    head, inside, open_ = Node((FIRST,), at(0)), list[Node](), False
    more: list[Node] = []  # lines that continue the last value
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        bare = line.strip()
        comment = bare.startswith(("#", ";")) and (indented_comments or not line[0].isspace())
        if not bare or comment:
            open_ = open_ and comment and indented_comments
        elif line[0] in " \t":
            if not open_:
                raise Unreadable(number, f"{shown(bare)!r} is indented, and there is no value above that it continues")
            more.append(Node(("", bare), at(number)))
        elif bare.startswith("["):
            if head.place.line or inside:
                yield replace(head, inside=_continued(inside, more))
            head, inside, open_ = Node((_section(bare, number),), at(number)), [], False
        else:
            _continued(inside, more)
            inside.append(_option(bare, number, at))
            open_ = True
    if head.place.line or inside:
        yield replace(head, inside=_continued(inside, more))


def _continued(inside: list[Node], more: list[Node]) -> tuple[Node, ...]:
    """Add the lines that continue the last value to it."""
    if more:
        option = inside.pop()
        value = "\n".join(filter(None, (option.value, *(one.value for one in more))))
        inside.append(Node((option.name, value), option.place, tuple(more)))
        more.clear()
    return tuple(inside)


def _section(line: str, number: int) -> str:
    if not line.endswith("]") or len(line) < 3:
        raise Unreadable(number, f"{line!r} is no section: `[name]`, and nothing behind it")
    return line[1:-1]


def _option(line: str, number: int, at: Callable[[int], Place]) -> Node:
    split = min((place for place in (line.find("="), line.find(":")) if place >= 0), default=0)
    if not split:
        raise Unreadable(number, f"{shown(line)!r} is no section and no `name = value`")
    value = line[split + 1 :].strip()
    if value and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return Node((line[:split].strip(), value), at(number))


def shown(line: str) -> str:
    """Say no more of a line than its first word: what follows may be secret."""
    first, _, more = line.partition(" ")
    return f"{first[:40]} …" if more or len(first) > 40 else first


SERVICES = (
    "keystone", "nova", "neutron", "glance", "cinder", "heat", "placement", "ceilometer",
)  # fmt: skip
"""Those whose options are known, by release."""
OTHERS = (
    "aodh", "barbican", "blazar", "cloudkitty", "cyborg", "designate", "gnocchi", "ironic", "magnum", "manila",
    "masakari", "mistral", "octavia", "sahara", "senlin", "tacker", "trove", "vitrage", "watcher", "zaqar", "zun",
)  # fmt: skip
"""Those that read oslo.config as well, for what is common to all."""
AGENTS = "neutron-agent"
"""What Neutron's agents read beside neutron.conf."""
PASTE = "paste"
_MORE = {
    "glance": ("glance-api.conf", "glance-api.conf.d/*.conf", "glance-cache.conf", "glance-registry.conf"),
    "neutron": ("ml2_conf.ini", "neutron/plugin.ini"),
    "nova": ("nova-*.conf",),
}


def _paths(name: str) -> tuple[str, ...]:
    return (f"{name}.conf", f"{name}.conf.d/*.conf", f"{name}/*.conf.d/*.conf", *_MORE.get(name, ()))


KINDS = (
    *(Kind(name, _paths(name), oslo, r"^\s*\[|^\w+\s*[=:]") for name in (*SERVICES, *OTHERS)),
    Kind(
        AGENTS,
        (
            "l3_agent.ini",
            "dhcp_agent.ini",
            "metadata_agent.ini",
            "metering_agent.ini",
            "openvswitch_agent.ini",
            "linuxbridge_agent.ini",
            "sriov_agent.ini",
            "macvtap_agent.ini",
            "neutron_ovn_metadata_agent.ini",
            "ovn_agent.ini",
        ),
        oslo,
    ),
    Kind(PASTE, ("api-paste.ini", "*-paste.ini", "api-paste-*.ini"), paste, r"^\[(filter|pipeline|composite|app)"),
)
