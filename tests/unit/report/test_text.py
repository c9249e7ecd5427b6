from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from made_runs import CLIENTS, Wish, cut_off, empty, made, named
from quorate.core.record import Mark
from quorate.report.text import WIDTH, forecast, report


def shown(what: RenderableType, width: int = 200) -> list[str]:
    console = Console(file=io.StringIO(), width=width, emoji=False)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_it_says_everything_without_a_colour() -> None:
    text = "\n".join(shown(report([made(Wish(slower=1.4))])))
    assert "\x1b" not in text
    for expected in (
        "verdict: failing: out for longer than promised: token_issue, database_write",
        "missed: token_issue: out for 3.29 s; the objective is 3.00 s and at most 2.90 s were predicted",
        "1.54 s until 10.77.0.100, 10.77.1.100 went to controller2",
        "lost: 0; alarm after 1.00 s; redundancy back 13.50 s after the heal",
        "failing stale-reads: 1 read gave a value older",
        "key q:17 gave 3 at 9.52 s",
    ):
        assert expected in text
    assert "vip-holders" not in text  # it is ok


@pytest.mark.parametrize("width", [200, WIDTH, 80, 40])
def test_no_line_is_wider_than_it_may_be(width: int) -> None:
    lines = shown(report([made(), cut_off(made())]), width)
    assert max(map(len, lines)) <= min(width, WIDTH)


def test_every_client_has_a_line_with_its_failures_under_the_fault() -> None:
    lines = shown(report([made()]))
    marks = next(line for line in lines if line.strip().startswith("F"))
    for name, _, _, out, _ in CLIENTS:
        strip = next(line for line in lines if line.startswith(f"{name} ") and "..." in line)
        assert len(strip) == WIDTH
        assert (strip[marks.index("F")] in "x?") is (out > 0)


def test_letters_are_explained() -> None:
    lines = shown(report([made()]))
    assert (
        "A alarm at 9.00 s (+1.00 s): status said failing (corosync: controller1 is lost, galera: 2 of 3 are" in lines
    )
    assert ". ok   x failed   ? unknown" in lines


def test_letters_that_would_fall_together_stand_side_by_side() -> None:
    run = made()
    run.record.marks = [mark for mark in run.record.marks if mark.name != "heal"]
    run.record.marks.append(Mark(name="heal", at=8.0))
    marks = next(line for line in shown(report([run])) if line.strip().startswith("F"))
    assert "".join(marks.split()) == "FHATW"


def test_a_record_that_was_cut_off_or_is_empty() -> None:
    assert "note: The record of this run was cut off. What it does not show is unknown." in shown(
        report([cut_off(made())])
    )
    assert sum("nothing was seen" in line for line in shown(report([empty(Wish(clients=CLIENTS[:2]))]))) == 4
    assert "No client was at work." in shown(report([empty(Wish(clients=()))]))


def test_what_a_host_says_does_not_steer_the_terminal() -> None:
    text = "\n".join(shown(report([named(made(), "\x1b[2J[bold]evil")])))
    assert "\x1b" not in text
    assert "went to \\x1b[2J[bold]evil" in text


def test_the_forecast_says_what_should_come_and_why() -> None:
    lines = shown(forecast(made().record.header))
    text = "\n".join(lines)
    for expected in (
        "Drill power-cut on lab: The power of controller1, which holds the virtual IP, is cut",
        "hit: machine on controller1 (silent)",
        "1.00 s detection (corosync totem.token 1000 ms)",
        "then served by controller2 or controller3",
    ):
        assert expected in text
    assert any(line.split() == ["token_issue", "2.90", "s", "3.00", "s"] for line in lines)
    assert max(map(len, lines)) <= WIDTH
