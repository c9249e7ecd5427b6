"""The properties of every target on structured inputs. `QUORATE_EXAMPLES=20000` runs more of them, `make fuzz` both
fuzzers for half an hour.

The seed is fixed: what is found here is found every time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fuzz.fuzzers import search
from fuzz.run import Result, counted
from fuzz.targets import TARGETS, property_of
from quorate.audit import judge, kinds
from quorate.balancer import config, handover, outcome, protocol, registers, session
from quorate.balancer.session import Client
from quorate.engine import archives

EXAMPLES = int(os.environ.get("QUORATE_EXAMPLES", "100"))
SEED = int(os.environ.get("QUORATE_SEED", "0"))


@pytest.mark.timeout(60 + EXAMPLES)
@pytest.mark.parametrize("name", TARGETS)
def test_every_property_holds(name: str) -> None:
    search(property_of(name), EXAMPLES, SEED)


@pytest.mark.parametrize("name", TARGETS)
def test_every_property_holds_for_the_seeds(name: str) -> None:
    target = property_of(name)
    for data in target.seeds():
        target.check(data)


def forget(client: Client) -> None:
    """Drop what came after a command that could not be overtaken."""
    client.chunks = []
    client.need = 0


@pytest.mark.parametrize(
    ("name", "where", "what", "instead"),
    [
        ("client", outcome, "hidden", lambda *_: False),
        ("client", Client, "unblock", forget),
        ("client", session, "MAX_LINE", 100),
        ("client", protocol, "MAX_SENT", 100_000),
        ("server", outcome, "fits", lambda *_: True),
        ("server", session, "BadReply", KeyError),
        ("register", registers, "MOST_DIGITS", 10_000),
        ("handover", handover, "_bytes", lambda text: text),
        ("config", config, "_servers", lambda *_: ()),
        ("audit", kinds, "Unreadable", KeyError),
        ("audit", judge, "masked", lambda text, _: text),
        ("archive", archives, "BROKEN", OSError),
    ],
)
def test_a_property_that_is_broken_is_found(
    name: str, where: Any, what: str, instead: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, what, instead)
    assert finds(name)


def finds(name: str) -> bool:
    """Whether an input is found that breaks a property of the target."""
    try:
        search(property_of(name), 3000, 1, shrink=False)
    except Exception:  # noqa: BLE001 - a broken program may raise anything
        return True
    return False


def test_a_target_has_its_share_of_the_time() -> None:
    assert sum(target.share for target in TARGETS.values()) == pytest.approx(1.0)


def test_what_a_fuzzer_wrote_is_read() -> None:
    assert counted("#12\tNEW    cov: 30 ft: 9\n#99\tDONE   cov: 41 ft: 9\nstat::number_of_executed_units: 120\n") == (
        120,
        41,
    )
    assert counted("executions: 77\n") == (77, None)
    assert counted("") == (0, None)
    told = Result("guided", "client", 120, 41, 3.2, [Path("build/fuzz/x")]).told()
    assert "120 executions in     3 s, 41 edges covered, 1 findings\n  build/fuzz/x" in told
