"""What a real client of a drill is, and what it is given. The programs are `systems/NAME/client.py` (decision 11).

One client's life::

    Client(surroundings) ──► prepare ──► operate(0), operate(1), … many at once ──► finish ──► close
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Facts = dict[str, Any]
"""What checkers need to know of an operation, as plain values."""

Reach = Callable[[int], Awaitable[tuple[str, int]]]
"""Port on the loopback of the controller that the client works at → host and port here that lead to it."""


_PASSWORD = re.compile(r"@@drill:([a-z0-9_.-]+)@@")


def password(name: str) -> str:
    """Text that stands, in the stdin of a workload's steps, for the password made up for this account."""
    return f"@@drill:{name}@@"


def with_passwords(text: str, passwords: Mapping[str, str]) -> str:
    """Put the passwords in place of what stands for them. KeyError names the first that no workload asked for."""
    return _PASSWORD.sub(lambda found: passwords[found[1]], text)


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """First and last of every unbroken row of numbers."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


class Failed(Exception):
    """The operation did not do what it should, and surely has not done it."""


class Uncertain(Exception):
    """Nobody can tell whether the operation was done: the answer to a change was lost on its way."""


class InThread(Protocol):
    """Runs something that blocks in a thread of the client's own, of which there are enough for all operations."""

    async def __call__(self, function: Callable[..., T], /, *args: object) -> T:
        """Run it and wait for its end."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """All that a client has of the world. Printing it shows no secret.

    `run`: what this drill is called, for names that no other drill may have used. `bound`: seconds after which nobody
    waits for an operation any more. `secrets` and `passwords`: values by the names that its workload asked for.
    """

    run: str
    bound: float
    in_thread: InThread
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    reach: Reach | None = None


class Client(Protocol):
    """A client program: the class is made with one argument, its Surroundings. Nothing is contacted by that."""

    async def prepare(self) -> None:
        """Make ready to work, while all is well. Whatever it raises ends the drill before anything is broken."""
        ...

    async def operate(self, number: int, facts: Facts) -> None:
        """Do one operation.

        It writes into `facts` what checkers need, as soon as it knows it: what it set out to do is then told even of
        an operation whose answer never came. It raises Failed, Uncertain (a TimeoutError means the same) or anything
        else, which counts as failed. Operations run side by side and are cancelled at their bound.
        """
        ...

    async def finish(self) -> Mapping[str, Any]:
        """Look once more when all is quiet; what was found goes into the record."""
        ...

    async def close(self) -> None:
        """Give up all connections, and remove what no step of its workload removes. Never raises."""
        ...
