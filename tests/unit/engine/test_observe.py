from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest

from quorate.core.lasting import DEADLINE
from quorate.core.observed import HostSeen, Unknown
from quorate.core.secret import Secrets, reference
from quorate.engine.observe import observe
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeTransport
from worlds.machines import TOYS, Machines, Operator, converged


async def test_all_controllers_are_seen_with_all_that_is_asked_of_them() -> None:
    op = Operator(await converged()).operation()
    world = await observe(op.site, TOYS, op.transports, op.secrets)
    assert list(world) == ["c1", "c2", "c3"]
    seen = world["c2"]
    assert isinstance(seen, HostSeen)
    assert set(seen.answers) == {"toyd", "toydb"}
    assert {"unit:toyd.service", "unit:toydb.service", "sysctl:net.toy"} <= set(seen.resources)


async def test_a_gate_asks_one_system_s_questions_and_looks_at_nothing_else() -> None:
    op = Operator(await converged()).operation()
    seen = (await observe(op.site, TOYS, op.transports, op.secrets, only="toyd"))["c1"]
    assert isinstance(seen, HostSeen)
    assert set(seen.answers) == {"toyd"}
    assert seen.resources == {}


@pytest.mark.parametrize(("how", "why"), [("down", "no route to host"), ("hang", "python3 did not end within 8 s")])
async def test_who_does_not_answer_is_unknown_with_the_reason(how: str, why: str) -> None:
    machines = await converged()
    setattr(machines.hosts["c2"], how, "no route to host")
    op = Operator(machines).operation()
    world = await observe(op.site, TOYS, op.transports, op.secrets)
    assert world["c2"] == Unknown(why=why)
    assert isinstance(world["c3"], HostSeen)


class Babbling(FakeTransport):
    """A way to a machine that prints what makes no sense."""

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, timeout: float, reach: float = inf) -> Completed:
        done = await super().run(argv, stdin, timeout=timeout, reach=reach)
        assert (timeout, reach) == (DEADLINE, inf)
        return Completed(0, done.out[: len(done.out) // 2], b"")


async def test_a_reply_that_makes_no_sense_is_unknown() -> None:
    machines = Machines()
    op = Operator(machines, transports={"c1": Babbling(machines.hosts["c1"])}).operation()
    seen = (await observe(op.site, TOYS, op.transports, op.secrets))["c1"]
    assert isinstance(seen, Unknown)
    assert "its reply makes no sense" in seen.why


class Telltale(FakeTransport):
    """A way to a machine whose programs print a secret."""

    async def run(self, argv: Sequence[str], stdin: bytes = b"", *, timeout: float, reach: float = inf) -> Completed:
        done = await super().run(argv, stdin, timeout=timeout, reach=reach)
        return Completed(done.code, done.out.replace(b"not found", b"not found: hush-hush-hush"), done.err)


async def test_a_secret_that_a_program_printed_is_masked_before_anybody_judges_it() -> None:
    machines = Machines()
    op = Operator(machines, transports={"c1": Telltale(machines.hosts["c1"])}).operation()
    secrets = Secrets({"toy.password": "hush-hush-hush"})
    seen = (await observe(op.site, TOYS, op.transports, secrets))["c1"]
    assert "hush-hush-hush" not in str(seen)
    assert reference("toy.password") in str(seen)
