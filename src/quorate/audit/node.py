"""What every grammar is read into: a tree of words, each with the place where it was found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, order=True)
class Place:
    """Where something was seen. `host`: the machine it is from, "" if nobody said; `line`: 1-based, 0 for the file."""

    path: str
    line: int = 0
    host: str = ""

    def __str__(self) -> str:
        """`file:line`, the form that editors jump to."""
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True)
class Node:
    """One statement: its words, the name first, and the statements inside it.

    A section of an ini file is `("DEFAULT",)` with `("debug", "true")` inside; a line of haproxy.cfg is
    `("server", "controller1", "10.0.0.11:3306", "check")` inside `("listen", "galera")`; an XML element is its tag with
    its attributes inside as `("id", "p_ip_api")`; a mapping's key is a node whose value is its second word, or inside
    it, and a list's items are inside it without a name (`""`).
    """

    words: tuple[str, ...]
    place: Place
    inside: tuple[Node, ...] = ()

    @property
    def name(self) -> str:
        """Its first word."""
        return self.words[0]

    @property
    def value(self) -> str:
        """All further words, with one space between them."""
        return " ".join(self.words[1:])

    def all(self, *names: str) -> tuple[Node, ...]:
        """Those directly inside that have one of these names."""
        places = [place for name in names for place in self._places.get(name, ())]
        return tuple(self.inside[place] for place in (sorted(places) if len(names) > 1 else places))

    @cached_property
    def _places(self) -> dict[str, list[int]]:
        """Where each name is inside: rules ask for names again and again."""
        found: dict[str, list[int]] = {}
        for place, node in enumerate(self.inside):
            found.setdefault(node.name, []).append(place)
        return found

    def last(self, *path: str) -> Node | None:
        """The one that counts where the same is said several times: the last one, down a path of names.

        Blocks of one name count together: of `[DEFAULT]` twice, an option of either is found.
        """
        *above, name = path
        blocks: tuple[Node, ...] = (self,)
        for step in above:
            blocks = tuple(node for block in blocks for node in block.all(step))
        found = [node for block in blocks for node in block.all(name)]
        return found[-1] if found else None

    def get(self, *path: str, default: str = "") -> str:
        """The value of `last`, or the default where it is not said."""
        found = self.last(*path)
        return default if found is None else found.value

    def walk(self) -> Iterator[Node]:
        """Itself and everything inside, in the order in which it is written."""
        yield self
        for node in self.inside:
            yield from node.walk()
