from __future__ import annotations

import io

from rich.console import Console

from made_runs import Wish, cut_off, made
from quorate.core.campaign import campaign
from quorate.core.findings import Campaign
from quorate.report.campaign import cell, markdown, renderable, row_of


def told() -> Campaign:
    runs = [made(Wish(seed=seed, drill=drill)) for drill in ("power-cut", "silent_cut|x") for seed in (1, 2, 3)]
    return campaign([run.result for run in (*runs, cut_off(made()))])


def test_a_cell_has_median_and_worst_and_marks() -> None:
    one = row_of(told(), "power-cut", "database_write")
    assert one is not None
    assert cell(one.model_copy(update={"measured_s": (1.0, 3.0, 1.5), "unseen": 0, "held": True})) == "1.50 (3.00)"
    assert cell(one.model_copy(update={"measured_s": (2.2, 2.4), "unseen": 1, "held": False})) == "2.30 (2.40) !*?"
    assert cell(one.model_copy(update={"measured_s": ()})) == "?"
    assert cell(None) == "-"


def test_markdown_has_a_row_for_each_drill_and_a_column_for_each_function() -> None:
    lines = markdown(told()).splitlines()
    assert lines[0] == (
        "| drill | token\\_validation | token\\_issue | database\\_write | virtual\\_ip | cache "
        "| lost | two VIP holders | runs |"
    )
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 5
    assert table[3].startswith("| silent\\_cut\\|x | ")
    assert {line.replace("\\|", "").count("|") for line in table} == {10}
    assert table[4] == "| *objective* | 3.00 | 3.00 | 2.00 | 2.00 | 1.00 | 0 | 0 |  |"


def test_markdown_says_below_what_the_table_cannot() -> None:
    text = markdown(told())
    assert "Acknowledged and later not found: 0, and of 1 run nobody can say." in text
    assert "- power-cut, token\\_validation: 1 run of 4 could not be seen." in text
    assert "| 0 (1 unknown) | 0 (1 unknown) | 4 |" in text


def test_the_terminal_gets_the_same_within_its_width() -> None:
    console = Console(file=io.StringIO(), width=200, emoji=False)
    console.print(renderable(told()))
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 100
    assert "Campaign on lab: 7 runs" in lines
    assert any(line.startswith("power-cut, token_validation: 1 run of 4") for line in lines)
    assert "".join(lines).replace("─", "").isascii()
