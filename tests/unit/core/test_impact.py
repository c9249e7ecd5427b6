"""What interruptions do: by the formulas of drills, of each wave and of a whole plan."""

from __future__ import annotations

from typing import Any

import pytest
from systems_clouds import build, builtin, site

from quorate import systems
from quorate.cli.plan import as_text
from quorate.core.act import SetUnit
from quorate.core.drill import Roles
from quorate.core.impact import all_foretold, foretold, in_all
from quorate.core.plan import Impact, Plan, Step, Wave

SYSTEMS = systems.discover()
CLOUD = build(builtin("three", {system.name: {} for system in SYSTEMS}), SYSTEMS)
SITE = site(CLOUD, SYSTEMS, {})


def plain(system: str, unit: str, verb: str = "restart", *, disturbs: bool = True, **impact: Any) -> Wave:
    act = SetUnit.model_validate({"name": unit, "verb": verb})
    step = Step(host="controller1", title=f"{system} on controller1", acts=(act,), disturbs=disturbs)
    told = Impact(pauses={}, left=2, least=2, **impact) if disturbs else None
    return Wave(title=f"{system}: controller1", system=system, steps=(step,), impact=told)


def wave(*words: str, known: Roles | None = None, **more: Any) -> Wave:
    return foretold(plain(*words, **more), SITE, SYSTEMS, known or {})


def test_a_restart_of_the_writer_holds_up_writes_and_what_reads() -> None:
    impact = wave("galera", "mariadb.service").impact
    assert impact is not None
    assert 0.3 < impact.pauses["database_write"] < 5.0
    assert impact.pauses["token_issue"] >= impact.pauses["database_read"]


def test_a_proxy_that_restarts_is_missed_and_an_api_that_takes_its_leave_is_not() -> None:
    proxy, api = wave("haproxy", "haproxy.service").impact, wave("keystone", "keystone.service").impact
    assert proxy is not None
    assert "virtual_ip" in proxy.pauses
    assert api is not None
    assert api.pauses == {}


def test_a_reload_takes_nobody_away_and_a_start_interrupts_nobody() -> None:
    impact = wave("haproxy", "haproxy.service", "reload").impact
    assert impact is not None
    assert impact.pauses == {}
    assert wave("haproxy", "haproxy.service", "start", disturbs=False).impact is None


def test_a_plan_says_it_of_each_wave_and_of_all_together() -> None:
    one = wave("galera", "mariadb.service")
    made = Plan(cloud="lab", made="now", waves=(one, one), world="")
    assert one.impact is not None
    seconds = one.impact.pauses["database_write"]
    assert in_all(made)["database_write"] == pytest.approx(2 * seconds)
    assert f"database_write at most {seconds:.1f} s" in as_text(made)
    assert "; 2 members go on, 2 must" in as_text(made)
    assert f"pauses in all, at most: database_write {2 * seconds:.1f} s" in as_text(made)


def test_who_is_known_not_to_write_is_not_missed() -> None:
    other = wave("galera", "mariadb.service", known={"writer": "controller3"}).impact
    assert other is not None
    assert other.pauses == {}


def test_where_a_part_has_moved_to_nobody_knows() -> None:
    writer = plain("galera", "mariadb.service", plays=("writer",))
    first, second = all_foretold([writer, writer], SITE, SYSTEMS, {"writer": "controller1"})
    assert first.impact == second.impact
    assert second.impact is not None
    assert "database_write" in second.impact.pauses
    told = as_text(Plan(cloud="lab", made="now", waves=(first,), world=""))
    assert "it is the writer, which clients notice: it comes last" in told
