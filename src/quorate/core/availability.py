"""How long each function is out in a year, as far as that follows from how often parts fail and how soon they are back.

A part is lost MTTR / (MTTF + MTTR) of the time (steady-state availability). Two things make an outage, and add up:

- More is lost than the function stands: the fault tree's probability (core/diagram.py; where that is too large,
  core/sampling.py), times a year.
- Less is lost, and somebody takes over: each failure costs the pause that drills' formulas allow it at most
  (core/failure.py), or what drills measured where whoever is hit plays its part. That, such as holding the virtual IP,
  may be any controller's, each as often.

Assumed, and to be said wherever this is shown: parts fail independently of each other, but for what failure domains
make them share; each is repaired while the others are left alone; whoever should take over does; nobody makes a
mistake, and nothing is planned. That is true of no cloud: what comes out is good for comparing designs, and for seeing
what to mend first; it promises nothing. (K. S. Trivedi, Probability and Statistics with Reliability, Queuing, and
Computer Science Applications, 2nd ed. 2002, chapters 3 and 8; W. E. Vesely et al., Fault Tree Handbook, 1981.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, log10, prod
from random import Random
from types import MappingProxyType

from quorate.core.aim import functions_of, pauses_of, processes_of, uses_of
from quorate.core.diagram import MOST_NODES, Diagram, TooLarge
from quorate.core.failure import NOTICEABLE, predict
from quorate.core.fault import MACHINE, Hit
from quorate.core.findings import Campaign
from quorate.core.foresight import Foresight, foresee, misnamed
from quorate.core.sampling import sampled
from quorate.core.system import AnySystem, Site, site_of
from quorate.core.tree import cut_sets
from quorate.model.cloud import Cloud, Rate
from quorate.model.rules import Finding
from quorate.model.words import did_you_mean, found

YEAR = 8766.0
"""Hours."""
TOLD = 3
"""Contributors that are named for each function, where they have something to do with it:"""
LEAST = 0.005
"""A share of less is none."""
ORDER, SAMPLES = 2, 2000
"""Of the cut sets from which dice are loaded, where there is no diagram; and how often they are thrown."""


@dataclass(frozen=True)
class Share:
    """How much of a function's downtime would be spared if no part of this group ever failed, from 0 to 1.

    Of what the fault tree says it is the Fussell-Vesely importance, (Q - Q without it) / Q; pauses simply add up. As
    some outages need failures of two groups, shares may sum to more than 1.
    """

    group: str
    of_downtime: float


@dataclass(frozen=True)
class Expected:
    """What a year brings to a function, hours.

    `outages`: more is lost than it stands, with bounds (95 %) where that is no exact figure. `pauses`: until somebody
    has taken over; None where no formula says it.
    """

    function: str
    does: str
    outages: float
    bounds: tuple[float, float] | None
    pauses: float | None
    because: tuple[Share, ...]

    @property
    def hours(self) -> float:
        """All of it."""
        return self.outages + (self.pauses or 0.0)

    @property
    def nines(self) -> float:
        """Minus the logarithm of the part of the time that it is out: 3 is 99.9 %."""
        return -log10(self.hours / YEAR) if self.hours else inf


@dataclass(frozen=True)
class Losing:
    """Something that was acknowledged is gone for ever once in so many years."""

    what: str
    years: float


def rates_of(cloud: Cloud, foresight: Foresight) -> Mapping[str, Rate]:
    """What the cloud file says of each part: by its name, else by its kind."""
    said = cloud.failure_rates
    return {name: said.parts.get(name, getattr(said, part.kind)) for name, part in foresight.known.items()}


def lost_of(rates: Mapping[str, Rate]) -> Mapping[str, float]:
    """How likely each part is lost at any moment."""
    return {name: rate.mttr_hours / (rate.mttf_hours + rate.mttr_hours) for name, rate in rates.items()}


def yearly(rate: Rate) -> float:
    """How often it fails in a year."""
    return YEAR / (rate.mttf_hours + rate.mttr_hours)


Year = tuple[tuple[Expected, ...], tuple[Losing, ...]]
"""What it brings."""
Measured = Mapping[tuple[str, str], float]
"""Drill, function → seconds that it was out, as the median of all runs."""


def measured_in(campaign: Campaign) -> Measured:
    """What a campaign says; of a function that some run could not see, nothing."""
    rows = (row for row in campaign.rows if not row.unseen)
    return {(row.drill, row.function): row.median_s for row in rows if row.median_s is not None}


def expected(
    site: Site,
    systems: Sequence[AnySystem],
    foresight: Foresight,
    dice: Random,
    *,
    most: int = MOST_NODES,
    measured: Measured = MappingProxyType({}),
) -> Year:
    """Work it out for every function, and for all that is kept. `dice` are thrown where no diagram fits."""
    rates = rates_of(site.cloud, foresight)
    lost = lost_of(rates)
    names = [one.does for one in foresight.functions]
    try:
        diagram: Diagram | None = Diagram([*names, *foresight.keeps], foresight.formulas, most)
    except TooLarge:
        diagram = None
    paused = pauses(site, systems, foresight, measured)
    found = []
    for one in foresight.functions:
        own = {part: seconds / 3600 * yearly(rates[part]) for part, seconds in paused.get(one.name, {}).items()}
        told = _exact(one.does, diagram, lost) if diagram else _drawn(one.does, foresight, lost, dice)
        known = sum(own.values()) if one.name in paused else None
        because = _shares(told, own, foresight)
        found.append(Expected(one.name, one.does, YEAR * told.fails, told.bounds, known, because))
    return tuple(found), tuple(_losing(foresight, rates, lost, diagram)) if diagram else ()


@dataclass(frozen=True)
class _Told:
    """`weight`: what each part has to do with it, about; `without`: the same when none of these ever fails."""

    fails: float
    bounds: tuple[float, float] | None
    weight: Mapping[str, float]
    without: Callable[[Sequence[str]], float]


def _exact(name: str, diagram: Diagram, lost: Mapping[str, float]) -> _Told:
    chance = diagram.chance(name, lost)
    weight = {part: lost[part] * birnbaum for part, birnbaum in chance.birnbaum.items()}
    return _Told(chance.fails, None, weight, lambda spared: diagram.fails(name, {**lost, **dict.fromkeys(spared, 0.0)}))


def _drawn(name: str, foresight: Foresight, lost: Mapping[str, float], dice: Random) -> _Told:
    """By dice; shares by the cut sets' own weights, of which the sum is a little more than what they stop together."""
    found = sampled(name, foresight.formulas, lost, dice, order=ORDER, samples=SAMPLES)
    cuts = [(cut, prod(lost[part] for part in cut)) for cut in cut_sets([name], foresight.formulas, ORDER)[name]]
    weight = {part: sum(chance for cut, chance in cuts if part in cut) for cut, _ in cuts for part in cut}

    def without(spared: Sequence[str]) -> float:
        gone = sum(chance for cut, chance in cuts if not cut.isdisjoint(spared))
        return max(0.0, found.expected - gone)

    return _Told(found.expected, (YEAR * found.low, YEAR * found.high), weight, without)


def _shares(told: _Told, paused: Mapping[str, float], foresight: Foresight) -> tuple[Share, ...]:
    """Those groups that have most to do with it."""
    groups: dict[str, list[str]] = {}
    for part in told.weight.keys() | paused.keys():
        groups.setdefault(foresight.known[part].group, []).append(part)
    whole = YEAR * told.fails + sum(paused.values())

    def about(group: str) -> float:
        return sum(YEAR * told.weight.get(part, 0.0) + paused.get(part, 0.0) for part in groups[group])

    first = sorted(groups, key=lambda group: (-about(group), group))[:TOLD]
    spared = {
        group: YEAR * (told.fails - told.without(groups[group])) + sum(paused.get(part, 0.0) for part in groups[group])
        for group in first
    }
    return tuple(Share(group, hours / whole) for group, hours in spared.items() if hours > LEAST * whole)


def _losing(
    foresight: Foresight, rates: Mapping[str, Rate], lost: Mapping[str, float], diagram: Diagram
) -> list[Losing]:
    """How often is how likely each part's next failure is the last that was missing, times how often it fails."""
    found = []
    for what in foresight.keeps:
        chance = diagram.chance(what, lost)
        often = sum(birnbaum * yearly(rates[part]) for part, birnbaum in chance.birnbaum.items())
        found.append(Losing(what, 1 / often if often else inf))
    return found


def pauses(
    site: Site, systems: Sequence[AnySystem], foresight: Foresight, measured: Measured = MappingProxyType({})
) -> Mapping[str, Mapping[str, float]]:
    """Seconds that a failure of each part holds up each function that it does not stop, on average.

    Every part that somebody plays may be played by any controller: what is hit is it as often as it is one of them.
    Drills hit whoever plays it.
    """
    roles = {"writer", *(one.role for one in processes_of(site, systems))}
    uses, functions = uses_of(site, systems), functions_of(site, systems)
    does = {one.name: one.does for one in foresight.functions if one.name in {*functions, *uses}}
    stopping = cut_sets(does.values(), foresight.formulas, 1)
    found: dict[str, dict[str, float]] = {name: {} for name in does}

    @cache
    def lasting(hits: tuple[Hit, ...], player: str) -> dict[str, float]:
        reacting = pauses_of(site, systems, dict.fromkeys(roles, player), hits)
        told = predict(tuple(does), uses, reacting, bounded=True)
        return {one.function: one.seconds for one in told if one.seconds and one.seconds > NOTICEABLE}

    for part, known in foresight.known.items():
        hit = tuple(dict.fromkeys(one.host for one in known.hits))
        others = tuple(host for host in site.cloud.names if host not in hit)
        if not hit or not others:
            continue
        for players in (hit, others):
            drilled = {name: measured.get((_drill(known.hits), name)) for name in does} if players == hit else {}
            lasts = lasting(known.hits, players[0]) | {name: s for name, s in drilled.items() if s is not None}
            for name, seconds in lasts.items():
                if frozenset({part}) not in stopping[does[name]]:
                    share = seconds * len(players) / len(site.cloud.names)
                    found[name][part] = found[name].get(part, 0.0) + share
    return found


def _drill(hits: Sequence[Hit]) -> str:
    """Name the drill that does this, if one does: a power cut of one controller, or a process that is killed."""
    machines = [hit.host for hit in hits if hit.part == MACHINE]
    if hits[0].part != MACHINE:
        return f"{hits[0].part}-killed"
    return "power-cut" if len(machines) == 1 else ""


def strangers(cloud: Cloud, systems: Sequence[AnySystem]) -> tuple[Finding, ...]:
    """Find names that would mislead: taken ones, and rates of parts that this cloud does not have."""
    wrong = tuple(misnamed(cloud, systems))
    if wrong or not cloud.failure_rates.parts:
        return wrong
    known = foresee(site_of(cloud, systems), systems).parts
    return tuple(
        Finding(("failure_rates", "parts", name), f"no such part: {found(name)}{did_you_mean(name, known)}")
        for name in cloud.failure_rates.parts
        if name not in known
    )
