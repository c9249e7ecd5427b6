"""nutcracker.yml, twemproxy's pools, with the line of every key. (twemproxy, README, Configuration; src/nc_conf.c.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place

_LARGEST = 256 * 1024
_DEEPEST = 4
"""Pools, their keys and lists of servers: what is deeper, or refers to something else, is none of twemproxy's."""


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read pools, each with its keys; servers are inside `servers` without a name."""
    if len(text) > _LARGEST:
        raise Unreadable(0, f"it is longer than {_LARGEST} characters")
    try:
        _check_events(text)
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(mark.line + 1 if mark else 0, f"{error.problem or error}".lower()) from None
    except (YAMLError, RecursionError) as error:
        raise Unreadable(0, f"no YAML: {error}") from None
    if root is None:
        return
    if not isinstance(root, MappingNode):
        raise Unreadable(root.start_mark.line + 1, "pools were expected, each with a name and a colon")
    yield from _node("", root, at).inside


def _check_events(text: str) -> None:
    """Stop at what would take long to read: brackets in brackets, and what refers to something else."""
    depth = 0
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if isinstance(event, AliasEvent) or depth > _DEEPEST:
            raise Unreadable(event.start_mark.line + 1, "pools are of keys, values and lists of servers")


def _node(name: str, found: Any, at: Callable[[int], Place]) -> Node:
    place = at(found.start_mark.line + 1)
    match found:
        case ScalarNode(value=value):
            return Node((name, str(value)), place)
        case SequenceNode(value=items):
            return Node((name,), place, tuple(_node("", item, at) for item in items))
        case MappingNode(value=pairs):
            inside = []
            for key, value in pairs:
                node = _node(str(key.value), value, at)
                inside.append(Node(node.words, at(key.start_mark.line + 1), node.inside))
            return Node((name,), place, tuple(inside))
    raise Unreadable(place.line, "this is neither a key with a value nor a list")


KINDS = (Kind("nutcracker", ("nutcracker*.yml", "nutcracker/*.yml", "twemproxy*.yml", "twemproxy/*.yml"), read),)
