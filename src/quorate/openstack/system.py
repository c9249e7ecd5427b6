"""A service, with its section of the cloud file, as a system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeVar

from quorate.core.drill import Drills, Process, Workload
from quorate.core.observed import Answers
from quorate.core.system import Function, Site, System
from quorate.openstack import form, judge, probe, resources
from quorate.openstack.options import identity_url, trials
from quorate.openstack.service import Service, ServiceSpec

S = TypeVar("S", bound=ServiceSpec)

LACKS = {"debian-12": "it has OpenStack 2022.2, and what is written here is for 2025.1, which Debian 13 has"}
"""Where no service can be set up. Source: the versions of the packages (Nova 26 and 31)."""


def system_of(service: Service[S], spec: type[S]) -> System[S, probe.View]:
    """Everything that follows from what the service is made of."""
    needs = (
        *(("database",) if service.schemas else ()),
        *(("cache",) if service.apis else ()),
        "virtual-ip",
        "identity",
        *(("messaging",) if service.messages else ()),
    )

    def read(answers: Answers) -> probe.View:
        """Read the answers of one controller."""
        return probe.read(service, answers)

    return System(
        name=service.name,
        summary=service.summary,
        spec=spec,
        resources=partial(resources.resources, service),
        questions=partial(probe.questions, service),
        read=read,
        judge=partial(judge.judge, service),
        form=partial(form.form, service),
        endpoints=partial(resources.endpoints, service),
        claims=lambda _spec, cloud: resources.claims(service, cloud),
        secrets=lambda _spec, _cloud: resources.secrets(service),
        offers=(*(api.kind for api in service.apis), *(one.kind for one in service.daemons if one.kind)),
        needs=(*needs, *service.needs),
        after=("network",),  # of a live cloud Keystone is changed first, then Neutron, then all else
        spares=("cache",),  # which is asked what is also kept elsewhere
        settle=form.SETTLE,
        functions=lambda _spec, _site: _functions(service),
        trials=trials(service),
        unusable=lambda _spec, tables: form.unusable(service.schemas, tables),
        lacks=LACKS,
        drills=_drills(service),
    )


def _functions(service: Service[S]) -> tuple[Function, ...]:
    """To read needs the API, and who asks to be known; all else, what it was made for, needs every process of it."""
    if not service.reading:
        return service.functions
    api = service.apis[0]
    does = f"list {service.reading_key.replace('_', ' ')}"
    return (Function(_reading(service), does, (f"{api.name}.service",), ("identity",)), *service.functions)


def _reading(service: Service[S]) -> str:
    return f"{service.apis[0].kind}_api"


def _drills(service: Service[S]) -> Drills[S]:
    """Each of its processes can be hit, and a client asks its API where that holds something to read."""

    def processes(spec: S, _site: Site) -> Sequence[Process]:
        apis = [Process(api.name, f"{api.name}.service", port=api.port) for api in service.apis]
        return (*apis, *(Process(daemon.name, f"{daemon.name}.service") for daemon in service.daemons_of(spec)))

    if not service.reading:
        return Drills(processes=processes, uses=_uses(service))
    function = _reading(service)

    def workloads(_spec: S, site: Site) -> Sequence[Workload]:
        settings = {
            "auth_url": identity_url(site),
            "user": service.user,
            "url": f"{service.apis[0].url(site.cloud.vip)}{service.reading}",
            "secret": service.secret("identity"),
            "key": service.reading_key,
        }
        return (
            Workload(
                name=function,
                function=function,
                objective="api",
                client="quorate.openstack.client:Reading",
                rate=2.0,
                settings=settings,
                secrets=(service.secret("identity"),),
            ),
        )

    return Drills(processes=processes, uses=_uses(service), workloads=workloads)


def _uses(service: Service[S]) -> Mapping[str, tuple[str, ...]]:
    """What reading rests on, and what all else does."""
    front = ("virtual_ip", f"proxy:{service.apis[0].kind}") if service.apis else ()
    reading = {_reading(service): (*front, "cache:waited-for", "database_read")} if service.reading else {}
    below = (
        *(reading or front),
        *(("database_write",) if service.schemas else ()),
        *(("rpc",) if service.messages else ()),
    )
    return {**reading, **{one.name: below for one in service.functions}}
