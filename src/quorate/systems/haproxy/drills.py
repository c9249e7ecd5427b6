"""The proxy in drills: how soon it is back, and how soon it sends nobody any more to a server that is lost.

A function `proxy:KIND` stands for what the proxy makes of the servers behind the front end KIND.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import Drills, Process, Roles, Sign
from quorate.core.failure import Pause, Stage
from quorate.core.fault import MACHINE, Hit, Loss
from quorate.core.system import Frontend, Site
from quorate.systems.haproxy.config import HaproxySpec, frontends, seconds
from quorate.systems.haproxy.workloads import workloads

PART = "proxy"
BACK = 0.6
"""Seconds until systemd has started it again: RestartSec=200ms, and its start (measured, decision 5)."""


def processes(_spec: HaproxySpec, _site: Site) -> Sequence[Process]:
    """The one that has the clients is on the VIP's controller. It has no port of its own that could go deaf."""
    return (Process(PART, "haproxy.service", role="virtual-ip"),)


def reacts(spec: HaproxySpec, site: Site, roles: Roles, hits: Sequence[Hit]) -> Sequence[Pause]:
    """It dies itself, or a server behind it is lost."""
    holder = roles.get("virtual-ip", "")
    found = []
    for hit in hits:
        if hit.part == PART and hit.host == holder and hit.loss in {Loss.REFUSED, Loss.DRAINED}:
            back = Stage("systemd starts it again", BACK, "RestartSec of haproxy.service")
            found.append(Pause("virtual_ip", f"the proxy of {holder} is gone", (back,), takes_over=(holder,)))
        for endpoint, via in frontends(site):
            if hit.host == holder and hit.part == endpoint.kind and hit.loss is Loss.SILENT:
                continue  # the proxy that has the clients reaches it without leaving the host
            if hit.part in {MACHINE, endpoint.kind} and (not via.one_active or hit.host == _active(roles, site)):
                deaf = via.one_active and hit.loss is Loss.SILENT and hit.part != MACHINE
                stages = _passed_over(spec) if deaf else detection(via, hit.loss)
                because = f"the server for {endpoint.kind} on {hit.host} is lost"
                left = tuple(name for name in site.cloud.names if name != hit.host)
                if stages:
                    found.append(Pause(f"proxy:{endpoint.kind}", because, stages, takes_over=left))
    return found


def _active(roles: Roles, site: Site) -> str:
    """Who has the clients where only one may: as they say, or the first of the file."""
    return roles.get("writer", site.cloud.names[0])


def _passed_over(spec: HaproxySpec) -> tuple[Stage, ...]:
    """How long clients wait for a server whose port takes nobody, though its check, at another port, is content.

    Source: HAProxy's configuration manual, `timeout connect`, `observe layer4`, `error-limit`.
    """
    waits = Stage("a connection waits in vain", seconds(spec.connect_timeout), "timeout connect")
    return (waits, Stage("so do two more", 0.3, "error-limit 3; at ten clients a second"))


def detection(via: Frontend, loss: Loss) -> tuple[Stage, ...]:
    """How long clients may be sent to a lost server: until its checks have failed `fall` times.

    A check that gets no answer fails when the next one would be due (`timeout check` is not set: inter). Source:
    HAProxy's configuration manual, `inter`, `fastinter`, `fall`. A server whose kernel refuses or says nothing is
    passed over by a redispatch, at once or after `timeout connect`, which clients wait for, except where only one may
    serve: there the second attempt, a second later, finds the next one.
    """
    inter, fast = via.inter / 1000, via.fast_inter / 1000
    if loss is not Loss.HUNG and not via.one_active:
        return ()
    refused = Stage("a refused client tries once more", 1.0, "retries 1, redispatch")
    if loss is Loss.DRAINED:
        return (refused,)
    asks = Stage("the next check is due", inter, "inter")
    again = Stage(f"{via.fall} checks fail", fast * (via.fall - 1), "fastinter x (fall - 1)")
    if loss is Loss.REFUSED:
        return (asks, again, refused)
    silent = Stage(f"{via.fall} checks wait in vain", inter * via.fall, "inter x fall")
    return (asks, silent, again)


SIGNS = (Sign("a server is taken out", "haproxy.service", " is DOWN"),)

DRILLS = Drills[HaproxySpec](processes=processes, reacts=reacts, workloads=workloads, signs=SIGNS)
