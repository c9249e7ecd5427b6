"""drbd.conf and *.res: statements that end in `;`, blocks in braces, in lines as one likes. (drbd.conf(5).)"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place
from quorate.audit.tree import Tree

_TOKEN = re.compile(r'\s+|#[^\n]*|"(?P<quoted>[^"\n]*)"|(?P<mark>[{};])|(?P<word>[^\s{};"#]+)')


def read(text: str, at: Callable[[int], Place]) -> Iterable[Node]:
    """Read statements and blocks. `global`, `common` and `resource NAME` are the blocks at the top."""
    tree, words, place, line, begun = Tree(at), list[str](), 0, 1, 1
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise Unreadable(line, "a quotation mark has no second one in its line")
        mark, word = match["mark"], match["quoted"] if match["quoted"] is not None else match["word"]
        if word is not None:
            begun = begun if words else line
            words.append(word)
        elif mark == "{":
            tree.open(words, begun if words else line)
            words = []
        elif mark:
            if words:
                tree.statement(words, begun)
                words = []
            if mark == "}":
                tree.close(line)
        line += match[0].count("\n")
        place = match.end()
    if words:
        # Only `include "FILE";` and its like stand at the top, and all of them have their mark.
        raise Unreadable(begun, f"{' '.join(words)!r} never ends")
    return tree.nodes()


KINDS = (
    Kind(
        "drbd",
        ("drbd.conf", "*.res", "drbd.d/*.conf", "global_common.conf"),
        read,
        r"^\s*(resource|common|global|include)\b",
    ),
)
