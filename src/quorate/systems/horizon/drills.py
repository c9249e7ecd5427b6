"""Horizon in drills: what can be hit, what a page rests on, and the client that reads one."""

from __future__ import annotations

from collections.abc import Sequence

from quorate.core.drill import Drills, Process, Workload
from quorate.core.system import Site
from quorate.systems.horizon.config import KIND, PORT, SERVER_PORT, SERVICE, HorizonSpec

ADMIN_SECRET = "keystone.admin"  # noqa: S105 - the name of a secret
PAGE = "/project/api_access/"
"""What the catalog lists: the page that every cloud has. Like all, it also shows the projects that Keystone knows."""


def processes(_spec: HorizonSpec, _site: Site) -> Sequence[Process]:
    """One server on every controller, all alike."""
    return (Process(KIND, f"{SERVICE.name}.service", port=SERVER_PORT),)


def workloads(_spec: HorizonSpec, site: Site) -> Sequence[Workload]:
    """Somebody who logged in before it began, and reads on."""
    return (
        Workload(
            name=KIND,
            function=KIND,
            objective="api",
            client="quorate.systems.horizon.client:Reading",
            rate=1.0,
            settings={
                "url": f"http://{site.cloud.vip}:{PORT}",
                "login": "/auth/login/",
                "page": PAGE,
                "user": "admin",
                "secret": ADMIN_SECRET,
            },
            secrets=(ADMIN_SECRET,),
        ),
    )


DRILLS = Drills[HorizonSpec](
    processes=processes,
    # Every page reads the session, writes when it was last used, and asks Keystone.
    uses={KIND: ("virtual_ip", f"proxy:{KIND}", "database_write", "token_validation")},
    workloads=workloads,
)
