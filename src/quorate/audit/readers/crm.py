"""What crmsh writes: `crm configure show`, and what is fed to it. Read into the shape of `cib.py`. (crm(8).)"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quorate.audit.node import Node, Place
from quorate.audit.readers import shell

LOOKS = r"^\s*(crm\s+configure\s+)?(primitive|property|group|clone|ms|colocation|rsc_defaults)\s"
_GOES_ON = re.compile(r"\\\s*(#.*)?$")
_SETS = ("property", "rsc_defaults", "op_defaults")
_HOLDERS = {"group": "group", "clone": "clone", "ms": "ms", "master": "ms", "bundle": "bundle"}
_CONSTRAINTS = {
    "location": "location",
    "colocation": "colocation",
    "collocation": "colocation",
    "order": "order",
    "rsc_ticket": "ticket",
}
_SECTIONS = {"params": "param", "meta": "meta"}
_KEYWORDS = (*_SECTIONS, "utilization", "operations", "op", "op_params", "op_meta")
_NO_MATTER = (
    *(
        "acl_group",
        "acl_target",
        "alert",
        "commit",
        "crm",
        "delete",
        "edit",
        "end",
        "exit",
        "fencing_topology",
        "filter",
    ),
    *("monitor", "quit", "rename", "role", "schema", "show", "up", "upgrade", "user", "verify", "xml"),
)


@dataclass(frozen=True)
class _Word:
    text: str
    line: int


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read statements; what is none becomes `unknown`, for it does not keep the others from being right."""
    for words in _statements(text):
        first, *rest = words
        make = at(first.line)
        if first.text in _SETS:
            yield from (Node((first.text, *_pair(one)), at(one.line)) for one in rest if _is_pair(one))
        elif first.text == "node":
            named = [one.text for one in rest if not one.text.endswith(":") and "=" not in one.text]
            yield from (Node(("node", name.partition(":")[0]), make) for name in named[:1])
        elif first.text in ("primitive", "rsc_template"):
            name = "template" if first.text == "rsc_template" else "primitive"
            agent = rest[1].text if len(rest) > 1 and not _is_pair(rest[1]) else ""
            yield Node((name, _id(rest), agent.removeprefix("@")), make, tuple(_sections(rest[2:], at)))
        elif first.text in _HOLDERS or first.text == "tag":
            kind = _HOLDERS.get(first.text, "tag")
            yield Node((kind, _id(rest)), make, (*_members(rest[1:], at), *_sections(rest[1:], at)))
        elif first.text in _CONSTRAINTS:
            kind = _CONSTRAINTS[first.text]
            inside = _location(rest[1:], at) if kind == "location" else _references(rest[1:], at)
            yield Node((kind, _id(rest)), make, tuple(inside))
        elif first.text == "monitor":
            yield Node(("monitor", _id(rest).partition(":")[0]), make)
        elif first.text not in _NO_MATTER:
            yield Node(("unknown", *(one.text for one in words)), make)


def _statements(text: str) -> Iterator[tuple[_Word, ...]]:
    words: list[_Word] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        begun, goes_on = _GOES_ON.subn("", line)
        words += (_Word(word, number) for word in shell.arguments(begun, number))
        if words and not goes_on:
            yield from _without_command(words)
            words = []
    if words:
        yield from _without_command(words)


def _without_command(words: list[_Word]) -> Iterator[tuple[_Word, ...]]:
    typed = [one.text for one in words[:2]]
    start = 2 if typed == ["crm", "configure"] else 1 if typed[0].startswith("crm(") else 0
    if words[start:]:
        yield tuple(words[start:])


def _id(rest: list[_Word]) -> str:
    return rest[0].text.removesuffix(":") if rest else ""


def _is_pair(word: _Word) -> bool:
    return "=" in word.text and not word.text.startswith("$")


def _pair(word: _Word) -> tuple[str, str]:
    name, _, value = word.text.partition("=")
    return name, value


def _sections(words: list[_Word], at: Callable[[int], Place]) -> Iterator[Node]:
    """Give params, meta attributes and operations; `params` may be left out."""
    section, operation, said = "params", None, list[Node]()
    expected = False
    for word in words:
        if word.text in _KEYWORDS:
            if operation is not None:
                yield Node(operation.words, operation.place, tuple(said))
            section, operation, said, expected = word.text, None, [], word.text == "op"
        elif expected:
            operation, expected = Node(("op", word.text), at(word.line)), False
        elif _is_pair(word) and operation is not None:
            said.append(Node(_pair(word), at(word.line)))
        elif _is_pair(word) and section in _SECTIONS:
            yield Node((_SECTIONS[section], *_pair(word)), at(word.line))
    if operation is not None:
        yield Node(operation.words, operation.place, tuple(said))


def _members(words: list[_Word], at: Callable[[int], Place]) -> Iterator[Node]:
    for word in words:
        if word.text in _KEYWORDS or _is_pair(word):
            return
        yield Node(("member", word.text), at(word.line))


def _location(words: list[_Word], at: Callable[[int], Place]) -> Iterator[Node]:
    """Give the resource, or those of a set in braces; a pattern names none."""
    if words and words[0].text == "{":
        end = next((number for number, one in enumerate(words) if one.text == "}"), len(words))
        yield from _references(words[1:end], at)
    elif words and not words[0].text.startswith("/"):
        yield Node(("rsc", words[0].text), at(words[0].line))


def _references(words: list[_Word], at: Callable[[int], Place]) -> Iterator[Node]:
    for word in words:
        name, _, role = word.text.strip("()[]").partition(":")
        if name and not word.text.endswith(":") and not _is_pair(word):
            yield Node(("rsc", name, role) if role else ("rsc", name), at(word.line))
