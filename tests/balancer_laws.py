"""The balancer with one of its laws switched off, to show that tests see what the law prevents. Never part of it.

Run as a program it is such a balancer: `python balancer_laws.py LAW -c FILE`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from quorate.balancer import main as program
from quorate.balancer.registers import CLEAN
from quorate.balancer.session import Backend
from quorate.balancer.worker import Worker


def publish(worker: Worker) -> None:
    """Acknowledge a change although no quorum knows who missed it."""
    worker.mending.is_published = lambda *_: True  # type: ignore[method-assign]
    worker.mending.publish = lambda: None  # type: ignore[method-assign]


def dirty(worker: Worker) -> None:
    """Read what other balancers say must not be read."""
    worker.view.mark = lambda *_: CLEAN  # type: ignore[method-assign]


def drain(worker: Worker) -> None:
    """Mend before the server has executed what lies in its old connections."""
    for health in worker.health:
        health.settle = 0.0


def replay(worker: Worker) -> None:
    """Forget what a server missed as soon as it is back."""

    def forget(backend: Backend) -> None:
        worker.health[backend.server].debt.keys.clear()

    worker.mending._replay = forget  # type: ignore[method-assign]


def empty(worker: Worker) -> None:
    """Trust a server although the log of what it missed has overflowed."""
    worker.mending._flush = lambda backend: worker.health[backend.server].emptied()  # type: ignore[method-assign]


def board(worker: Worker) -> None:
    """Do not look at what other workers of the controller know."""
    worker.wary = lambda feed: feed  # type: ignore[method-assign]
    worker.heed = lambda: None  # type: ignore[method-assign]


def pass_on(worker: Worker) -> None:
    """Leave it to a dead balancer to tell servers what it owed."""
    worker.mending._pass_on = lambda *_: None  # type: ignore[method-assign]


LAWS: dict[str, Callable[[Worker], None]] = {
    law.__name__: law for law in (publish, dirty, drain, replay, empty, board, pass_on)
}


def without(law: str) -> Callable[..., Worker]:
    """Return what makes workers that leave this law out."""

    def make(*args: object, **kwargs: object) -> Worker:
        worker = Worker(*args, **kwargs)  # type: ignore[arg-type]
        LAWS[law](worker)
        return worker

    return make


if __name__ == "__main__":
    vars(program)["Worker"] = without(sys.argv.pop(1))
    sys.exit(program.main())
