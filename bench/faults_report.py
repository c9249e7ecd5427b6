"""The tables of `bench/faults.py`: for terminals, and for docs/. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from faults_engines import ENGINES
from faults_inject import BEGIN, END, FAULTS
from faults_judge import STALL_MEDIAN_MS, STALL_MOST_MS, Findings, merged, shortcomings

Key = tuple[str, str, str]
"""engine, fault, client"""
Cases = Mapping[Key, Mapping[str, Any]]

INTRO = f"""\
# What clients notice when a memcached server fails

Made by `bench/faults.py --markdown docs/balancer-faults.md`; do not edit.

Three lab machines, a memcached on each. On the first run the clients, all at once, each with 500 gets, 50 sets and 20
deletes a second on 1,000 keys of its own, one operation after another; the fault hits the third machine {BEGIN:g} s
after they began, and they go on until {END:g} s. Operations are due at fixed times, and a wait is counted from when an
operation was due, so that what queues behind a stall counts as well. {{runs}}: counts are those of
the worst run, times the median (and the worst) of all runs. The fault "none" shows the noise.

- **errors**: exceptions, and changes that the client said were not done. python-memcached and oslo.cache's pool hide a
  failed read (it is a lost hit), oslo.cache's pool a failed change as well.
- **closed**: connections of the client that went, whoever closed them.
- **lost**: gets that found nothing although the key had been written, not deleted since, and no later change of it was
  in doubt. Nothing is written again because of a miss: a lost key counts at each get.
- **stall**: the longest wait, ms. "hung": an operation had not come back by the end of the run, in so many runs.
- **p99**: of waits while the fault lasted, ms. **before**: the longest wait before the fault, ms.
- **stale**: reads of a value older than an acknowledged change (for pymemcache, whose changes have no reply by default:
  one that raised nothing), also by a second client that looks at every key after the run.
- **wrong**: reads that returned another key's value.

Two things that are no fault's doing, and show with "none" as well. pymemcache with its defaults sends changes without
asking for a reply and leaves Nagle's algorithm on: a read right after a change is held back until the change has been
acknowledged, which Linux delays by 40 ms, so that at this load the client falls behind by itself, unless the other side
acknowledges at once. memcached's proxy (1.6.38) takes `delete KEY noreply` for a mistake: it deletes nothing, and its
complaint answers the next request.
"""


def cases(judged: Iterable[tuple[Key, Findings]]) -> dict[Key, dict[str, Any]]:
    """Sum up all runs of each case, in the order of engines, faults and clients as they came."""
    grouped: dict[Key, list[Findings]] = {}
    for key, findings in judged:
        grouped.setdefault(key, []).append(findings)
    return {key: merged(runs) for key, runs in grouped.items()}


def nested(found: Cases) -> dict[str, dict[str, dict[str, Any]]]:
    """Return engine → fault → client → figures, as JSON has it."""
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for (engine, fault, client), case in found.items():
        result.setdefault(engine, {}).setdefault(fault, {})[client] = dict(case)
    return result


def failures(found: Cases, engine: str) -> list[str]:
    """Say where the engine falls short of what the balancer promises."""
    return [
        f"{fault}, {client}: {', '.join(short)}"
        for (who, fault, client), case in found.items()
        if who == engine and (short := shortcomings(case))
    ]


_HEAD = ("errors", "closed", "lost", "stall", "p99", "before", "stale", "wrong")


def _cells(case: Mapping[str, Any]) -> tuple[str, ...]:
    stall = f"{case['worst_ms']:.0f} ({case['worst_max_ms']:.0f})"
    if case["hung"]:
        stall = f"> {stall}, hung {case['hung']}/{case['runs']}"
    counts = [str(case[name]) for name in ("errors", "closed", "hits_lost")]
    times = (f"{case['p99_ms']:.0f}", f"{case['before_ms']:.0f}")
    return (*counts, stall, *times, str(case["stale"]), str(case["wrong"]))


def text(found: Cases) -> str:
    """One line for each case."""
    lines = [("engine", "fault", "client", *_HEAD), *((*key, *_cells(case)) for key, case in found.items())]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _overview(found: Cases) -> str:
    """One cell for each engine and fault: all clients together."""
    engines = list(dict.fromkeys(key[0] for key in found))
    faults = list(dict.fromkeys(key[1] for key in found))
    lines = _row(["fault", *engines]) + _row(["---"] * (len(engines) + 1))
    for fault in faults:
        cells = []
        for engine in engines:
            mine = [case for (who, what, _), case in found.items() if (who, what) == (engine, fault)]
            sums = {name: sum(case[name] for case in mine) for name in ("errors", "hits_lost", "stale")}
            longest = max((case["worst_max_ms"] for case in mine), default=0.0)
            hung = "hung" if any(case["hung"] for case in mine) else f"{longest:.0f}"
            cells.append(f"{sums['errors']} · {sums['hits_lost']} · {hung} · {sums['stale']}" if mine else "")
        lines += _row([f"{fault}", *cells])
    return lines


def _runs(found: Cases) -> str:
    """How often each case was measured; engines that differ are told apart."""
    engines: dict[int, list[str]] = {}
    for name in dict.fromkeys(key[0] for key in found):
        runs = min(case["runs"] for key, case in found.items() if key[0] == name)
        engines.setdefault(runs, []).append(name)
    if len(engines) == 1:
        return f"Runs of each case: {next(iter(engines))}"
    return "Runs of each case: " + "; ".join(f"{runs} ({', '.join(names)})" for runs, names in engines.items())


def markdown(found: Cases, about: str = "") -> str:
    """The published page. `about`: what else its readers must know of how it was measured."""
    if not found:
        return INTRO.format(runs="Several runs of each case") + "\nNot measured yet.\n"
    parts = [
        INTRO.format(runs=_runs(found)),
        f"\n{about}\n" if about else "",
        "\n## All clients together\n\nerrors · lost · longest stall (ms) · stale\n\n",
    ]
    parts += [_overview(found), "\n"]
    engines, faults = (dict.fromkeys(key[place] for key in found) for place in (0, 1))
    parts += [f"- **{name}**: {ENGINES[name].summary}.\n" for name in engines]
    for fault in faults:
        parts += [f"\n## {fault}\n\n{FAULTS[fault].summary.capitalize()}.\n\n"]
        parts += [_row(["engine", "client", *_HEAD]), _row(["---"] * (len(_HEAD) + 2))]
        parts += [_row([who, client, *_cells(case)]) for (who, what, client), case in found.items() if what == fault]
    short = failures(found, "quorate")
    bound = f"the longest stall at most {STALL_MEDIAN_MS:g} ms (median of the runs) and never over {STALL_MOST_MS:g} ms"
    parts += ["\n## The balancer's promise\n\n"]
    parts += [f"No error, no closed connection, no lost hit, nothing stale or wrong, {bound}.\n\n"]
    if any(key[0] == "quorate" for key in found):
        parts += [f"- not kept: {line}\n" for line in short] or ["Kept in every case above.\n"]
    return "".join(parts)
