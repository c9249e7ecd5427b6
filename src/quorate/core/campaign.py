"""Many drills, summed up: what was measured of each drill and function over all runs, and whether the bounds held.

What was not seen stays so: a run in which a function could not be measured is counted beside the figures, and a bound
that not every run was seen to keep is not held.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.failure import LOOSE, holds, kept, tells
from quorate.core.findings import Campaign, CampaignDrill, CampaignRow, FunctionRow, Result

HOLDERS = "vip-holders"
"""The checker that says whether two held an address at once."""


def campaign(results: Sequence[Result]) -> Campaign:
    """Sum up the runs: drills and functions in the order in which they first appear."""
    rows = tuple(row for drill in _drills(results) for row in _rows(drill, results))
    bounded = [row for row in rows if row.predicted_s is not None]
    drills = tuple(_drill(drill, [r for r in results if r.drill == drill]) for drill in _drills(results))
    return Campaign(
        cloud=", ".join(dict.fromkeys(result.cloud for result in results)),
        runs=len(results),
        lost=sum(drill.lost for drill in drills),
        lost_unknown=sum(drill.lost_unknown for drill in drills),
        two_holders=sum(drill.two_holders for drill in drills),
        two_holders_unknown=sum(drill.two_holders_unknown for drill in drills),
        predictions=len(bounded),
        predictions_held=sum(row.held for row in bounded),
        rows=rows,
        drills=drills,
        failing=tuple(result.run for result in results if result.level == "failing"),
        unknown=tuple(result.run for result in results if result.level == "unknown"),
    )


def not_held(row: CampaignRow) -> str:
    """Say why a prediction does not hold; empty: it holds."""
    if row.held:
        return ""
    if row.unseen:
        return f"{_runs(row.unseen)} of {len(row.measured_s) + row.unseen} could not be seen"
    predicted, worst, median = row.predicted_s, row.worst_s, row.median_s
    if predicted is None or worst is None or median is None:
        return "it was never measured"
    if not kept(predicted, worst, row.resolution_s):
        return f"out for {worst:.2f} s, which is longer than the {predicted:.2f} s that were predicted"
    if not tells(predicted, median, row.resolution_s):
        return f"{predicted:.2f} s were predicted, more than {LOOSE:g} times the median of {median:.2f} s"
    return "one run was longer than what was predicted of that run"


def _drills(results: Sequence[Result]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(result.drill for result in results))


def _rows(drill: str, results: Sequence[Result]) -> list[CampaignRow]:
    rows = [row for result in results if result.drill == drill for row in result.rows]
    functions = dict.fromkeys(row.function for row in rows)
    return [_row(drill, function, [row for row in rows if row.function == function]) for function in functions]


def _row(drill: str, function: str, rows: Sequence[FunctionRow]) -> CampaignRow:
    bounds = [row.predicted_s for row in rows if row.predicted_s is not None]
    predicted = max(bounds) if len(bounds) == len(rows) else None
    measured = tuple(row.measured_s for row in rows if row.measured_s is not None)
    unseen = len(rows) - len(measured)
    each = not any(row.held is False for row in rows)
    resolution = max(row.resolution_s for row in rows)
    return CampaignRow(
        drill=drill,
        function=function,
        objective_s=min((row.objective_s for row in rows if row.objective_s is not None), default=None),
        predicted_s=predicted,
        measured_s=measured,
        resolution_s=resolution,
        unseen=unseen,
        held=predicted is None or (holds(predicted, measured, resolution) and each and not unseen),
    )


def _drill(drill: str, results: Sequence[Result]) -> CampaignDrill:
    holders = [_holders(result) for result in results]
    return CampaignDrill(
        drill=drill,
        summary=results[0].summary,
        runs=len(results),
        lost=sum(result.lost or 0 for result in results),
        lost_unknown=sum(result.lost is None for result in results),
        two_holders=holders.count("failing"),
        two_holders_unknown=holders.count("unknown"),
        whole_s=tuple(result.whole_s for result in results if result.whole_s is not None),
        alarm_s=tuple(result.alarm_s for result in results if result.alarm_s is not None),
    )


def _holders(result: Result) -> str:
    levels = {finding.level for finding in result.findings if finding.checker == HOLDERS}
    return next((level for level in ("failing", "unknown", "ok") if level in levels), "unknown")


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
