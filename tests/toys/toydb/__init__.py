"""Toydb: a made-up database cluster that is formed: bootstrapped once on one controller, then joined by the others.

It stands for Galera and its kind in the tests of core and engine; `tests/worlds/machines.py` plays its daemon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from quorate.core.act import Act, Run, SetUnit
from quorate.core.observed import Answers, Unknown
from quorate.core.plan import Gate, Step, Wave
from quorate.core.resource import Directory, File, Package, Resource, Unit
from quorate.core.secret import SecretSpec, reference
from quorate.core.system import Blocked, Endpoint, Formation, Question, Site, System
from quorate.core.verdict import Judgement, Verdict, failing, ok, unknown
from quorate.model.cloud import Cloud, Spec

UNIT = "toydb.service"
SETTLE = 20.0


class Toydb(Spec):
    """The section of toydb."""

    port: int = Field(default=7700, description="Where it listens.")


@dataclass(frozen=True)
class View:
    """What the daemon says: its state (`stopped`, `joining`, `synced`) and which cluster its data are of, or `-`."""

    state: str | Unknown
    data: str | Unknown

    @property
    def is_member(self) -> bool:
        """Whether it runs in a cluster."""
        return self.state in {"joining", "synced"} and self.data != "-"

    @property
    def may_hold_data(self) -> bool:
        """Whether starting from nothing elsewhere could lose something."""
        return self.data != "-"


def resources(spec: Toydb, site: Site, host: str) -> Sequence[Resource]:
    """A package, a private folder and file, and the unit."""
    members = " ".join(site.cloud.address(name) for name in site.cloud.names)
    accounts = "".join(f"account {c.name} {reference(c.secret)}\n" for c in site.claims_on("toydb"))
    content = (
        f"listen = {site.cloud.address(host)}:{spec.port}\n"
        f"members = {members}\n"
        f"password = {reference('toydb.password')}\n"
        f"{accounts}"
    )
    conf = File("/etc/toydb.conf", content, mode=0o640, group="toydb")
    folder = Directory("/var/lib/toydb", mode=0o700, owner="toydb", group="toydb")
    return Package("toydb"), folder, conf, Unit(UNIT, state="formed", inputs=(conf.path,))


def questions(_spec: Toydb, _site: Site, _host: str) -> Sequence[Question]:
    """Ask the daemon's own command."""
    return (Question("status", ("toydb-status",)),)


def read(answers: Answers) -> View:
    """Read `STATE DATA`."""
    answer = answers.get("status", Unknown(why="it was not asked"))
    if isinstance(answer, Unknown):
        return View(answer, answer)
    if answer.code == 127:
        return View("stopped", "-")
    words = answer.out.split()
    if answer.code or len(words) != 2 or words[0] not in {"stopped", "joining", "synced"}:
        strange = Unknown(why=f"toydb-status: exit code {answer.code}: {answer.out[:40]!r}")
        return View(strange, strange)
    return View(words[0], words[1])


def judge(_spec: Toydb, site: Site, views: Mapping[str, View | Unknown]) -> Judgement:
    """Judge a member by its state, and the cluster by whether a majority is synced to the same data."""
    members = {host: _verdict(views.get(host, Unknown(why="it was not looked at"))) for host in site.cloud.names}
    well = sum(verdict.is_ok for verdict in members.values())
    data = {view.data for view in views.values() if isinstance(view, View) and view.is_member}
    words = f"{well} of {len(members)} members synced"
    if len(data) > 1:
        return Judgement(failing(f"split: {words}, to {len(data)} different clusters"), members)
    if well > len(members) // 2:
        return Judgement(ok(words), members)
    reasons = "; ".join(f"{host} {v.level.word}: {v.reason}" for host, v in members.items() if not v.is_ok)
    seen = all(isinstance(view, View) and isinstance(view.state, str) for view in views.values()) and views
    return Judgement((failing if seen else unknown)(f"{words}: {reasons}"), members)


def _verdict(view: View | Unknown) -> Verdict:
    if isinstance(view, Unknown):
        return unknown(view.why)
    if isinstance(view.state, Unknown):
        return unknown(view.state.why)
    return ok("synced") if view.state == "synced" and view.data != "-" else failing(view.state)


def form(_spec: Toydb, site: Site, views: Mapping[str, View | Unknown]) -> Formation:
    """Bootstrap where no data are, or start from the only data that are; then let the others join one by one."""
    unseen = [f"{host}: {why}" for host, why in _unseen(site, views)]
    known = {host: view for host, view in views.items() if isinstance(view, View)}
    stopped = [host for host in site.cloud.names if host in known and known[host].state == "stopped"]
    if any(view.is_member for view in known.values()):
        return [_wave(host) for host in stopped]
    if unseen:
        return Blocked("nobody may bootstrap toydb: data may lie where nobody looked", tuple(unseen))
    holders = [host for host in stopped if known[host].may_hold_data]
    if len(holders) > 1:
        return Blocked("toydb is down everywhere and several hold data", tuple(holders))
    first = holders[0] if holders else stopped[0]
    bootstrap = [] if holders else [Run(title="bootstrap toydb", argv=("toydb-bootstrap",), stdin=_password())]
    return [_wave(first, *bootstrap), *(_wave(host) for host in stopped if host != first)]


def _password() -> str:
    return reference("toydb.password")


def _unseen(site: Site, views: Mapping[str, View | Unknown]) -> list[tuple[str, str]]:
    found = []
    for host in site.cloud.names:
        view = views.get(host, Unknown(why="it was not looked at"))
        why = view if isinstance(view, Unknown) else view.state
        if isinstance(why, Unknown):
            found.append((host, why.why))
    return found


def _wave(host: str, *before: Run) -> Wave:
    acts: tuple[Act, ...] = (*before, SetUnit(name=UNIT, enabled=True, verb="start"))
    step = Step(host=host, title=f"{'bootstrap' if before else 'join'} toydb on {host}", acts=acts)
    return Wave(title=step.title, steps=(step,), gate=Gate(system="toydb", members=(host,), timeout=SETTLE))


def endpoints(spec: Toydb, cloud: Cloud) -> Sequence[Endpoint]:
    """Clients find it behind the VIP."""
    return (Endpoint("toydb", cloud.vip, spec.port),)


SYSTEM = System(
    name="toydb",
    summary="a database cluster, made up for tests",
    spec=Toydb,
    resources=resources,
    questions=questions,
    read=read,
    judge=judge,
    form=form,
    endpoints=endpoints,
    secrets=lambda _spec, _cloud: (SecretSpec("toydb.password"),),
    offers=("toydb",),
    quorum="majority",
    settle=SETTLE,
)
