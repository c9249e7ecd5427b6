"""What workers of one controller tell each other, and what each makes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from balancer_stage import Stage
from quorate.balancer import board
from quorate.balancer.board import OUT, UNKNOWN, UP, Board, Place, place
from quorate.balancer.config import Address, Server

SERVERS = tuple(Server(f"s{n}", Address("10.0.0.1", 1000 + n)) for n in range(3))
OTHERS = (SERVERS[0], SERVERS[2])


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = board.create()
    yield descriptor
    os.close(descriptor)


def boards(memory: int, workers: int = 3) -> list[Board]:
    return [Board(memory, workers, number, SERVERS) for number in range(1, workers + 1)]


def stages(memory: int) -> list[Stage]:
    """Two workers whose servers are up and who know of each other."""
    found = [Stage(), Stage()]
    for number, stage in enumerate(found, 1):
        stage.worker.mending.may_tell = True
        stage.worker.board = Board(memory, 2, number, stage.config.servers)
        stage.worker.update_routes()
    for stage in found:
        stage.worker.heed()
    return found


def test_a_mark_of_one_is_seen_by_all_others_and_not_by_itself(memory: int) -> None:
    first, second, third = boards(memory)
    first.write([UP] * 3, list(".d."))
    for other in (second, third):
        assert other.has_news()
        assert other.read() == []
        assert [other.marked(server) for server in range(3)] == [False, True, False]
        assert not other.has_news()
    assert not first.has_news()
    assert not first.marked(1)
    first.write([UP] * 3, list("..."))
    assert second.has_news()
    second.read()
    assert not second.marked(1)


def test_own_words_hide_no_news(memory: int) -> None:
    first, second, _ = boards(memory)
    first.write([UP] * 3, list("d.."))
    second.write([UP] * 3, list("..w"))
    assert second.has_news()
    second.read()
    assert second.marked(0)
    assert first.has_news()


def test_a_server_is_newly_given_up_once(memory: int) -> None:
    first, second, _ = boards(memory)
    first.write([UP] * 3, list("..."))
    second.read()
    first.write([UP, OUT, UP], list("..."))
    assert second.read() == [(1, 1)]
    assert second.read() == []
    first.write([UP, UNKNOWN, UP], list(".d."))
    assert second.read() == []
    first.write([UP, OUT, UP], list(".d."))
    assert second.read() == [(1, 1)]


def test_a_new_worker_takes_what_was_given_up_before_for_no_news(memory: int) -> None:
    first, *_ = boards(memory)
    first.write([UP, OUT, UP], list(".d."))
    successor = Board(memory, 3, 2, SERVERS)
    assert successor.read() == []
    assert successor.marked(1)


def test_what_a_dead_worker_said_stands_until_its_successor_speaks(memory: int) -> None:
    first, second, _ = boards(memory)
    first.write([UP] * 3, list("d.."))
    successor = Board(memory, 3, 1, SERVERS)
    second.read()
    assert second.marked(0)
    successor.write([UNKNOWN] * 3, list("..."))
    second.read()
    assert not second.marked(0)


def test_who_has_other_servers_is_not_listened_to(memory: int) -> None:
    first, second, _ = boards(memory)
    changed = Board(memory, 3, 2, OTHERS)
    changed.write([UP, OUT], list("dd"))
    assert first.has_news()
    assert first.read() == []
    assert not first.marked(0)
    second.write([UP] * 3, list("d.."))
    first.read()
    assert first.marked(0)


def test_beats_and_beginnings_are_counted_for_each_worker(memory: int) -> None:
    above = Board(memory, 3)
    _, second, _ = boards(memory)
    second.beat()
    second.beat()
    second.serve()
    assert [above.beats(number) for number in (1, 2, 3)] == [0, 2, 0]
    assert [above.served(number) for number in (1, 2, 3)] == [0, 1, 0]


def test_a_process_knows_its_place_from_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place() is None
    given = Place(2, 3, 99, 7, 8, 9)
    for name, value in given.environment().items():
        monkeypatch.setenv(name, value)
    assert place() == given


# --- workers with a board ----------------------------------------------------------------------------------------


def test_what_one_owes_no_other_reads_before_anybody_is_told(memory: int) -> None:
    first, second = stages(memory)
    key = second.key_on(1, 2)
    heard: list[bytes] = []
    feed = second.worker.wary(heard.append)
    first.worker.miss(1, b"md k\r\n")
    assert not first.worker.mending.is_published(1)
    feed(b"get k\r\n")
    assert heard == [b"get k\r\n"]
    assert [backend.server for backend in second.worker.route(key).reads] == [2]


def test_what_one_gives_up_the_others_give_up_once_and_do_not_echo(memory: int) -> None:
    first, second = stages(memory)
    first.worker.give_up(first.backends[1], "does not answer")
    second.worker.sweep()
    assert second.reset == [1]
    assert "server s1 is out: worker 1 has given it up" in second.log
    again = first.connect(1)
    first.worker.sweep()
    assert not again.closed


def test_a_worker_that_was_paused_accuses_nobody(memory: int) -> None:
    first, second = stages(memory)
    first.worker.overslept(first.worker.now + 5)
    second.worker.sweep()
    assert sorted(first.reset) == [0, 1, 2]
    assert second.reset == []


def test_a_worker_that_does_not_know_its_former_debts_hides_none(memory: int) -> None:
    first, second = stages(memory)
    first.worker.miss(1, b"md k\r\n")
    successor = Stage(begun=False)
    successor.worker.board = Board(memory, 2, 1, successor.config.servers)
    successor.worker.update_routes()
    second.worker.sweep()
    assert second.worker.board is not None
    assert second.worker.board.marked(1)


def test_one_worker_alone_pays_nothing() -> None:
    stage = Stage()
    assert stage.worker.wary(stage.client.data_received) == stage.client.data_received
