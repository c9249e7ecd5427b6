r"""Erlang terms: RabbitMQ's advanced.config, and rabbitmq.config as it was written before 3.7.

A tuple becomes a node with its first element as the name; elements that are plain come next as words, a list's items
are inside: `{rabbit, [{heartbeat, 60}]}.` is `("heartbeat", "60")` inside `("rabbit",)`; a map is a list of pairs.
Atoms, strings and binaries are their text. (Erlang Reference Manual, Data Types; config(4).)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place

_TOKENS = re.compile(
    r"""(?P<space>\s+|%[^\n]*)
    |(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<binary><<(?:[^">]|"(?:[^"\\]|\\.)*"|>(?!>))*>>)
    |(?P<plain>[-+]?\d[\d_]*(?:\#[0-9a-zA-Z]+|\.\d+(?:[eE][-+]?\d+)?)?|[a-zA-Z_][\w@]*)
    |(?P<sign>\#\{|=>|[\[\]{}(),.|])""",
    re.VERBOSE | re.DOTALL,
)
_BINARY = re.compile(r'<<\s*"((?:[^"\\]|\\.)*)"\s*(?:/utf8)?\s*>>', re.DOTALL)
_CLOSE = {"[": "]", "{": "}", "#{": "}"}
_DEEPEST = 100


@dataclass(frozen=True)
class _Token:
    text: str
    line: int
    sign: bool = False


def _tokens(text: str) -> Iterator[_Token]:
    position, line = 0, 1
    while position < len(text):
        match = _TOKENS.match(text, position)
        if match is None:
            raise Unreadable(line, f"{text[position : position + 1]!r} begins no Erlang term")
        word = match[0]
        if match["quoted"]:
            yield _Token(re.sub(r"\\(.)", r"\1", word[1:-1]), line)
        elif match["binary"]:
            string = _BINARY.fullmatch(word)
            yield _Token(string[1] if string else " ".join(word.split()), line)
        elif match["plain"] or match["sign"]:
            yield _Token(word, line, sign=bool(match["sign"]))
        position, line = match.end(), line + word.count("\n")


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read one term, a list, and the full stop after it; its items are the statements."""
    tokens = [*_tokens(text)]
    if not tokens:
        return
    term, after = _term(tokens, 0, at, 0)
    if after >= len(tokens) or tokens[after].text != ".":
        raise Unreadable(tokens[min(after, len(tokens) - 1)].line, "a full stop was expected after the list")
    yield from term.inside


def _term(tokens: list[_Token], here: int, at: Callable[[int], Place], depth: int) -> tuple[Node, int]:
    token = tokens[here] if here < len(tokens) else None
    if token is None:
        raise Unreadable(tokens[-1].line, "it ends in the middle of a term")
    if not token.sign:
        return Node(("", token.text), at(token.line)), here + 1
    if token.text not in _CLOSE or depth > _DEEPEST:
        raise Unreadable(token.line, f"{token.text!r} begins no Erlang term")
    close, parts, here = _CLOSE[token.text], list[Node](), here + 1
    while here < len(tokens) and not (tokens[here].sign and tokens[here].text == close):
        part, here = _term(tokens, here, at, depth + 1)
        if token.text == "#{" and here < len(tokens) and tokens[here].text == "=>":
            value, here = _term(tokens, here + 1, at, depth + 1)
            part = _tuple([part, value], part.place)
        parts.append(part)
        if here < len(tokens) and tokens[here].sign and tokens[here].text in ",|":
            here += 1
        elif here < len(tokens) and not (tokens[here].sign and tokens[here].text == close):
            raise Unreadable(tokens[here].line, f"a comma or {close!r} was expected before {tokens[here].text!r}")
    if here >= len(tokens):
        raise Unreadable(token.line, f"{token.text!r} is never closed")
    place = at(token.line)
    return (_tuple(parts, place) if token.text == "{" else Node(("",), place, tuple(parts))), here + 1


def _tuple(parts: list[Node], place: Place) -> Node:
    """Name a tuple by its first element, where that is plain; what is in a list or tuple after it comes inside."""
    if not parts or not _plain(parts[0]):
        return Node(("",), place, tuple(node for part in parts for node in _items(part)))
    words = (parts[0].value, *(part.value for part in parts[1:] if _plain(part)))
    return Node(words, place, tuple(node for part in parts[1:] if not _plain(part) for node in _items(part)))


def _plain(node: Node) -> bool:
    return node.name == "" and len(node.words) > 1 and not node.inside


def _items(node: Node) -> tuple[Node, ...]:
    return node.inside if node.words == ("",) else (node,)


KINDS = (Kind("rabbitmq-terms", ("advanced.config", "rabbitmq.config", "rabbitmq/*.config"), read),)
