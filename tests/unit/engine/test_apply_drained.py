"""Apply where somebody is drained: nobody depends on it, and nothing counts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from quorate.core.act import Run
from quorate.core.plan import Step, Wave
from quorate.core.system import AnySystem, Site, Withdrawal
from quorate.core.verdict import Level, ok
from quorate.engine.apply import apply, look
from quorate.errors import Refused
from toys import toyd, toydb
from worlds.machines import Operator, converged

DB = replace(toydb.SYSTEM, judge=lambda *seen: replace(toydb.SYSTEM.judge(*seen), cluster=ok("a majority serves")))
KEEPER = replace(toyd.SYSTEM, drained=lambda _spec, _site, _views: frozenset({"c2"}))


@pytest.mark.parametrize(("systems", "level"), [((toyd.SYSTEM, DB), Level.UNKNOWN), ((KEEPER, DB), Level.OK)])
async def test_a_drained_one_that_is_off_was_announced(systems: tuple[AnySystem, ...], level: Level) -> None:
    machines = await converged()
    machines.hosts["c2"].down = "no route to host"
    seen = await look(Operator(machines, systems=systems).operation())
    assert seen.verdict.level is level
    assert seen.drained == (frozenset({"c2"}) if level is Level.OK else frozenset())


async def test_nobody_is_interrupted_whose_place_only_a_drained_one_would_take() -> None:
    machines = await converged()
    operator = Operator(machines, systems=(KEEPER, toydb.SYSTEM), port=7701)
    with pytest.raises(Refused, match="c2 drained"):
        await apply(operator.operation())
    assert machines.acts == []


async def test_who_was_started_anew_meanwhile_is_told_once_more_that_one_is_drained() -> None:
    """A proxy, say: it learns that when it is told, and forgets it in a restart."""
    machines = await converged()
    told = [0]

    def drain(_spec: object, _site: Site, _views: object) -> Sequence[Withdrawal]:
        restarts = sum("restart toyd" in act for act in machines.acts)
        if restarts in told:
            return ()
        act = Run(title="say it", argv=("toyd-health",))
        wave = Wave(title="say who is drained", steps=(Step(host="c1", title="say", acts=(act,)),))
        return (Withdrawal(wave),)

    def play(act: str) -> None:
        if "say it" in act:
            told.append(sum("restart toyd" in done for done in machines.acts))

    machines.before_act = lambda _host, act: play(str(act))
    keeper = replace(KEEPER, drain=drain, quorum="one")
    outcome = await Operator(machines, systems=(keeper, toydb.SYSTEM), workers=9).apply()
    assert outcome.verdict.is_ok
    assert told == [0, 3]
