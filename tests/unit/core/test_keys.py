from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from quorate.core.keys import (
    MARGIN,
    Keys,
    Next,
    Refusal,
    Repository,
    astray,
    decide,
    digest_of,
    dropped,
    goes,
    numbers,
    order,
    read,
    retired,
    written,
)
from quorate.core.observed import Unknown

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TOKENS = Repository("/etc/x/keys", "x.key", timedelta(hours=49))
FIRST = Keys({0: "S", 1: "P"}, {})
SECOND = Keys({0: "new", 1: "P", 2: "S"}, {})


def holding(keys: Keys) -> dict[str, str]:
    return {TOKENS.path(number): digest_of(key) for number, key in keys.values.items()}


def follows(keys: Keys, *seen: dict[str, str] | Unknown) -> Next | Refusal:
    return decide({TOKENS: keys}, {f"c{n}": one for n, one in enumerate(seen, 1)}, NOW, lambda: "new")


def test_the_staged_key_becomes_primary_and_a_new_one_is_staged() -> None:
    assert follows(FIRST, *[holding(FIRST)] * 3) == Next({TOKENS: SECOND}, begins=True)


def test_who_is_away_delays_it_and_is_named() -> None:
    said = follows(FIRST, holding(FIRST), Unknown(why="no route"))
    assert isinstance(said, Refusal)
    assert said.evidence == ("c2 cannot be seen: no route",)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({}, ("c1: /etc/x/keys/0 is missing", "c1: /etc/x/keys/1 is missing")),
        (holding(FIRST) | {"/etc/x/keys/0": "?"}, ("c1: /etc/x/keys/0 is another key",)),
        (holding(FIRST) | {"/etc/x/keys/2": "?"}, ("c1 holds /etc/x/keys/2, of which secrets.yaml does not know",)),
        (holding(FIRST) | {"/etc/x/keys/01": "?"}, ("c1: /etc/x/keys/01 should not be there",)),
        (holding(FIRST) | {"/etc/x/other/2": "?"}, None),
    ],
)
def test_nothing_begins_unless_all_hold_exactly_the_present_keys(
    held: dict[str, str], words: tuple[str, ...] | None
) -> None:
    said = follows(FIRST, held, holding(FIRST))
    assert (said.evidence if isinstance(said, Refusal) else None) == words


def test_an_interrupted_rotation_ends_before_another_begins() -> None:
    assert follows(SECOND, holding(FIRST), holding(SECOND)) == Next({TOKENS: SECOND}, begins=False)
    assert follows(SECOND, holding(SECOND)) == Next({TOKENS: SECOND}, begins=False)
    assert isinstance(follows(SECOND, Unknown(why="off")), Refusal)
    noted = retired({TOKENS: SECOND}, NOW)[TOKENS]
    assert noted == Keys(SECOND.values, {1: NOW})
    assert retired({TOKENS: noted}, NOW + MARGIN)[TOKENS] == noted, "the first look counts"
    assert isinstance(again := follows(noted, holding(noted)), Next)
    assert again.rings[TOKENS] == Keys({0: "new", 1: "P", 2: "S", 3: "new"}, {1: NOW})


def test_a_key_goes_when_all_that_it_made_has_expired() -> None:
    def after(since: datetime) -> Keys:
        keys = Keys(SECOND.values, {1: since})
        said = follows(keys, holding(keys))
        assert isinstance(said, Next)
        return said.rings[TOKENS]

    full = TOKENS.lifetime + MARGIN
    assert 1 in after(NOW - full + timedelta(seconds=1)).values
    assert after(NOW - full) == Keys({0: "new", 2: "S", 3: "new"}, {})
    assert 1 in after(NOW + full).values, "a clock that was wrong drops nothing"
    assert goes(TOKENS, Keys(SECOND.values, {1: NOW}), 1) == NOW + full
    assert goes(TOKENS, SECOND, 1) is goes(TOKENS, SECOND, 2) is goes(TOKENS, SECOND, 0) is None


def test_what_is_written_is_read() -> None:
    keys = Keys({0: "a", 2: "b", 10: "c"}, {2: NOW})
    said = written({TOKENS: keys})
    assert said == {"x.key_10": "c", "x.key_2": "b", "x.key_2_retired": "2026-11-30T12:00:00+00:00", "x.key_0": "a"}
    assert read(TOKENS, {**said, "x.key_01": "?", "x.keys_3": "?", "x.key_7_retired": "2026-11-30"}) == keys
    assert read(TOKENS, {**said, "x.key_2_retired": "2026-11-30 12:00"}) == keys, "who writes no zone means UTC"
    with pytest.raises(ValueError, match="yesterday"):
        read(TOKENS, {**said, "x.key_2_retired": "yesterday"})


def test_who_was_not_seen_is_not_taken_for_one_who_holds_the_keys() -> None:
    seen: dict[str, dict[str, str] | Unknown] = {"c1": holding(FIRST), "c2": Unknown(why="off")}
    assert astray({TOKENS: FIRST}, seen) == ("c2: off",)


def test_numbers() -> None:
    assert numbers("x.key", ["x.key_0", "x.key_12", "x.key_", "x.key_1_retired", "xykey_3"]) == {0, 12}
    assert order({0, 10, 9}) == (10, 9, 0)
    assert dropped({0, 3, 5}) == (1, 2, 4)
    assert dropped({0, 1}) == ()


def test_keys_are_never_printed() -> None:
    keys = Keys({0: "S3CRET", 1: "S3CRET"}, {})
    assert "S3CRET" not in f"{keys} {Next({TOKENS: keys}, begins=True)!r}"
    assert "S3CRET" not in str(astray({TOKENS: keys}, {"c1": {}}))
