from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from quorate.core.backup import (
    Manifest,
    NoSource,
    PartSaid,
    age,
    differences,
    facts_of,
    is_of,
    missing,
    name_of,
    source,
    surplus,
    told,
)
from quorate.core.verdict import failing, ok, unknown

BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)
WELL = {"c1": ok(""), "c2": ok(""), "c3": ok("")}


def names(count: int, cloud: str = "prod") -> list[str]:
    return [name_of(cloud, BEGAN + timedelta(hours=hour), f"{hour:032x}") for hour in range(count)]


def test_names_are_in_order_of_time() -> None:
    assert names(30) == sorted(names(30))
    assert names(1) == ["prod-20260131T120000Z-00000000"]


@pytest.mark.parametrize(
    "name",
    ["prod", "lost+found", ".prod-20260131T120000Z-00000000.partial", "prod2-20260131T120000Z-00000000", "prod-2026-0"],
)
def test_what_is_no_backup_of_this_cloud(name: str) -> None:
    assert not is_of("prod", name)
    assert is_of("prod", names(1)[0])
    assert not is_of("prod", f"{names(1)[0]}\n")


@given(st.integers(0, 9), st.integers(1, 9), st.sets(st.integers(0, 8)), st.lists(st.text(max_size=9)))
def test_pruning_keeps_the_newest_and_the_last_one_that_was_proved(
    count: int, keep: int, proved: set[int], others: list[str]
) -> None:
    ours = names(count)
    folders = dict.fromkeys(others, True) | {name: index in proved for index, name in enumerate(ours)}
    gone = surplus("prod", folders, keep)
    assert set(gone) <= set(ours[: max(0, count - keep)])
    left = [name for name in ours if name not in gone]
    newest_proved = [name for name in ours if folders[name]][-1:]
    assert set(newest_proved) <= set(left)
    assert len(left) <= keep + 1
    assert left[-keep:] == ours[-keep:]


def test_to_keep_none_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        surplus("prod", {}, 0)


def test_who_writes_is_not_asked() -> None:
    assert source(WELL, "c3") == "c2"
    assert source(WELL, "c1") == "c3"
    assert source(WELL, None) == "c3"


def test_only_who_is_known_to_be_well_is_asked() -> None:
    assert source({**WELL, "c3": unknown("not seen")}, "c1") == "c2"
    none = source({"c1": ok(""), "c2": failing("stopped"), "c3": unknown("not seen")}, "c1")
    assert isinstance(none, NoSource)
    assert "c2 failing: stopped" in none.why
    assert "c1 has them" in none.why


def test_differences_are_told_where_they_are() -> None:
    was: JsonValue = {"seqno": 7, "tables": {"a.b": [3, 99], "a.c": [0, 0]}}
    assert list(differences(was, was)) == []
    found: JsonValue = {"seqno": 7, "tables": {"a.b": [2, 98], "a.d": [0, 0]}}
    assert list(differences(was, found)) == [
        "tables.a.b is [2, 98], and was [3, 99] when the backup was taken",
        "tables.a.c is missing",
        "tables.a.d was not there when the backup was taken",
    ]
    assert list(differences({"seqno": 7}, {})) == ["seqno is missing"]


json_values = st.recursive(
    st.integers() | st.text(max_size=3) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
)


@given(json_values, json_values)
def test_a_proof_that_differs_anywhere_is_never_taken(was: JsonValue, found: JsonValue) -> None:
    assert (list(differences(was, found)) == []) == (was == found)


def test_many_differences_are_cut_short() -> None:
    assert told([str(number) for number in range(12)]).endswith("; 9; and 2 more")
    assert told(["one"]) == "one"


def manifest(*parts: str) -> Manifest:
    said = PartSaid(size=0, sha256="0" * 64)
    return Manifest(id="0" * 32, cloud="prod", taken="", quorate="", parts=dict.fromkeys(parts, said))


@given(st.sets(st.sampled_from("abc")), st.sets(st.sampled_from(["a", "b", "c", "manifest", "proved"])))
def test_a_part_that_is_missing_or_too_many_is_seen(parts: set[str], files: set[str]) -> None:
    against = missing(manifest(*parts), [f"{name}.sealed" for name in files] + ["README"])
    whole = files - {"proved"} == parts | {"manifest"}
    assert (against == ()) == whole


def test_a_manifest_holds_nothing_that_it_does_not_know() -> None:
    good = manifest("a").model_dump_json()
    assert Manifest.model_validate_json(good).parts["a"].size == 0
    for wrong in (
        good.replace('"format":1', '"format":2'),
        good.replace('"size":0', '"size":-1'),
        f'{good[:-1]},"x":1}}',
    ):
        with pytest.raises(ValidationError):
            Manifest.model_validate_json(wrong)


def test_facts_are_the_last_line() -> None:
    assert facts_of('[00] copying\n{"about": {"version": "11.8"}, "proof": {"seqno": 7}}\n').proof == {"seqno": 7}
    for nonsense in ("", "done", '{"proof": 3}', '{"facts": {}}'):
        with pytest.raises(ValidationError):
            facts_of(nonsense)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "less than a minute"), (60, "1 minute"), (7100, "1 hour"), (7200, "2 hours"), (200_000, "2 days")],
)
def test_an_age_in_words(seconds: float, words: str) -> None:
    assert age(seconds) == words
