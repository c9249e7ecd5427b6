"""Pacemaker's resources: whether they are looked at, stay together, and come back."""

from __future__ import annotations

import re
from collections.abc import Iterable

from quorate.audit.cluster import ON, Cluster, agent, clusters, said, setting
from quorate.audit.estate import Estate
from quorate.audit.node import Node
from quorate.audit.proxies import sections
from quorate.audit.rule import Hit, Rule, Severity

_EXPLAINED = "https://clusterlabs.org/projects/pacemaker/doc/3.0/Pacemaker_Explained/html"
_SECONDS = re.compile(r"(\d+)\s*(ms|msec|us|s|sec|m|min|h|hr)?$")
_UNITS = {None: 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hr": 3600, "ms": 0.001, "msec": 0.001, "us": 1e-6}


def one_address_twice(estate: Estate) -> Iterable[Hit]:
    """Addresses that two resources bring up."""
    for cluster in clusters(estate):
        seen: dict[str, Node] = {}
        for vip in cluster.vips:
            ip = setting(vip, "ip")
            first = seen.setdefault(said(ip), vip)
            if ip and first is not vip:
                yield Hit(ip.place, f"{vip.words[1]} and {first.words[1]}: {said(ip)}", (first.place,))


def never_looked_at(estate: Estate) -> Iterable[Hit]:
    """Resources without a monitor. One that follows a template may have its monitor there."""
    for cluster in clusters(estate):
        apart = {node.value for node in cluster.root.all("monitor")}
        for primitive in cluster.primitives:
            monitors = [op for op in primitive.all("op") if op.words[1] == "monitor"]
            looked = any(_seconds(op.get("interval")) != 0 for op in monitors)
            if ":" in agent(primitive) and not looked and primitive.words[1] not in apart:
                yield Hit(primitive.place, f"{primitive.words[1]} ({agent(primitive)})")


def _seconds(text: str) -> float | None:
    match = _SECONDS.match(text.strip())
    return int(match[1]) * _UNITS[match[2]] if match else None


def monitors_at_once(estate: Estate) -> Iterable[Hit]:
    """Two monitors of a resource with one interval."""
    for cluster in clusters(estate):
        for primitive in cluster.root.all("primitive"):
            seen: dict[float, Node] = {}
            for op in primitive.all("op"):
                interval = _seconds(op.get("interval"))
                if op.words[1] == "monitor" and interval is not None:
                    first = seen.setdefault(interval, op)
                    if first is not op:
                        told = f"{primitive.words[1]}: two monitors with interval={op.get('interval')}"
                        yield Hit(op.place, told, (first.place,))


def banned_for_ever(estate: Estate) -> Iterable[Hit]:
    """Resources that leave a machine after failures and never come back."""
    for cluster in clusters(estate):
        for primitive in cluster.primitives:
            threshold = cluster.meta(primitive, "migration-threshold")
            timeout = cluster.meta(primitive, "failure-timeout")
            if threshold.isdecimal() and int(threshold) and _seconds(timeout or "0") == 0:
                yield Hit(primitive.place, f"{primitive.words[1]}: migration-threshold={threshold}, no failure-timeout")


def vip_without_proxy(estate: Estate) -> Iterable[Hit]:
    """Addresses that stay where HAProxy is not: those at which it listens, or that have no other partner."""
    doors = {found.host for section in sections(estate) for found, _ in section.binds}
    for cluster in clusters(estate):
        proxies = [node for node in cluster.primitives if agent(node).lower().endswith("haproxy")]
        for vip in cluster.vips if proxies else ():
            alone = not any(
                _together(cluster, vip.words[1], one.words[1]) for one in cluster.primitives if one is not vip
            )
            listens = said(setting(vip, "ip")) in doors
            if (alone or listens) and not any(_together(cluster, vip.words[1], proxy.words[1]) for proxy in proxies):
                yield Hit(vip.place, f"{vip.words[1]} and {proxies[0].words[1]}", (proxies[0].place,))


def _together(cluster: Cluster, one: str, other: str) -> bool:
    """Whether two resources are in one group, or a constraint keeps them, or what holds them, together."""
    first, second = cluster.family(one), cluster.family(other)
    if first & second:
        return True
    named = ({node.words[1] for node in constraint.all("rsc")} for constraint in cluster.root.all("colocation"))
    return any(names & first and names & second for names in named)


def unheard_drbd(estate: Estate) -> Iterable[Hit]:
    """DRBD's agent, without the notifications that it lives on."""
    for cluster in clusters(estate):
        for primitive in cluster.primitives:
            if agent(primitive) == "ocf:linbit:drbd" and cluster.meta(primitive, "notify").lower() not in ON:
                above = cluster.holders.get(primitive.words[1], ())
                yield Hit(above[0].place if above else primitive.place, f"{primitive.words[1]}: notify is not true")


def before_it_is_promoted(estate: Estate) -> Iterable[Hit]:
    """File systems that stay with a promoted DRBD, and do not wait until there is one."""
    for cluster in clusters(estate):
        for constraint in cluster.root.all("colocation"):
            promoted = [node for node in constraint.all("rsc") if node.words[2:3] in (("Master",), ("Promoted",))]
            others = _named(constraint) - {node.words[1] for node in promoted}
            relatives = {one for other in others for one in _relatives(cluster, other)}
            for node in promoted[:1]:
                mine = _relatives(cluster, node.words[1])
                ordered = any(_named(order) & mine and _named(order) & relatives for order in cluster.root.all("order"))
                if not ordered and _any(cluster, mine, ":drbd") and _any(cluster, relatives, ":Filesystem"):
                    yield Hit(constraint.place, f"{constraint.words[1]}: no order of {node.words[1]} and {min(others)}")


def _any(cluster: Cluster, names: Iterable[str], kind: str) -> bool:
    """Whether one of these is started by such an agent."""
    return any(agent(cluster.resources[name]).endswith(kind) for name in names if name in cluster.resources)


def _relatives(cluster: Cluster, name: str) -> set[str]:
    """A resource, what holds it, and what it holds: by which an order may name it."""
    holds = {node.value for node in cluster.resources[name].all("member")} if name in cluster.resources else set()
    return {*cluster.family(name), *holds}


def _named(constraint: Node) -> set[str]:
    return {node.words[1] for node in constraint.all("rsc")}


def restless(estate: Estate) -> Iterable[Hit]:
    """Addresses that are free to move whenever a machine comes back."""
    for cluster in clusters(estate):
        everywhere = cluster.property("default-resource-stickiness")
        for vip in cluster.vips if cluster.whole and not everywhere else ():
            if cluster.meta(vip, "resource-stickiness") in ("", "0"):
                yield Hit(vip.place, vip.words[1])


def failure_ignored(estate: Estate) -> Iterable[Hit]:
    """Operations whose failure changes nothing."""
    for cluster in clusters(estate):
        for primitive in cluster.primitives:
            for op in primitive.all("op"):
                if op.get("on-fail") == "ignore":
                    yield Hit(op.place, f"{primitive.words[1]}: {op.words[1]} on-fail=ignore")


def bound_elsewhere(estate: Estate) -> Iterable[Hit]:
    """Programs that listen at another address than that which moves with them."""
    for cluster in clusters(estate):
        vips = {vip.words[1]: said(setting(vip, "ip")) for vip in cluster.vips}
        for group in cluster.root.all("group"):
            named = [node.words[1] for node in group.all("member")]
            members = [cluster.resources[name] for name in named if name in cluster.resources]
            moving = {vips[node.words[1]] for node in members if node.words[1] in vips}
            for param in (param for member in members for param in member.all("param")):
                match = re.search(r"--bind[-_]address[= ]([\d.]+)", said(param))
                if moving and match and match[1] not in moving | {"0.0.0.0"}:  # noqa: S104 - recognised, not bound
                    told = f"{match[0]}, in {group.words[1]} with {', '.join(sorted(moving))}"
                    yield Hit(param.place, told)


RULES = (
    Rule(
        "PCM006",
        Severity.ERROR,
        "two resources bring up one address",
        "They may run on two controllers, which then both answer for it; the one that stops takes the address away "
        "from the other.",
        "https://github.com/ClusterLabs/resource-agents/blob/main/heartbeat/IPaddr2",
        "Keep one of them, or correct the address.",
        "",
        one_address_twice,
    ),
    Rule(
        "PCM007",
        Severity.WARNING,
        "Pacemaker never looks whether a resource still works",
        "Without a recurring monitor a resource that fails by itself is taken for running until its machine is lost.",
        f"{_EXPLAINED}/operations.html",
        "Add `op monitor interval=10s timeout=20s`.",
        "the program's -killed fault: nothing happens",
        never_looked_at,
    ),
    Rule(
        "PCM008",
        Severity.ERROR,
        "two monitors have the same interval",
        "Pacemaker knows an operation by its name and interval and runs only one of the two: one role is never looked "
        "at.",
        f"{_EXPLAINED}/operations.html",
        "Give each role's monitor an interval of its own, such as 29s and 30s.",
        "",
        monitors_at_once,
    ),
    Rule(
        "PCM009",
        Severity.WARNING,
        "a machine that failed once too often is never used again",
        "After migration-threshold failures the resource may not run there until somebody cleans up by hand. When all "
        "controllers have had theirs, it runs nowhere.",
        f"{_EXPLAINED}/resources.html",
        "Add a failure-timeout longer than the longest operation, for example `meta failure-timeout=10min`.",
        "the program's -killed fault on each controller in turn: in the end it runs nowhere",
        banned_for_ever,
    ),
    Rule(
        "PCM010",
        Severity.WARNING,
        "the address does not follow HAProxy",
        "When HAProxy fails on the controller that holds the VIP, the VIP stays there: nobody answers, though HAProxy "
        "runs elsewhere.",
        f"{_EXPLAINED}/constraints.html",
        "Add a colocation of the VIP with HAProxy (or its clone), score INFINITY.",
        "proxy-killed on the holder of the VIP: all APIs are gone until it is started again",
        vip_without_proxy,
    ),
    Rule(
        "PCM016",
        Severity.WARNING,
        "DRBD's agent is not told what its peer does",
        "ocf:linbit:drbd sets its promotion scores in notifications; without them it may promote old data, or nobody.",
        "https://github.com/LINBIT/drbd-utils/blob/master/scripts/drbd.ocf",
        "Add `meta notify=true` to its promotable clone.",
        "",
        unheard_drbd,
    ),
    Rule(
        "PCM017",
        Severity.WARNING,
        "a file system stays with its DRBD and does not wait until it is promoted",
        "Colocation says where, not when: the file system is mounted while DRBD still is a secondary, fails, and "
        "counts as a failure of the resource.",
        f"{_EXPLAINED}/constraints.html",
        "Add `order NAME Mandatory: CLONE:promote RESOURCE:start`.",
        "",
        before_it_is_promoted,
    ),
    Rule(
        "PCM018",
        Severity.NOTE,
        "the address is free to move when a controller comes back",
        "resource-stickiness is 0 unless it is set: to spread resources evenly, Pacemaker may take a VIP from where "
        "it works, and every client connects anew.",
        f"{_EXPLAINED}/resources.html",
        "Set `rsc_defaults resource-stickiness=100`, or more on the VIP.",
        "reboot: the VIP moves a second time when the controller is back",
        restless,
    ),
    Rule(
        "PCM019",
        Severity.WARNING,
        "a failure is ignored",
        "With on-fail=ignore a resource that its monitor finds dead is treated as if it ran.",
        f"{_EXPLAINED}/operations.html",
        "Leave on-fail out: restart, and fence where a stop fails.",
        "the program's -killed fault: nothing happens",
        failure_ignored,
    ),
    Rule(
        "PCM020",
        Severity.ERROR,
        "a program does not listen at the address that moves with it",
        "Clients come to the VIP and nobody listens there. If the other address is that of a single machine, the "
        "program does not start on any other.",
        "https://mariadb.com/kb/en/server-system-variables/#bind_address",
        "Bind it to the VIP of its group.",
        "standby: the service is gone though all of its group runs",
        bound_elsewhere,
    ),
)
