from __future__ import annotations

import itertools
import json
from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from quorate.core.act import Run, SetUnit
from quorate.core.migration import (
    Against,
    Sighting,
    Source,
    State,
    Step,
    before_start,
    decide,
    differing,
    inherited,
    resting,
    size_of,
    source_of,
)
from quorate.core.plan import Step as Doing
from quorate.core.plan import Wave
from quorate.errors import InvalidInput
from quorate.systems import discover

FOLDERS = {"/etc/k/fernet-keys": "k.fernet", "/etc/k/receipt-keys": "k.receipt"}
A, B, C, D = (letter * 43 + "=" for letter in "abcd")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("old", Source(None, "old", None)),
        ("root@10.0.0.5", Source("root", "10.0.0.5", None)),
        ("me@old.example:2222", Source("me", "old.example", 2222)),
        ("root@[2001:db8::5]:22", Source("root", "2001:db8::5", 22)),
    ],
)
def test_a_source_is_what_ssh_takes(text: str, wanted: Source) -> None:
    assert source_of(text) == wanted


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "a b", "root@", "old:0", "old:65536", "ssh://old", "a@b@c"])
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        source_of(text)


def test_what_rests_on_the_database_is_all_that_needs_it_or_what_it_offers() -> None:
    found = resting(discover(), "database")
    assert {"keystone", "glance", "nova", "horizon"} <= found
    assert not {"galera", "corosync", "pacemaker", "haproxy", "memcached", "cache", "rabbitmq"} & found


def test_nothing_is_loaded_over_what_is_used_or_somebody_else_s() -> None:
    """Every state and everything that can be seen."""
    states = [None, *(State(source="s", stage=one) for one in ("begun", "cut", "serving", "done"))]
    some: tuple[tuple[str, ...], ...] = ((), ("x",))
    for state, have, filled, held, against, serving in itertools.product(states, some, some, (False, True), some, some):
        follows = decide(state, Sighting(have, filled, held, against), serving)
        ours = state is not None and state.stage == "cut"
        if follows is Step.LOAD:
            assert have
            assert not serving
            assert not against
            assert ours or not (filled or held)
        if state is not None and state.stage in {"serving", "done"}:
            assert follows is (Step.SERVE if state.stage == "serving" else Step.NOTHING)
        else:
            wrong = bool(against or serving or not have or (not ours and (filled or held)))
            assert isinstance(follows, Against) is wrong


def test_up_to_the_first_start_of_a_service_nobody_uses_what_was_loaded() -> None:
    def wave(title: str, system: str, *acts: Run | SetUnit) -> Wave:
        return Wave(title=title, system=system, steps=(Doing(host="c1", title="t", acts=acts),))

    sync, start = Run(title="sync", argv=("x",)), SetUnit(name="k.service", verb="start")
    waves = (
        wave("proxy", "haproxy", start),
        wave("schema", "k", sync),
        wave("start", "k", start),
        wave("g", "g", sync),
    )
    assert [one.title for one in before_start(waves, {"k", "g"})] == ["proxy", "schema"]
    assert before_start(waves, set()) == waves


def printed(**keys: Mapping[int, str]) -> str:
    said = {folder: {str(n): key for n, key in keys.get(stem[2:], {}).items()} for folder, stem in FOLDERS.items()}
    return json.dumps(said)


def test_the_source_s_keys_keep_their_numbers_and_ours_go() -> None:
    have = {"k.fernet_0": "ours", "k.fernet_1": "ours", "k.fernet_1_retired": "t", "k.receipt_0": "r", "k.admin": "p"}
    found = inherited(FOLDERS, printed(fernet={0: A, 4: B, 5: C}), have)
    assert found.after == {"k.fernet_0": A, "k.fernet_4": B, "k.fernet_5": C}
    assert found.before == {"k.fernet_0": "ours", "k.fernet_1": "ours", "k.fernet_1_retired": "t"}
    assert found.notes[0] == "/etc/k/fernet-keys: 3 keys are taken over"
    assert "/etc/k/receipt-keys: no keys there" in found.notes[1]
    assert A not in repr(found)


def test_of_our_own_only_those_stay_that_a_repository_cannot_do_without() -> None:
    ours = {"k.fernet_0": A, "k.fernet_1": B}
    assert inherited(FOLDERS, printed(fernet={1: C, 2: D}), ours).after == {
        "k.fernet_0": A,
        "k.fernet_1": C,
        "k.fernet_2": D,
    }
    assert inherited(FOLDERS, printed(fernet={0: C}), ours).after == {"k.fernet_0": C, "k.fernet_1": B}


def test_what_is_no_key_is_named_and_not_shown() -> None:
    with pytest.raises(ValueError, match="fernet-keys/1 is no Fernet key") as said:
        inherited(FOLDERS, printed(fernet={0: A, 1: "Secr3t"}), {})
    assert "Secr3t" not in str(said.value)


def test_differences_name_the_table_and_both_sides() -> None:
    there: dict[str, JsonValue] = {
        "tables": {"k.a": [3, "7"], "k.b": [1, "1"], "k.c": [2, "2"], "k.d": [5, "5"]},
        "others": {"views": 1},
    }
    here: dict[str, JsonValue] = {
        "tables": {"k.a": [3, "8"], "k.b": [2, "1"], "k.d": [5, "5"], "k.e": [0, "0"]},
        "others": {},
    }
    assert list(differing(there, here)) == [
        "k.a: other values in 3 rows",
        "k.b: 2 rows here, 1 there",
        "k.c: only there, with 2 rows",
        "k.e: only here, with 0 rows",
        "beside tables: {} here, {'views': 1} there",
    ]
    assert list(differing(there, there)) == []
    assert size_of(there) == (4, 11)


@pytest.mark.parametrize("tables", [None, [], {"k.a": 3}, {"k.a": ["3", "7"]}])
def test_a_proof_that_makes_no_sense_is_none(tables: object) -> None:
    with pytest.raises(ValueError, match=r"no tables are said|makes no sense"):
        size_of({"tables": tables})  # type: ignore[dict-item]
