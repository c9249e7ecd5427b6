"""Keys that are taken over: whatever lies on either side, nothing that the source made with its keys is lost."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from quorate.core.keys import numbers
from quorate.core.migration import inherited

STEMS = {"/etc/a-keys": "k.a", "/etc/b-keys": "k.b"}
KEY = st.integers(0, 9).map(lambda digit: str(digit) * 43 + "=")
REPOSITORY = st.dictionaries(st.integers(0, 12), KEY, max_size=6)
OURS = st.fixed_dictionaries({0: KEY, 1: KEY}, optional={2: KEY, 7: KEY})


@given(
    there=st.fixed_dictionaries(dict.fromkeys(STEMS, REPOSITORY)),
    ours=st.fixed_dictionaries(dict.fromkeys(STEMS.values(), OURS)),
    retired=st.booleans(),
)
def test_the_source_s_keys_are_all_there_and_its_primary_stays_primary(
    there: dict[str, dict[int, str]], ours: dict[str, dict[int, str]], *, retired: bool
) -> None:
    have = {f"{stem}_{number}": key for stem, keys in ours.items() for number, key in keys.items()}
    have |= {f"{stem}_1_retired": "2026-01-31" for stem in ours if retired}
    have["k.ab_0"] = have["k.admin"] = "another's"
    found = inherited(STEMS, json.dumps({f: {str(n): k for n, k in keys.items()} for f, keys in there.items()}), have)
    secrets = {name: value for name, value in have.items() if name not in found.before} | dict(found.after)
    assert (secrets["k.ab_0"], secrets["k.admin"]) == ("another's", "another's")
    for folder, stem in STEMS.items():
        now = {number: secrets[f"{stem}_{number}"] for number in numbers(stem, secrets)}
        assert 0 in now
        assert max(now) > 0
        if not there[folder]:
            assert now == ours[stem]
            continue
        assert there[folder].items() <= now.items()
        assert max(now) == (max(there[folder]) or 1)
        assert set(now) - set(there[folder]) <= {0, 1}
        assert f"{stem}_1_retired" not in secrets
