"""Real daemons, real faults: the balancer shows nothing that a cache may not show, and twemproxy does.

What each law of the balancer prevents is shown in a simulated world (tests/property/test_balancer_truth.py): here hot
keys are written again before anybody can see that they were old. `run.py` runs as many schedules as one likes; here is
a handful. A failure names the folder that holds its history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from real.truth import checker
from real.truth.run import Campaign, lacks
from real.truth.schedule import CALM

PLANS = [
    "paused_writer",
    "frozen_at_birth",
    "killed_in_debt",
    "killed_twice",
    "forgotten_debt",
    "killed_while_cut",
    "half_frozen",
    "blips",
    "isolated",
    "9",
]
WORKERS_PLANS = ["half_frozen", "killed_in_debt", "blips"]
TWEMPROXY_PLANS = ["1", "2"]
pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(400),
    pytest.mark.skipif(bool(lacks("twemproxy")), reason=lacks("twemproxy")),
]


def reports(campaign: Campaign, plans: Sequence[str]) -> dict[str, checker.Report]:
    return dict(campaign.run(plans))


def said(found: dict[str, checker.Report], folder: Path) -> str:
    return "\n".join(f"{folder}/{name}: {line}" for name, report in found.items() for line in checker.lines(report))


def test_the_balancer_shows_nothing_old_and_nothing_wrong(tmp_path: Path) -> None:
    found = reports(Campaign("balancer", tmp_path), [str(CALM), *PLANS])
    assert all(report.clean for report in found.values()), said(found, tmp_path)
    assert sum(report.closed for report in found.values()) == 0, said(found, tmp_path)
    assert min(report.reads for report in found.values()) > 1000


@pytest.mark.long
def test_two_workers_on_each_controller_show_what_one_would(tmp_path: Path) -> None:
    found = reports(Campaign("balancer", tmp_path, workers=2), WORKERS_PLANS)
    assert all(report.clean for report in found.values()), said(found, tmp_path)
    assert min(report.reads for report in found.values()) > 1000


def test_twemproxy_is_caught_but_not_without_faults(tmp_path: Path) -> None:
    found = reports(Campaign("twemproxy", tmp_path), [str(CALM), *TWEMPROXY_PLANS])
    assert found.pop(str(CALM)).clean, said(found, tmp_path)
    kinds = sum((report.kinds for report in found.values()), Counter[str]())
    assert min(kinds["stale"], kinds["resurrected"], kinds["zombie"]) > 0
    assert kinds["wrong"] == 0
