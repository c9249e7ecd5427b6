from __future__ import annotations

from collections.abc import Mapping

import pytest

from quorate.core.checkers import check_model
from quorate.core.history import Operation
from quorate.core.record import Mark, Record
from records import cached, header, record, written

QUIET = cached((1.0, "get", 1), (12.5, "get", 1), (14.0, "get", 1))


def lost(stands: Mapping[str, bool | None], **changes: object) -> Record:
    """Healed at 15 s; of the database nothing was acknowledged from 5 s on, a cache's client had three reads."""
    operations = {"database_write": written(down=(5.0, 20.0)), "cache@controller2": QUIET}
    return record(header=header(stands=stands), **{"operations": operations, **changes})


def test_where_nothing_stays_lost_the_model_is_not_asked() -> None:
    assert check_model(lost({})) is None


def test_what_the_model_says_is_ok() -> None:
    found = check_model(lost({"database_write": False, "cache": True}))
    assert found is not None
    assert (found.level, found.reason) == ("ok", "as the model says, database_write stopped")


@pytest.mark.parametrize(
    ("stands", "told"),
    [
        ({"database_write": True, "cache": True}, "database_write: it works for nobody, though by the model it works"),
        ({"database_write": False, "cache": False}, "cache: it works, though by the model it stops"),
    ],
)
def test_what_the_model_does_not_say_is_found(stands: dict[str, bool], told: str) -> None:
    found = check_model(lost(stands))
    assert found is not None
    assert (found.level, found.evidence) == ("failing", (told,))


@pytest.mark.parametrize("stands", [True, False])
def test_what_works_now_and_then_is_neither(stands: bool) -> None:
    rows = [Operation(at / 10, at / 10 + 0.05, "ok" if at % 3 else "failed") for at in range(200)]
    found = check_model(lost({"database_write": stands}, operations={"database_write": rows}))
    assert found is not None
    assert found.level == "failing"
    assert "now and then" in found.evidence[0]


def test_what_works_for_one_client_works() -> None:
    deaf = [Operation(at / 10, at / 10 + 0.05, "failed") for at in range(50, 200)]
    operations = {"cache@controller1": deaf, "cache@controller2": QUIET}
    found = check_model(lost({"cache": True}, operations=operations))
    assert found is not None
    assert found.level == "ok"


def test_a_record_that_ends_before_the_heal_is_unknown() -> None:
    found = check_model(lost({"cache": True}, marks=[Mark(name="inject", at=5.0)]))
    assert found is not None
    assert found.level == "unknown"


def test_a_cache_that_only_misses_and_stores_nothing_has_stopped() -> None:
    told = cached((12.5, "get", None), (14.0, "get", None))
    refused = [Operation(at, at + 0.01, "failed", "NOT_STORED", {"key": "a", "kind": "set"}) for at in (12.6, 13.0)]
    found = check_model(lost({"cache": False}, operations={"cache@controller2": [*told, *refused]}))
    assert found is not None
    assert found.level == "ok"


@pytest.mark.parametrize("function", ["database_write", "cache"])
def test_what_may_go_on_for_a_while_may_do_either(function: str) -> None:
    found = check_model(lost({function: None}))
    assert found is not None
    assert found.level == "ok"
