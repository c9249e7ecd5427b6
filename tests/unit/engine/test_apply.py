from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import inf

import pytest

from quorate.core.act import Act
from quorate.core.plan import Plan
from quorate.core.verdict import Level
from quorate.engine.apply import SETTLES, look
from quorate.errors import QuorateError, Refused, Unreachable
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeHost, FakePath
from worlds.machines import DATA, SECRETS, VALUES, Machines, Operator, converged

CHANGED = 9
"""So many workers of toyd: its file, and so its unit, differ on every controller."""


def restarts(machines: Machines) -> list[str]:
    return [act for act in machines.acts if "restart" in act]


async def test_a_fresh_cloud_converges_and_the_second_run_does_nothing() -> None:
    machines = Machines()
    first = await Operator(machines).apply()
    assert first.verdict.is_ok
    assert machines.bootstraps == ["c1"]
    assert {host.paths[DATA].content for host in machines.hosts.values()} == {"cluster1"}
    machines.acts.clear()
    again = Operator(machines)
    second = await again.apply()
    assert second.plan.is_empty
    assert second.verdict.is_ok
    assert (machines.acts, again.journal.lines, again.progress) == ([], [], [])


async def test_secrets_reach_the_files_and_nothing_else() -> None:
    machines = Machines()
    operator = Operator(machines)
    outcome = await operator.apply()
    for host in machines.hosts.values():
        assert f"password = {VALUES['toydb.password']}\n" in (host.paths["/etc/toydb.conf"].content or "")
        assert f"toyd:{VALUES['toyd.database']}@10.0.0.10:7700\n" in (host.paths["/etc/toyd.conf"].content or "")
    told = [operator.journal.lines, operator.progress, outcome.plan.model_dump(mode="json"), str(outcome)]
    assert not any(value in json.dumps(told) for value in VALUES.values())


async def test_members_are_interrupted_one_by_one_in_the_order_of_the_file() -> None:
    machines = await converged()
    operator = Operator(machines, workers=CHANGED, port=7701)
    assert (await operator.apply()).verdict.is_ok
    assert restarts(machines) == [
        f"{host}: restart {unit}" for unit in ("toydb.service", "toyd.service") for host in ("c1", "c2", "c3")
    ]
    assert machines.bootstraps == ["c1"]


async def test_a_replaced_file_is_kept() -> None:
    machines = await converged(workers=2)
    await Operator(machines, workers=CHANGED).apply()
    kept = machines.hosts["c1"].backups["run1", "/etc/toyd.conf"]
    assert "workers = 2\n" in (kept.content or "")


async def test_a_stranger_s_edit_is_mended_without_a_restart() -> None:
    machines = await converged()
    conf = machines.hosts["c2"].paths["/etc/toyd.conf"]
    machines.hosts["c2"].paths["/etc/toyd.conf"] = FakePath("workers = 0\n", 0o644, mtime=machines.time.now)
    assert (await Operator(machines).apply()).verdict.is_ok
    assert machines.acts == ["c2: write /etc/toyd.conf"]
    assert machines.hosts["c2"].paths["/etc/toyd.conf"].content == conf.content


async def test_a_reboot_needs_nothing() -> None:
    machines = await converged()
    machines.hosts["c2"].reboot()
    machines.settle()
    assert (await Operator(machines).apply()).plan.is_empty


# --- the approved plan -----------------------------------------------------------------------------------------------


async def planned(operator: Operator) -> Plan:
    return (await look(operator.operation())).plan


async def test_the_approved_plan_is_done() -> None:
    machines = await converged()
    operator = Operator(machines, workers=CHANGED)
    approved = Plan.model_validate_json((await planned(operator)).model_dump_json())
    machines.time.now += 3600.0
    outcome = await operator.apply(approved=approved)
    assert outcome.plan.fingerprint == approved.fingerprint
    assert outcome.verdict.is_ok


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c2: c2.paths.pop("/etc/toyd.conf"), "  now also to do on c2: + /etc/toyd.conf (3 lines)"),
        (lambda c2: c2.sysctls.update({"net.toy": "0"}), "  now also to do on c2: ~ sysctl net.toy: 0"),
        (lambda c2: c2.units.pop("toyd.service"), "  no longer to do on c2: ! restart toyd.service"),
    ],
)
async def test_an_approved_plan_is_refused_once_the_world_has_changed(
    change: Callable[[FakeHost], object], told: str
) -> None:
    machines = await converged()
    operator = Operator(machines, workers=CHANGED)
    approved = await planned(operator)
    change(machines.hosts["c2"])
    with pytest.raises(Refused, match="the world has changed since the plan was made") as refused:
        await operator.apply(approved=approved)
    assert told in refused.value.message
    assert machines.acts == []


async def test_an_approved_plan_is_refused_for_another_cloud_file() -> None:
    machines = await converged()
    approved = await planned(Operator(machines, workers=CHANGED))
    with pytest.raises(Refused, match=r"no longer to do on c1: \+workers = 9"):
        await Operator(machines).apply(approved=approved)
    assert machines.acts == []


# --- who is missing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["down", "hang"])
async def test_a_missing_controller_is_refused_unless_it_is_left_out(how: str) -> None:
    machines = await converged()
    setattr(machines.hosts["c3"], how, "no route to host")
    with pytest.raises(Refused, match="c3 cannot be seen: ") as refused:
        await Operator(machines, workers=CHANGED).apply()
    assert refused.value.hint == "To go on with the rest: quorate apply --without c3"
    assert machines.acts == []


async def test_without_the_missing_one_the_rest_is_done() -> None:
    machines = await converged()
    machines.hosts["c3"].down = "no route to host"
    outcome = await Operator(machines, workers=CHANGED).apply(without=("c3",))
    assert outcome.verdict.is_ok, outcome.verdict.reason
    assert restarts(machines) == [
        "c1: restart toyd.service",
        "c2: restart toyd.service",
    ]
    machines.hosts["c3"].down = ""
    machines.settle()
    assert (await Operator(machines, workers=CHANGED).apply()).verdict.is_ok
    assert machines.acts[-1] == "c3: restart toyd.service"


async def test_without_one_a_majority_of_three_is_not_interrupted() -> None:
    machines = await converged()
    machines.hosts["c3"].down = "no route to host"
    with pytest.raises(Refused, match="interrupting c1 would leave 1 healthy member, 2 needed"):
        await Operator(machines, port=7701).apply(without=("c3",))
    assert machines.acts == []


async def test_nothing_is_bootstrapped_while_one_was_not_looked_at() -> None:
    machines = Machines()
    with pytest.raises(Refused, match="data may lie where nobody looked\n  c3: left out by --without"):
        await Operator(machines).apply(without=("c3",))
    assert machines.acts == []


class Mined:
    """A way that nobody may go."""

    host = "c3"

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, timeout: float, reach: float = inf) -> Completed:
        raise AssertionError(f"c3 was contacted: {argv[0]} {len(stdin)} {timeout} {reach}")

    async def close(self) -> None:
        raise AssertionError("c3 was contacted")


async def test_who_is_left_out_is_not_contacted() -> None:
    machines = await converged()
    operation = Operator(machines, transports={"c3": Mined()}).operation()
    seen = await look(operation, without=("c3",))
    assert seen.plan.missing == ()
    assert seen.verdict.is_ok, "what is unknown only because someone was left out does not count"
    assert seen.judgements["toydb"].members["c3"].level is Level.UNKNOWN


async def test_a_cluster_that_is_unknown_only_for_those_left_out_is_not_held_against_the_rest() -> None:
    machines = await converged()
    op = Operator(machines).operation()
    seen = await look(op, without=("c2", "c3"))
    assert seen.judgements["toydb"].cluster.level is Level.UNKNOWN
    assert seen.verdict.is_ok
    machines.hosts["c2"].down = machines.hosts["c3"].down = "no route to host"
    assert (await look(op)).verdict.level is Level.UNKNOWN, "nobody said that they are left out"


# --- what goes wrong on the way --------------------------------------------------------------------------------------


async def test_a_gate_that_does_not_open_stops_before_the_next_controller() -> None:
    machines = await converged()

    def sicken(host: FakeHost, act: Act) -> None:
        if str(act) == "restart toydb.service":
            machines.sick.add(host.name)

    machines.before_act = sicken
    operator = Operator(machines, port=7701)
    began = machines.time.now
    with pytest.raises(QuorateError, match="toydb is not well 20 s after the change, so nothing further was touched: "):
        await operator.apply()
    assert [act for act in machines.acts if not act.startswith("c1")] == []
    assert 20.0 <= machines.time.now - began < 25.0
    assert "end" not in {line["event"] for line in operator.journal.lines}


async def test_a_member_that_falls_ill_after_the_plan_stops_the_next_interruption() -> None:
    machines = await converged()
    operator = Operator(machines, port=7701)
    operator.journal.on_write = lambda event: machines.sick.add("c2") if event == "start" else None
    with pytest.raises(Refused, match="stopped before toydb: interrupting c1 would leave 1 healthy member, 2 needed"):
        await operator.apply()
    assert machines.acts == []


async def test_an_act_that_fails_names_the_controller_and_the_act_and_hides_secrets() -> None:
    machines = Machines()
    play = machines.play

    def chatty(host: FakeHost, argv: tuple[str, ...], stdin: bytes) -> Completed | None:
        leak = f"cannot log in with {VALUES['toydb.password']}".encode()
        return Completed(1, b"", leak) if argv[0] == "toydb-bootstrap" else play(host, argv, stdin)

    for host in machines.hosts.values():
        host.programs = chatty
    operator = Operator(machines)
    with pytest.raises(QuorateError) as failed:
        await operator.apply()
    reference = SECRETS.mask(VALUES["toydb.password"])
    assert failed.value.message == f"c1: bootstrap toydb: exit code 1: cannot log in with {reference}"
    assert operator.journal.lines[-1]["event"] == "failed"
    assert VALUES["toydb.password"] not in json.dumps(operator.journal.lines)
    assert machines.acts[-1] == "c1: bootstrap toydb", "what comes after it is not tried"


async def test_one_that_fails_among_several_does_not_hide_what_the_others_did() -> None:
    machines = Machines()
    machines.hosts["c2"].unavailable = {"toyd"}
    operator = Operator(machines)
    with pytest.raises(QuorateError, match="c2: install toydb, toyd: apt-get install: exit code 100"):
        await operator.apply()
    ends = [(line["event"], line["host"]) for line in operator.journal.lines if line["event"] in {"done", "failed"}]
    assert ends == [("done", "c1"), ("failed", "c2"), ("done", "c3")]
    assert machines.bootstraps == []


async def test_a_controller_that_falls_silent_is_named() -> None:
    machines = Machines()
    machines.hosts["c2"].cut_after(2)
    with pytest.raises(Unreachable, match="c2: "):
        await Operator(machines).apply()
    assert machines.bootstraps == []


async def test_a_run_that_lost_its_lease_may_not_act() -> None:
    machines = await converged()
    operator = Operator(machines, workers=CHANGED)

    def steal(event: str) -> None:
        if event == "act":
            machines.hosts["c1"].lease = ("other", {"operator": "bob@desk"}, machines.time.now + 30.0)

    operator.journal.on_write = steal
    with pytest.raises(Refused, match=r"c1 refuses: lost lease: .*bob@desk"):
        await operator.apply()
    assert machines.acts == []


async def test_only_the_last_look_says_converged() -> None:
    machines = await converged()
    operator = Operator(machines, workers=CHANGED)

    def meddle(host: FakeHost, act: Act) -> None:
        if host.name == "c3" and str(act) == "restart toyd.service":
            machines.hosts["c1"].sysctls["net.toy"] = "0"

    machines.before_act = meddle
    outcome = await operator.apply()
    assert outcome.verdict.level is Level.FAILING
    assert "still to do: c1: ~ sysctl net.toy: 0" in outcome.verdict.reason
    assert operator.journal.lines[-1]["outcome"] == "failing"


async def test_the_last_look_waits_for_who_is_not_well_yet() -> None:
    machines = await converged()
    machines.hosts["c1"].sysctls["net.toy"] = "0"
    machines.before_act = lambda _host, _act: machines.hosts["c2"].start("toyd.service")
    outcome = await Operator(machines).apply()
    assert outcome.verdict.is_ok
    assert 2.0 <= outcome.seconds < 5.0


async def test_the_last_look_does_not_wait_for_ever() -> None:
    machines = await converged()
    machines.hosts["c1"].sysctls["net.toy"] = "0"
    machines.before_act = lambda _host, _act: machines.sick.add("c2")
    outcome = await Operator(machines).apply()
    assert outcome.verdict.level is Level.FAILING
    assert "toyd-health: exit code 3" in outcome.verdict.reason
    assert 20.0 <= outcome.seconds < 25.0


async def test_a_run_with_nothing_to_do_waits_for_what_an_earlier_one_began() -> None:
    machines = await converged()
    machines.hosts["c2"].start("toyd.service")
    operator = Operator(machines)
    outcome = await operator.apply()
    assert (outcome.plan.is_empty, outcome.verdict.level, operator.journal.lines) == (True, Level.OK, [])
    assert outcome.seconds < SETTLES


async def test_a_run_with_nothing_to_do_does_not_wait_long_for_what_is_ill() -> None:
    machines = await converged()
    machines.sick.add("c2")
    outcome = await Operator(machines).apply()
    assert (outcome.plan.is_empty, outcome.verdict.level) == (True, Level.FAILING)
    assert SETTLES <= outcome.seconds < SETTLES + 3.0


async def test_what_a_controller_says_as_it_falls_silent_is_masked_in_the_journal() -> None:
    machines = Machines()

    def babble(host: FakeHost, _act: Act) -> None:
        host.down = f"closed: {VALUES['toydb.password']}"

    machines.before_act = babble
    operator = Operator(machines)
    with pytest.raises(Unreachable):
        await operator.apply()
    failed = [line["error"] for line in operator.journal.lines if line["event"] == "failed"]
    assert failed[0] == SECRETS.mask(f"c1: closed: {VALUES['toydb.password']}")
    assert VALUES["toydb.password"] not in json.dumps(operator.journal.lines)


# --- the journal -----------------------------------------------------------------------------------------------------


async def test_every_act_is_in_the_journal_before_it_is_done() -> None:
    machines = Machines()
    operator = Operator(machines)
    told: list[str] = []

    def compare(host: FakeHost, act: Act) -> None:
        told.append(f"{host.name}: {act}")
        lines = [f"{line['host']}: {line['act']}" for line in operator.journal.lines if line["event"] == "act"]
        assert told[-1] in lines

    machines.before_act = compare
    await operator.apply()
    assert sorted(told) == sorted(machines.acts)
    assert operator.journal.lines[0]["event"] == "start"
    assert operator.journal.lines[-1]["event"] == "end"


async def test_what_cannot_be_journalled_is_not_done() -> None:
    machines = Machines()
    operator = Operator(machines)

    def full(event: str) -> None:
        if event == "act":
            raise OSError(28, "No space left on device")

    operator.journal.on_write = full
    with pytest.raises(OSError, match="No space left"):
        await operator.apply()
    assert machines.acts == []


async def test_a_controller_that_cannot_be_seen_is_unknown_and_not_failing() -> None:
    machines = await converged()
    machines.hosts["c2"].down = "no route to host"
    seen = await look(Operator(machines).operation())
    assert seen.verdict.level is Level.UNKNOWN
    assert "c2 cannot be seen: no route to host" in seen.verdict.reason
