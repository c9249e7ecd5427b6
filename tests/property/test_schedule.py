"""The same seed gives the same drills; another one gives another calm before them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quorate.core.schedule import CALM, SPREAD, schedule

NAMES = st.lists(st.sampled_from(["power-cut", "silent-cut", "proxy-killed"]), min_size=1, max_size=5)
SEEDS = st.integers(0, 2**63)


@given(NAMES, st.integers(1, 5), SEEDS)
def test_the_same_seed_gives_the_same_schedule(names: list[str], repeat: int, seed: int) -> None:
    runs = schedule(names, repeat=repeat, seed=seed)
    assert runs == schedule(names, repeat=repeat, seed=seed)
    assert [run.drill for run in runs] == names * repeat
    assert all(CALM <= run.calm <= CALM + SPREAD for run in runs)


@given(NAMES, st.integers(2, 5), SEEDS)
def test_any_run_can_be_done_again_by_itself(names: list[str], repeat: int, seed: int) -> None:
    for run in schedule(names, repeat=repeat, seed=seed):
        (again,) = schedule([run.drill], repeat=1, seed=run.seed)
        assert (again.drill, again.seed, again.calm) == (run.drill, run.seed, run.calm)


def test_the_calm_differs_from_run_to_run() -> None:
    assert len({run.calm for run in schedule(["power-cut"], repeat=20, seed=1)}) > 10
