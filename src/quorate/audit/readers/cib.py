"""Pacemaker's configuration, as XML (the CIB) and as crmsh writes it (`crm configure show`), read into one shape.

::

    property NAME VALUE       so rsc_defaults, op_defaults
    node NAME
    primitive ID AGENT        inside: param NAME VALUE, meta NAME VALUE, op NAME (inside: NAME VALUE); so template
    group ID, clone ID,       inside: member ID, meta NAME VALUE
    ms ID, bundle ID, tag ID
    location ID               inside: rsc ID
    colocation ID, order ID,  inside: rsc ID, with its role or action where one is said
    ticket ID
    monitor ID                that a resource is monitored, said apart from it, as crmsh can
    unknown WORD …            a statement of crmsh that is none

(Pacemaker Explained; the schemas in /usr/share/pacemaker; crm(8).)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from xml.parsers import expat

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place
from quorate.audit.readers import crm
from quorate.audit.tree import Tree

_SETS = {"cluster_property_set": "property", "rsc_defaults": "rsc_defaults", "op_defaults": "op_defaults"}
_HOLDERS = {"group": "group", "clone": "clone", "master": "ms", "bundle": "bundle"}
_CHILDREN = ("primitive", "group", "bundle")
_CONSTRAINTS = {
    "rsc_location": "location",
    "rsc_colocation": "colocation",
    "rsc_order": "order",
    "rsc_ticket": "ticket",
}
_REFERENCES = {"rsc": "rsc-role", "with-rsc": "with-rsc-role", "first": "first-action", "then": "then-action"}


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read a CIB; its status is no configuration and is left out."""
    for cib in _elements(text, at):
        for section in cib.all("configuration") or (cib,):
            for node in section.walk():
                if len(node.words) == 1:
                    yield from _translated(node)


def _elements(text: str, at: Callable[[int], Place]) -> tuple[Node, ...]:
    tree = Tree(at)
    parser = expat.ParserCreate("utf-8")
    parser.ordered_attributes = True

    def begin(tag: str, attributes: list[str]) -> None:
        line = parser.CurrentLineNumber
        tree.open((tag,), line)
        for name, value in zip(attributes[::2], attributes[1::2], strict=True):
            tree.statement((name, value), line)

    def refuse(*_: object) -> None:
        # Without one there are no entities, which may grow without bounds or lead to other files.
        raise Unreadable(parser.CurrentLineNumber, "a CIB has no document type")

    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: tree.close(parser.CurrentLineNumber)
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode(errors="replace"), True)
    except expat.ExpatError as error:
        raise Unreadable(error.lineno, f"no XML: {expat.ErrorString(error.code)}") from None
    return tree.nodes()


def _translated(node: Node) -> Iterator[Node]:
    me = node.get("id")
    if node.name in _SETS:
        for pair in _pairs(node):
            yield Node((_SETS[node.name], *pair.words[1:]), pair.place)
    elif node.name == "node" and node.get("uname"):
        yield Node(("node", node.get("uname")), node.place)
    elif node.name in ("primitive", "template"):
        agent = ":".join(part for part in map(node.get, ("class", "provider", "type")) if part)
        yield Node((node.name, me, agent), node.place, (*_settings(node), *_operations(node)))
    elif node.name in _HOLDERS:
        members = tuple(Node(("member", child.get("id")), child.place) for child in node.all(*_CHILDREN))
        yield Node((_HOLDERS[node.name], me), node.place, (*members, *_settings(node)))
    elif node.name == "tag":
        yield Node(("tag", me), node.place, tuple(Node(("member", x.get("id")), x.place) for x in node.all("obj_ref")))
    elif node.name in _CONSTRAINTS:
        yield Node((_CONSTRAINTS[node.name], me), node.place, tuple(_references(node)))


def _pairs(node: Node) -> Iterator[Node]:
    """All name-value pairs below, as `pair NAME VALUE`."""
    for one in node.walk():
        if one.name == "nvpair" and one.get("name"):
            yield Node(("pair", one.get("name"), one.get("value")), one.place)


def _settings(node: Node) -> Iterator[Node]:
    for tag, word in (("instance_attributes", "param"), ("meta_attributes", "meta")):
        for attributes in node.all(tag):
            yield from (Node((word, *pair.words[1:]), pair.place) for pair in _pairs(attributes))


def _operations(node: Node) -> Iterator[Node]:
    for operations in node.all("operations"):
        for one in operations.all("op"):
            said = tuple(child for child in one.inside if len(child.words) > 1)
            yield Node(("op", one.get("name")), one.place, said)


def _references(node: Node) -> Iterator[Node]:
    for name, role in _REFERENCES.items():
        if node.get(name):
            words = (node.get(name), node.get(role))
            yield Node(("rsc", *(word for word in words if word)), node.place)
    for chosen in node.walk():
        if chosen.name == "resource_set":
            role = chosen.get("role") or chosen.get("action")
            for one in chosen.all("resource_ref"):
                if one.get("id"):
                    yield Node(("rsc", one.get("id"), role) if role else ("rsc", one.get("id")), one.place)


KINDS = (
    Kind("pacemaker", ("cib*.xml", "*cib.xml", "cib/*.xml"), read, r"<(cib|configuration)\b"),
    Kind("pacemaker", ("*.crm", "crm*.txt", "crm-config*", "crm_config*"), crm.read, crm.LOOKS),
)
