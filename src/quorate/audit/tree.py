"""Puts statements into blocks: what every grammar with blocks needs, whatever its blocks and statements look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from quorate.audit.kinds import Unreadable
from quorate.audit.node import Node, Place

DEEPEST = 40
"""Blocks within blocks: no configuration goes deeper, and whoever reads the tree does not run out of stack."""


@dataclass
class _Block:
    words: tuple[str, ...]
    line: int
    inside: list[Node] = field(default_factory=list)


class Tree:
    """Grows as a text is read from its beginning to its end. Unreadable where blocks do not fit together."""

    def __init__(self, at: Callable[[int], Place]) -> None:
        self._at = at
        self._blocks = [_Block(("",), 0)]

    def statement(self, words: Sequence[str], line: int) -> None:
        """Add a statement to the block that is open."""
        self._blocks[-1].inside.append(Node(tuple(words), self._at(line)))

    def open(self, words: Sequence[str], line: int) -> None:
        """Open a block. Without words, it is that of the statement before, as where its brace has a line of its own."""
        if not words:
            above = self._blocks[-1].inside
            if not above or above[-1].inside:
                raise Unreadable(line, "a block begins without a name")
            last = above.pop()
            words, line = last.words, last.place.line
        if len(self._blocks) > DEEPEST:
            raise Unreadable(line, f"more than {DEEPEST} blocks lie in each other")
        self._blocks.append(_Block(tuple(words), line))

    def close(self, line: int) -> None:
        """Close the block that was opened last."""
        if len(self._blocks) == 1:
            raise Unreadable(line, "a block ends that never began")
        block = self._blocks.pop()
        self._blocks[-1].inside.append(Node(block.words, self._at(block.line), tuple(block.inside)))

    def nodes(self) -> tuple[Node, ...]:
        """Give everything, at the end."""
        if len(self._blocks) > 1:
            raise Unreadable(self._blocks[-1].line, f"the block {' '.join(self._blocks[-1].words)!r} never ends")
        return tuple(self._blocks[0].inside)
