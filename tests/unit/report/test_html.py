from __future__ import annotations

import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib as mpl
import pytest

from made_runs import CLIENTS, INJECT, Wish, cut_off, empty, made, named
from quorate.core.history import Operation
from quorate.core.record import Client, Mark
from quorate.report.html import index, page
from quorate.report.run import Run

HOSTILE = '<script>alert("1")</script>'


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.open.append(tag)
        if tag in ("p", "td", "th", "li", "div", "h1", "h2", "h3"):
            self.words += " "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data


@pytest.fixture(scope="module")
def told() -> str:
    return page([made()])


def test_it_tells_verdict_table_and_evidence_in_words(told: str) -> None:
    words = " ".join(Reader(told).words.split())
    for expected in (
        "failing out for longer than promised",
        "Predicted, measured, objective",
        "token_validation 2.90 s",
        "Acknowledged and later not found: 0.",
        "Status raised an alarm 1.00 s after the fault.",
        "corosync totem.token 1000 ms",
        "ConnectTimeout: no route to 10.77.0.100",
        "stale-reads: 1 read gave a value older",
        "key q:17 gave 3 at 9.52 s",
        "Most of the time",
    ):
        assert expected in words


def test_every_client_has_a_lane_in_both_timelines(told: str) -> None:
    for label in ("Timeline of every client around the fault", "Timeline of the whole"):
        (picture,) = re.findall(rf'<svg role="img" aria-label="{label}.*?</svg>', told, re.DOTALL)
        for name, *_ in CLIENTS:
            assert len(re.findall(rf"<text [^>]*>{name}(?:[: ][^<]*)?</text>", picture)) == 1


def test_every_moment_is_marked_in_words(told: str) -> None:
    for mark in ("fault at 8.00 s", "alarm +1.00 s", "takeover +1.10 s", "heal +30.00 s", "whole +43.50 s"):
        assert f">{mark}</text>" in told


def test_it_loads_nothing_and_runs_nothing(told: str) -> None:
    assert re.findall(r"https?:|@import|<script|<link|<iframe|<image|javascript:", told) == []
    for _, attributes in Reader(told).tags:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#")
    assert re.findall(r"url\((?!#)", told) == []
    assert "default-src 'none'" in told


def test_what_is_referred_to_is_there_and_named_once() -> None:
    text = page([made(Wish(seed=1)), made(Wish(seed=2, drill="freeze"))])
    ids = [attributes["id"] for _, attributes in Reader(text).tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"(?:href=\"|url\()#([^\")]+)", text)) <= set(ids)


def test_the_same_run_gives_the_same_bytes(told: str) -> None:
    assert page([made()]) == told


def test_it_leaves_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    page([made()])
    assert dict(mpl.rcParams) == before


def test_what_hosts_and_clients_say_is_escaped() -> None:
    hostile = Client(name=HOSTILE, function=HOSTILE, objective="cache", rate=1, at=HOSTILE)
    run = named(made(Wish(host=HOSTILE, note=HOSTILE)), HOSTILE)
    header = run.record.header.model_copy(update={"workloads": (*run.record.header.workloads, hostile)})
    rows = tuple(row.model_copy(update={"function": HOSTILE, "reason": HOSTILE}) for row in run.result.rows)
    result = run.result.model_copy(update={"rows": rows, "reason": HOSTILE, "cloud": HOSTILE, "run": HOSTILE})
    for text in (page([Run(result, replace(run.record, header=header))]), page([Run(result, run.record)] * 2)):
        assert "<script" not in text
        assert "script" not in {tag for tag, _ in Reader(text).tags}
        assert "&lt;script&gt;" in text


def test_control_characters_are_shown_and_names_of_any_script_drawn() -> None:
    run = made(Wish(note="\x1b[31mred \u202e \ud800", clients=(("控制 $x^2$ & Co", "cache", "", 1.0, 1.0),)))
    text = page([run])
    assert "\\x1b[31mred \\u202e \\ud800" in text
    assert text.count("控制 $x^2$ &amp; Co") == 2
    text.encode()


def test_a_record_that_was_cut_off_says_so() -> None:
    words = Reader(page([cut_off(made())])).words
    assert "The record of this run was cut off. What it does not show is unknown." in words
    assert "All redundancy was not seen to be back." in words
    assert "unknown the record was cut off" in " ".join(words.split())


def test_an_empty_record_does_not_crash() -> None:
    text = page([empty()])
    words = Reader(text).words
    assert "never injected" in words
    assert "No latency was measured." in words
    assert text.count("no operation was recorded") == len(CLIENTS)


@pytest.mark.parametrize("clients", [(), CLIENTS[:1]])
def test_few_clients_or_none(clients: tuple[tuple[str, str, str, float, float], ...]) -> None:
    assert "Drill power-cut on lab" in page([made(Wish(clients=clients))])


def test_a_pause_of_the_drill_itself_is_told() -> None:
    run = made()
    run.record.marks.append(Mark(name="pause", at=INJECT + 1, seconds=2.0))
    assert "The drill itself stood still for 2.00 s" in page([run])


def test_a_client_that_never_succeeds() -> None:
    run = made()
    run.record.operations["token_issue"] = [Operation(at, at, "failed", "refused") for at in range(60)]
    assert "0 ok, 60 failed, 0 unknown" in page([run])


def test_many_operations_make_a_small_page_in_seconds() -> None:
    run = made(Wish(rate=120))
    assert sum(map(len, run.record.operations.values())) > 50_000
    began = time.process_time()
    text = page([run])
    assert time.process_time() - began < 10
    assert len(text.encode()) < 2_000_000


def test_even_if_all_of_them_fail() -> None:
    run = made(Wish(rate=120))
    for name, history in run.record.operations.items():
        run.record.operations[name] = [replace(operation, outcome="failed") for operation in history]
    assert len(page([run]).encode()) < 2_000_000


def test_several_runs_begin_with_the_campaign_s_table() -> None:
    text = page([made(Wish(seed=1)), made(Wish(seed=2)), cut_off(made())])
    words = " ".join(Reader(text).words.split())
    assert "3 runs on lab" in words
    assert "1 run of 3 could not be seen" in words
    assert [attributes["id"] for _, attributes in Reader(text).tags if attributes.get("id", "").startswith("run-")] == [
        "run-1",
        "run-2",
        "run-3",
    ]


def test_a_campaign_has_a_page_that_links_each_run_s_own() -> None:
    results = [made(Wish(seed=seed)).result for seed in (1, 2)]
    text = index(results, {results[0].run: 'javascript:1 "&.html'})
    links = [attributes["href"] for tag, attributes in Reader(text).tags if tag == "a"]
    assert links == ["javascript%3A1%20%22%26.html"]
    assert index([], {}).count("There is no run") == 1
    assert "2 runs on lab" in Reader(text).words
    assert results[1].run in Reader(text).words
    assert "<svg" not in text


def test_no_run_at_all() -> None:
    assert "There is no run to report." in page([])


def test_it_can_be_printed(told: str) -> None:
    assert "@media print" in told
    assert "break-inside: avoid" in told
