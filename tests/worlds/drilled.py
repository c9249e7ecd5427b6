"""A cloud with something to hit: one made system with a process that listens, one that does not, and a folder."""

from __future__ import annotations

from quorate.core.drill import DataFolder, Drills, Process, Standby
from quorate.core.fault import GroundAct, OnHost
from quorate.core.system import AnySystem, Site
from worlds.clouds import site
from worlds.systems import Word, made

WEB = Process("web", "web.service", 8080, "serving")
QUIET = Process("quiet", "quiet.service")
FOLDER = DataFolder("/srv/web", "web.service", "web")
EVERY_ACT: frozenset[GroundAct] = frozenset({"power-off", "power-on", "freeze", "thaw", "unplug", "cut", "plug"})
ROLES = {"virtual-ip": "c2", "serving": "c3"}


def system() -> AnySystem:
    drills: Drills[Word] = Drills(
        processes=lambda _spec, _site: (WEB, QUIET),
        standby=lambda _spec, _site, host: Standby("web", OnHost(host, ("away",)), OnHost(host, ("back",))),
        data=lambda _spec, _site: (FOLDER,),
    )
    return made("web", drills=drills)


def drilled(count: int = 3) -> tuple[Site, tuple[AnySystem, ...]]:
    one = system()
    return site(one, count=count), (one,)
