"""Toyd: a made-up daemon that simply runs on every controller and needs a database.

All that a small system is, on one page: its section, what should be, what to ask, how to read and judge the answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from quorate.core.observed import Answers, Unknown
from quorate.core.resource import File, Package, Resource, Sysctl, Unit
from quorate.core.secret import SecretSpec, reference
from quorate.core.system import Claim, Question, Site, System
from quorate.core.template import render
from quorate.core.verdict import Judgement, Verdict, failing, merge, ok, unknown
from quorate.model.cloud import Spec


class Toyd(Spec):
    """The section of toyd."""

    workers: int = Field(default=2, description="How many processes.")


@dataclass(frozen=True)
class View:
    """What the daemon says."""

    health: str | Unknown


def resources(spec: Toyd, site: Site, _host: str) -> Sequence[Resource]:
    """A package, a kernel setting, a file from a template, and the unit that loads it."""
    database = site.endpoint("toydb")
    secret = reference("toyd.database")
    content = render(__name__, "toyd.conf.j2", workers=spec.workers, database=database, secret=secret)
    conf = File("/etc/toyd.conf", content, mode=0o640, group="toyd")
    return Package("toyd"), Sysctl("net.toy", "1"), conf, Unit("toyd.service", inputs=(conf.path,))


def questions(_spec: Toyd, _site: Site, _host: str) -> Sequence[Question]:
    """Ask the daemon's own command."""
    return (Question("health", ("toyd-health",)),)


def read(answers: Answers) -> View:
    """Read one word."""
    answer = answers.get("health", Unknown(why="it was not asked"))
    if isinstance(answer, Unknown):
        return View(answer)
    return View(answer.out.strip() if answer.code == 0 else f"toyd-health: exit code {answer.code}")


def judge(_spec: Toyd, site: Site, views: Mapping[str, View | Unknown]) -> Judgement:
    """Judge each by its health; the whole is well as long as one is."""
    members = {host: _verdict(views.get(host, Unknown(why="it was not looked at"))) for host in site.cloud.names}
    well = sum(verdict.is_ok for verdict in members.values())
    cluster = ok(f"{well} of {len(members)} healthy") if well else merge(members.values())
    return Judgement(cluster, members)


def _verdict(view: View | Unknown) -> Verdict:
    said = view if isinstance(view, Unknown) else view.health
    if isinstance(said, Unknown):
        return unknown(said.why)
    return ok(said) if said == "healthy" else failing(said or "it says nothing")


SYSTEM = System(
    name="toyd",
    summary="a daemon, made up for tests",
    spec=Toyd,
    resources=resources,
    questions=questions,
    read=read,
    judge=judge,
    claims=lambda _spec, _cloud: (Claim("toydb", "toyd", "toyd.database"),),
    secrets=lambda _spec, _cloud: (SecretSpec("toyd.database"),),
    needs=("toydb",),
    settle=10.0,
)
