"""Look at all controllers at once, in one round trip each. What does not answer in time is Unknown, with the reason."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from quorate.core.lasting import DEADLINE
from quorate.core.observed import Answer, HostSeen, Unknown, World
from quorate.core.resource import Resource
from quorate.core.secret import Secrets
from quorate.core.system import AnySystem, Question, Site, enabled
from quorate.errors import Unreachable
from quorate.transport.contract import Transport
from quorate.transport.request import observe_request, read_observed

Transports = Mapping[str, Transport]

PATIENT = 15.0
"""Seconds in which an answer comes of which a recovery depends."""
SOON = 3.5
"""Seconds by which a controller has begun to look, or nobody waits for it: one that is frozen never does. With the
program's own start, `status` of a cloud with such a controller returns within 5."""


async def observe(
    site: Site,
    systems: Sequence[AnySystem],
    transports: Transports,
    secrets: Secrets,
    *,
    reach: float = inf,
    only: str | None = None,
    resources: bool = True,
    nice: int = 0,
    deep: bool = False,
) -> World:
    """Look at every controller that there is a transport for.

    `reach`: seconds by which a controller has begun, or it is not waited for.
    `only`: ask just this system's questions, which is what a gate needs; it and `resources=False` look at no resources.
    `deep`: ask also what is asked only for a recovery, and wait for every answer: controllers that boot are busy.
    `nice`: how far the look is to stand back behind what the controllers do (nice(1)).
    Secrets that a program printed are masked in its answer: whatever a system says of it may be shown.
    """
    chosen = [system for system in enabled(site.cloud, systems) if only in {None, system.name}]

    async def look(host: str, transport: Transport) -> tuple[str, HostSeen | Unknown]:
        wanted: list[Resource] = []
        questions: dict[str, Sequence[Question]] = {}
        for system in chosen:
            spec = site.cloud.systems[system.name]
            asked = tuple(system.questions(spec, site, host))
            if deep:
                asked = (*asked, *system.evidence(spec, site, host))
                asked = tuple(replace(one, timeout=max(one.timeout, PATIENT)) for one in asked)
            questions[system.name] = asked
            wanted += system.resources(spec, site, host) if resources and not only else []
        request = observe_request(wanted, questions, nice=nice)
        try:
            longest = max((one.timeout for asked in questions.values() for one in asked), default=0.0)
            limit = max(DEADLINE, longest + DEADLINE) if deep else DEADLINE
            completed = await transport.run(request.argv, request.stdin, timeout=limit, reach=reach)
            return host, _masked(read_observed(host, completed), secrets)
        except Unreachable as error:
            return host, Unknown(why=secrets.mask(error.why))

    return dict(await asyncio.gather(*(look(host, transport) for host, transport in transports.items())))


def _masked(seen: HostSeen, secrets: Secrets) -> HostSeen:
    answers = {
        system: {name: _masked_answer(answer, secrets) for name, answer in several.items()}
        for system, several in seen.answers.items()
    }
    return seen.model_copy(update={"answers": answers})


def _masked_answer(answer: Answer | Unknown, secrets: Secrets) -> Answer | Unknown:
    if isinstance(answer, Unknown):
        return Unknown(why=secrets.mask(answer.why))
    return answer.model_copy(update={"out": secrets.mask(answer.out), "err": secrets.mask(answer.err)})
