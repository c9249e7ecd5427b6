"""Which file is what: every kind of every reader, found by scanning, and how a text becomes a document."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import islice

from quorate.audit import readers
from quorate.audit.estate import Document, Text, Unread
from quorate.audit.node import Node, Place

_STAR = re.escape("*")
LONGEST = 10_000
"""Characters of a line: nothing that people write has longer ones, and some expressions go over a line often."""
MOST = 20_000
"""Statements of a file, likewise: some rules go over all of them for each of them."""
_ENDLESS = re.compile(r"\d{150}")
"""Digits of a number that int() does not take (4300, sys.int_info), or whose product with another is no float."""
Reader = Callable[[str, Callable[[int], Place]], Iterable[Node]]
"""Reads a text into statements; the second argument makes the place of a line. Raises Unreadable."""


class Unreadable(ValueError):
    """A text is not what its name says. `line`: where, 0 where that is not known."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why


@dataclass(frozen=True)
class Kind:
    """A kind of file: the program that reads it, and how it is recognised.

    `paths`: endings of paths, with `*` within one name; the more of a path it says, the sooner it is asked; `looks`:
    what a text of that kind has in it (a regular expression), where a name says too little; "" accepts any. `one_line`:
    it may all stand in one line, and be of any size, as what programs write.
    """

    name: str
    paths: tuple[str, ...]
    read: Reader
    looks: str = ""
    one_line: bool = False


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind there is."""
    modules = (
        importlib.import_module(f"{readers.__name__}.{one.name}") for one in pkgutil.iter_modules(readers.__path__)
    )
    return tuple(kind for module in modules for kind in getattr(module, "KINDS", ()))


def kind_of(text: Text) -> Kind | None:
    """Recognise a file by its path and, where several fit or the name says little, by what is in it."""
    # Blank lines and indents are left out: expressions that allow for any number of them would try each number.
    body = "\n".join(begun for line in text.body.splitlines() if (begun := line.lstrip()))
    fitting = [
        (pattern.count("/"), -pattern.count("*"), kind)
        for kind in kinds()
        for pattern in kind.paths
        if _ending(pattern).search(text.path) and re.search(kind.looks, body, re.MULTILINE)
    ]
    return max(fitting, key=lambda one: one[:2])[2] if fitting else None


@cache
def names() -> str:
    """The regular expression by which the path of any known kind of file is recognised, before it is opened."""
    return "|".join(sorted({_ending(pattern).pattern for kind in kinds() for pattern in kind.paths}))


@cache
def _ending(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|/){re.escape(pattern).replace(_STAR, '[^/]*')}\Z")


def read(text: Text, kind: Kind) -> Document | Unread:
    """Read a text as that kind."""

    def at(line: int) -> Place:
        return Place(text.path, line, text.host)

    for number, line in enumerate(text.body.splitlines(), 1):
        if len(line) > LONGEST and not kind.one_line:
            return Unread(at(number), f"the line has more than {LONGEST} characters")
    if endless := _ENDLESS.search(text.body):
        return Unread(at(text.body.count("\n", 0, endless.start()) + 1), "a number has 150 digits or more")
    try:
        root = Node(("",), at(0), tuple(kind.read(text.body, at)))
    except Unreadable as error:
        return Unread(at(error.line), error.why)
    if not kind.one_line and next(islice(root.walk(), MOST, None), None):
        return Unread(at(0), f"it has more than {MOST} statements")
    return Document(kind.name, text, root)
