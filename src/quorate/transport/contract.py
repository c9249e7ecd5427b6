"""What a transport is: one method that runs one command on one machine, and one for more than fits into memory."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol


@dataclass(frozen=True)
class Completed:
    """A command that ended. `code` is its exit code, negative where a signal ended it."""

    code: int
    out: bytes
    err: bytes


LEFT = "QUORATE_LEFT"
"""The environment variable by which a command learns how many seconds it has."""


class Transport(Protocol):
    """A way to one machine. Commands run as root there; several may run at once."""

    @property
    def host(self) -> str:
        """The controller's name, for messages."""
        ...

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, timeout: float, reach: float = inf) -> Completed:
        """Run the command, give it all of `stdin`, and collect what it prints.

        Raises Unreachable when the machine cannot be reached, refuses us, or has not ended the command within `timeout`
        seconds (the whole call, connecting included); what the command did by then is unknown. What is left of them
        when it begins it finds in `LEFT`. Unreachable, too, where it has not begun within `reach` seconds: a machine
        that is frozen or gone need not be waited for as long as one that is busy. A command that cannot be found ends
        with code 127.
        """
        ...

    async def close(self) -> None:
        """Give up the way; further calls of `run` open it again."""
        ...


Take = Callable[[bytes], Awaitable[None]]
"""Is given what a command prints, piece by piece; the command is held back until it returns."""


class Streams(Protocol):
    """A way to one machine through which any amount passes, in bounded memory. Every transport of ours is one."""

    @property
    def host(self) -> str:
        """The controller's name, for messages."""
        ...

    async def stream(
        self, argv: Sequence[str], *, timeout: float, feed: AsyncIterable[bytes] | None = None, take: Take | None = None
    ) -> Completed:
        """Run the command, give it all that `feed` yields, and what it prints to `take`; `out` is empty then.

        Neither side runs ahead of the other: what is slow holds up what is fast. Over ssh it has a connection of its
        own, so that no look waits behind it. As with `run` for all else; what `feed` and `take` raise ends the command
        and is raised here.
        """
        ...
