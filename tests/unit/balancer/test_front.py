"""The pages of several workers as one, and the state of several as one."""

from __future__ import annotations

from balancer_stage import Stage
from quorate.balancer import front, pages
from quorate.balancer.handover import ClientState, State
from quorate.balancer.sockets import Left, gathered

GET = b"GET %b HTTP/1.1\r\n\r\n"


def answers(path: bytes, count: int = 2) -> list[str | None]:
    return [pages.answer(GET % path, Stage().worker).decode() for _ in range(count)]


def test_every_sample_names_its_worker_and_stands_with_its_kind() -> None:
    lines = front.metrics(answers(b"/metrics")).splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all('{worker="1"' in line or '{worker="2"' in line for line in samples)
    assert 'quorate_balancer_clients{worker="2"} 0' in samples
    assert 'quorate_balancer_server_up{worker="1",server="s2"} 1' in samples
    kinds = [line for line in lines if line.startswith("#")]
    assert len(kinds) == len(set(kinds))
    for kind in kinds:
        begin = lines.index(kind) + 1
        name = kind.split()[2]
        end = next((n for n, line in enumerate(lines[begin:], begin) if line.startswith("#")), len(lines))
        assert all(line.startswith(name) for line in lines[begin:end])
        assert sum(line.partition("{")[0] == name for line in samples) in {end - begin, 0}


def test_a_worker_that_does_not_answer_is_told_as_such() -> None:
    told = [*answers(b"/metrics", 1), None]
    assert 'quorate_balancer_worker_up{worker="2"} 0\n' in front.metrics(told)
    status, body = front.health([*answers(b"/health", 1), None])
    assert status == pages.UNWELL
    assert body.endswith("worker 2: DOES NOT ANSWER\n")


def test_health_is_the_worst_of_all() -> None:
    assert front.health(answers(b"/health"))[0] == pages.WELL
    blind = Stage()
    blind.worker.now += 5
    told = [*answers(b"/health", 1), pages.answer(GET % b"/health", blind.worker).decode()]
    status, body = front.health(told)
    assert status == pages.UNWELL
    assert "worker 2: NO QUORUM" in body


def test_what_more_workers_left_goes_to_the_first() -> None:
    first = State({1: ClientState(b"a")}, {"s0": [b"md k\r\n"], "s1": None}, "me", 5, ("s2",))
    third = State({9: ClientState(b"b")}, {"s0": [b"md l\r\n"], "s1": [b"md m\r\n"], "s2": None}, "you", 7, ("s2",))
    left = gathered({1: Left(first), 2: Left(State(seq=3)), 3: Left(third)}, 2)
    assert sorted(left) == [1, 2]
    assert left[1].state == State(
        {1: ClientState(b"a"), 9: ClientState(b"b")},
        {"s0": [b"md k\r\n", b"md l\r\n"], "s1": None, "s2": None},
        "me",
        7,
        ("s2",),
    )
