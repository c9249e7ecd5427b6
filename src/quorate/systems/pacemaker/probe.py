"""How Pacemaker is looked at: what the cluster believes (crm_mon), what is so (addresses), what it holds (CIB)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from quorate.core.observed import Answer, Answers, Unknown
from quorate.core.system import Question, Site
from quorate.systems.pacemaker.config import PacemakerSpec


@dataclass(frozen=True)
class Status:
    """What one member believes of the cluster.

    `nodes`: by name, in one word, `online` where all is well. `started`: by resource, the nodes where it runs.
    `failures`: the node and what failed there, as long as the cluster remembers it. `standby`: nodes that nothing may
    run on, be they online or not, by an attribute that outlives them. `fenced`: the last fencing in words; "" for none.
    """

    quorate: bool
    leader: str
    fencing: bool
    nodes: Mapping[str, str]
    started: Mapping[str, tuple[str, ...]]
    failures: tuple[tuple[str, str], ...]
    standby: frozenset[str] = frozenset()
    fenced: str = ""


@dataclass(frozen=True)
class View:
    """What was seen on one controller. `configuration` is the CIB's section of that name, as XML."""

    running: bool | Unknown
    status: Status | Unknown
    addresses: frozenset[str] | Unknown
    configuration: str | Unknown


def questions(spec: PacemakerSpec, site: Site, host: str) -> Sequence[Question]:
    """Ask the unit, the cluster, the kernel and the CIB."""
    del spec, site, host
    return (
        Question("active", ("systemctl", "is-active", "pacemaker.service")),
        Question("status", ("crm_mon", "--output-as=xml")),
        Question("addresses", ("ip", "-4", "-oneline", "address", "show")),
        Question("configuration", ("cibadmin", "--query", "--scope", "configuration")),
    )


def read(answers: Answers) -> View:
    """Read what was answered; what cannot be read is Unknown with the reason."""
    return View(
        running=_running(answers.get("active")),
        status=_status(answers.get("status")),
        addresses=_addresses(answers.get("addresses")),
        configuration=_configuration(answers.get("configuration")),
    )


def reference(views: Mapping[str, View | Unknown]) -> tuple[str, Status] | None:
    """Whom to believe, and what it says: a member with quorum, the leader if it was seen. None: nobody has quorum."""
    quorate = {
        name: view.status
        for name, view in views.items()
        if isinstance(view, View) and view.running is True and isinstance(view.status, Status) and view.status.quorate
    }
    for name, status in quorate.items():
        if status.leader == name:
            return name, status
    return next(iter(quorate.items()), None)


def _running(answer: Answer | Unknown | None) -> bool | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="systemd was not asked")
    return answer.out.strip() == "active"


def _addresses(answer: Answer | Unknown | None) -> frozenset[str] | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the addresses were not asked for")
    rows = [line.split() for line in answer.out.splitlines()]
    found = frozenset(row[3].partition("/")[0] for row in rows if len(row) > 3 and row[2] == "inet")
    return found or Unknown(why=f"ip ended with {answer.code} and named no address")


def _configuration(answer: Answer | Unknown | None) -> str | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="the CIB was not asked for")
    found = _parsed("cibadmin", answer)
    return found if isinstance(found, Unknown) else answer.out


def _status(answer: Answer | Unknown | None) -> Status | Unknown:
    if not isinstance(answer, Answer):
        return answer or Unknown(why="crm_mon was not asked")
    report = _parsed("crm_mon", answer)
    if isinstance(report, Unknown):
        return report
    options, leader = report.find("summary/cluster_options"), report.find("summary/current_dc")
    if options is None or leader is None:
        return Unknown(why=f"crm_mon ended with {answer.code}: no summary of the cluster")
    fencing = options.get("stonith-enabled") or options.get("fencing-enabled") or "true"
    return Status(
        quorate=leader.get("with_quorum") == "true",
        leader=leader.get("name", ""),
        fencing=fencing == "true",
        nodes={node.get("name", ""): _state(node) for node in report.findall("nodes/node")},
        started=_started(report),
        failures=tuple(
            (
                failure.get("node", ""),
                f"{failure.get('op_key')}: {failure.get('exitreason') or failure.get('exitstatus')}",
            )
            for failure in report.findall("failures/failure")
        ),
        standby=frozenset(
            node.get("name", "") for node in report.findall("nodes/node") if node.get("standby") == "true"
        ),
        fenced=_fenced(report),
    )


def _fenced(report: ET.Element) -> str:
    """Say who was fenced last, by whom, when (in UTC) and with what end: the history that every member keeps."""
    ended = [event for event in report.findall("fence_history/fence_event") if event.get("completed")]
    if not ended:
        return ""
    last = max(ended, key=lambda event: event.get("completed", ""))
    words = "" if last.get("status") == "success" else f", {last.get('status')}"
    time = last.get("completed", "").partition(".")[0]
    return f"{last.get('action')} of {last.get('target')} by {last.get('delegate') or 'nobody'} at {time}{words}"


def _state(node: ET.Element) -> str:
    for state in ("unclean", "pending"):
        if node.get(state) == "true":
            return state
    if node.get("online") != "true":
        return "offline"
    return next((state for state in ("standby", "maintenance") if node.get(state) == "true"), "online")


def _started(report: ET.Element) -> Mapping[str, tuple[str, ...]]:
    """Where each resource runs without having failed. One that is known and runs nowhere has an empty place."""
    started: dict[str, tuple[str, ...]] = {}
    for resource in report.iter("resource"):
        if resource.get("id") is None or resource.get("resource_agent") is None:
            continue
        well = resource.get("active") == "true" and resource.get("failed") != "true"
        places = tuple(node.get("name", "") for node in resource.findall("node")) if well else ()
        started[resource.get("id", "")] = (*started.get(resource.get("id", ""), ()), *places)
    return started


def _parsed(program: str, answer: Answer) -> ET.Element | Unknown:
    try:
        report = ET.fromstring(answer.out) if answer.out.strip() else None  # noqa: S314 - the controller's own daemons
    except ET.ParseError as error:
        return Unknown(why=f"{program} ended with {answer.code} and gave no XML: {error}")
    if answer.code == 0 and report is not None:
        return report
    words = [error.text or "" for error in report.iter("error")] if report is not None else answer.err.splitlines()
    return Unknown(why=f"{program} ended with {answer.code}: {next(iter(words), 'no output')}")
