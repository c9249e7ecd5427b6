"""Who held the address: the judge, frame by frame."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.lab import sightings
from quorate.lab.sightings import Judgement, Run, Sighting, added, judge
from quorate.lab.witness import program, sighting


def judged(*frames: tuple[float, str]) -> Judgement:
    """Judge frames: (time, holder), the holder with a `!` where it announces."""
    runs: list[Run] = []
    for at, who in frames:
        assert added(runs, Sighting(at, who.rstrip("!"), announced=who.endswith("!")))
    return judge(runs)


def test_nobody() -> None:
    assert judged() == Judgement((), (), ())


def test_one_holder() -> None:
    assert judged((0, "a!"), (1, "a"), (2, "a")) == Judgement(("a",), (), ())


def test_a_failover_is_a_move_with_its_gap() -> None:
    seen = judged((0, "a!"), (5, "a"), (7, "b!"), (8, "b"))
    assert seen.overlaps == ()
    assert [(move.source, move.target, move.gap) for move in seen.moves] == [("a", "b", 2)]


def test_a_failover_that_nobody_announced_is_still_one() -> None:
    assert judged((0, "a"), (7, "b"), (8, "b")).overlaps == ()


def test_a_failback_announces_itself() -> None:
    assert judged((0, "a!"), (7, "b!"), (20, "a!"), (21, "a")).overlaps == ()


def test_a_failback_may_answer_a_moment_before_it_announces() -> None:
    assert judged((0, "a!"), (7, "b!"), (20, "a"), (20.5, "a!"), (21, "a")).overlaps == ()


def test_who_comes_back_without_a_word_never_let_go() -> None:
    (overlap,) = judged((0, "a!"), (7, "b!"), (9, "b"), (20, "a")).overlaps
    assert (overlap.stayed, overlap.other, overlap.begin, overlap.end) == ("a", "b", 7, 20)


def test_who_announces_itself_too_late_never_let_go() -> None:
    assert judged((0, "a!"), (7, "b!"), (20, "a"), (21.5, "a!")).overlaps


def test_two_that_announce_in_turns_hold_it_both() -> None:
    assert judged((0, "a!"), (0.4, "b!"), (0.8, "a!"), (1.2, "b!")).overlaps


def test_the_other_is_caught_when_it_goes_on_after_a_failback() -> None:
    (overlap,) = judged((0, "a!"), (7, "b!"), (20, "a!"), (21, "b"), (22, "b")).overlaps
    assert (overlap.stayed, overlap.other) == ("b", "a")


def test_a_third_holder_between_is_named() -> None:
    (overlap,) = judged((0, "a!"), (5, "b!"), (10, "c!"), (15, "a")).overlaps
    assert (overlap.stayed, overlap.other, overlap.begin) == ("a", "b", 5)


@given(st.lists(st.tuples(st.floats(0.001, 0.5), st.sampled_from("ab")), min_size=3))
def test_without_announcements_any_return_is_an_overlap(steps: list[tuple[float, str]]) -> None:
    at, frames = 0.0, []
    for pause, who in steps:
        at += pause
        frames.append((at, who))
    order = [who for index, (_, who) in enumerate(frames) if index == 0 or frames[index - 1][1] != who]
    assert bool(judged(*frames).overlaps) == (len(order) > 2)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_an_announced_move_every_two_seconds_is_never_an_overlap(holders: list[str]) -> None:
    frames = []
    for index, who in enumerate(holders):
        frames += [(index * 2.0, f"{who}!"), (index * 2.0 + 0.9, who)]
    assert judged(*frames).overlaps == ()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "MOST_RUNS", 2)
    runs: list[Run] = []
    assert added(runs, Sighting(0, "a"))
    assert added(runs, Sighting(1, "b"))
    assert added(runs, Sighting(2, "b"))
    assert not added(runs, Sighting(3, "a"))
    assert [run.count for run in runs] == [1, 2]


VIP = ipaddress.IPv4Address("10.77.0.100")
OTHER = ipaddress.IPv4Address("10.77.0.101")


def arp(sender: ipaddress.IPv4Address, target: ipaddress.IPv4Address) -> bytes:
    body = bytes.fromhex("0001080006040001") + b"MACADR" + sender.packed + bytes(6) + target.packed
    return b"\xff" * 6 + b"MACADR" + b"\x08\x06" + body


def ipv4(source: ipaddress.IPv4Address, target: ipaddress.IPv4Address) -> bytes:
    return b"\xff" * 6 + b"MACADR" + b"\x08\x00" + b"\x45" + bytes(11) + source.packed + target.packed + bytes(8)


FRAMES = [
    (arp(VIP, VIP), Sighting(1.0, b"MACADR".hex(":"), announced=True)),
    (arp(VIP, OTHER), Sighting(1.0, b"MACADR".hex(":"))),
    (arp(OTHER, VIP), None),
    (ipv4(VIP, OTHER), Sighting(1.0, b"MACADR".hex(":"))),
    (ipv4(OTHER, VIP), None),
    (b"\xff" * 12 + b"\x86\xdd" + bytes(50), None),
    (b"", None),
    (arp(VIP, VIP)[:30], None),
]


@pytest.mark.parametrize(("frame", "seen"), FRAMES)
def test_only_frames_of_a_holder_are_sightings(frame: bytes, seen: Sighting | None) -> None:
    assert sighting(frame, VIP, 1.0) == seen


def accepted(frame: bytes) -> bool:
    """Run the kernel's filter as the kernel does."""
    steps, at, value = program(VIP), 0, 0
    while True:
        code, yes, no, k = steps[at]
        at += 1
        if code == 0x06:
            return k > 0
        if code in (0x28, 0x20):
            size = 2 if code == 0x28 else 4
            if k + size > len(frame):
                return False
            value = int.from_bytes(frame[k : k + size], "big")
        else:
            at += yes if value == k else no


@pytest.mark.parametrize(("frame", "seen"), FRAMES)
def test_the_kernels_filter_says_the_same(frame: bytes, seen: Sighting | None) -> None:
    if len(frame) >= 42 or not frame:
        assert accepted(frame) == (seen is not None)
