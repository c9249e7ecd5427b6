"""Keystone: the clients of a drill, through the VIP: many that validate a token, some that get a new one."""

from __future__ import annotations

from quorate.core.drill import Workload
from quorate.core.system import Site
from quorate.systems.keystone.config import KeystoneSpec, url

_PROGRAM = "quorate.systems.keystone.client"


def workloads(_spec: KeystoneSpec, site: Site) -> tuple[Workload, ...]:
    """Validating is what every request to every service needs; a new token is needed now and then."""

    def workload(function: str, program: str, rate: float) -> Workload:
        return Workload(
            name=function,
            function=function,
            objective="token_validation",
            client=f"{_PROGRAM}:{program}",
            rate=rate,
            settings={"url": url(site.cloud), "user": "admin", "project": "admin", "domain": "default"},
            secrets=("keystone.admin",),
        )

    return (workload("token_validation", "Validation", 20.0), workload("token_issue", "Issue", 2.0))
