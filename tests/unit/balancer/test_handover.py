"""What one process of the balancer leaves to the next."""

from __future__ import annotations

from balancer_stage import Stage
from quorate.balancer.handover import ClientState, State, decode


def test_the_state_comes_back_as_it_was() -> None:
    state = State({7: ClientState(b"se", b"\xff", 3)}, {"s1": [b"md k\r\n"], "s2": None}, "me", 9, ("s0",))
    assert decode(state.encode()) == state


def test_debts_go_on_and_wait_until_old_connections_are_surely_gone() -> None:
    before, after = Stage(), Stage(begun=False)
    before.worker.miss(1, b"md k\r\n")
    before.worker.health[2].filling = True
    after.worker.inherit(decode(before.worker.leave({}).encode()))
    assert after.worker.marks == ".df"
    for number in range(3):
        after.connect(number)
        after.serve(number)
    assert b"md k\r\n" not in b"".join(after.probe() for _ in range(8))
    assert b"md k\r\n" in b"".join(after.probe() for _ in range(8))
