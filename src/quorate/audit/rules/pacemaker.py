"""Pacemaker: whether a lost machine is really lost, and whether what is named is there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from quorate.audit.cluster import CONSTRAINTS, OFF, ON, agent, clusters, said, setting
from quorate.audit.estate import Estate
from quorate.audit.rule import Hit, Rule, Severity

_EXPLAINED = "https://clusterlabs.org/projects/pacemaker/doc/3.0/Pacemaker_Explained/html"
_FROM_SCRATCH = "https://clusterlabs.org/projects/pacemaker/doc/3.0/Clusters_from_Scratch/html"
_FENCING = ("stonith-enabled", "fencing-enabled")
_WATCHDOG = ("stonith-watchdog-timeout", "fencing-watchdog-timeout")
_NO_FENCING = re.compile(r"stonith:(null|ssh|external/ssh|fence_dummy|suicide|meatware)$")
_PASSWORD = re.compile(r"(pass|passwd|password|secret|cookie)$", re.IGNORECASE)


def fencing_off(estate: Estate) -> Iterable[Hit]:
    """Clusters that are told not to fence."""
    for cluster in clusters(estate):
        found = cluster.property(*_FENCING)
        if found and said(found).lower() in OFF:
            yield Hit(found.place, "=".join(found.words[1:]))


def no_device(estate: Estate) -> Iterable[Hit]:
    """Clusters that are to fence and have nothing to do it with."""
    for cluster in clusters(estate):
        off = said(cluster.property(*_FENCING)).lower() in OFF
        watchdog = said(cluster.property(*_WATCHDOG)) not in ("", "0", "0s")
        if cluster.whole and cluster.primitives and not (off or watchdog or cluster.devices):
            yield Hit(cluster.root.place, "no resource of the class stonith")


def quorum_ignored(estate: Estate) -> Iterable[Hit]:
    """Clusters that go on without a majority."""
    for cluster in clusters(estate):
        found = cluster.property("no-quorum-policy")
        if found and said(found) == "ignore":
            yield Hit(found.place, "no-quorum-policy=ignore")


def not_there(estate: Estate) -> Iterable[Hit]:
    """Members of groups, and parties of constraints, that nobody defined."""
    for cluster in clusters(estate):
        there = {*cluster.resources, *(node.words[1] for node in cluster.root.all("tag", "template"))}
        for holder in cluster.root.all("group", "clone", "ms", "tag", *CONSTRAINTS) if cluster.primitives else ():
            for named in holder.all("member", "rsc"):
                if named.words[1] not in there:
                    yield Hit(named.place, f"{holder.name} {holder.words[1]} names {named.words[1]}")


def no_statement(estate: Estate) -> Iterable[Hit]:
    """Lines that begin with what belongs to the statement before."""
    for cluster in clusters(estate):
        for node in cluster.root.all("unknown"):
            if "=" in node.words[1] or node.words[1] in ("params", "meta", "op", "operations", "utilization"):
                yield Hit(node.place, " ".join(node.words[1:4]))


def left_alone(estate: Estate) -> Iterable[Hit]:
    """Clusters and resources that Pacemaker is told not to care for."""
    for cluster in clusters(estate):
        for name in ("maintenance-mode", "stop-all-resources"):
            found = cluster.property(name)
            if found and said(found).lower() in ON:
                yield Hit(found.place, "=".join(found.words[1:]))
        for resource in cluster.resources.values():
            found = setting(resource, "is-managed", "meta") or setting(resource, "maintenance", "meta")
            if found and said(found).lower() in (OFF if found.words[1] == "is-managed" else ON):
                yield Hit(found.place, f"{resource.words[1]}: {'='.join(found.words[1:])}")


def left_over(estate: Estate) -> Iterable[Hit]:
    """Constraints that a command made for once."""
    for cluster in clusters(estate):
        for constraint in cluster.root.all("location"):
            if constraint.words[1].startswith(("cli-prefer-", "cli-ban-", "cli-standby-")):
                yield Hit(constraint.place, constraint.words[1])


def old_words(estate: Estate) -> Iterable[Hit]:
    """Promotable clones by their former name."""
    for cluster in clusters(estate):
        for node in cluster.root.all("ms"):
            yield Hit(node.place, f"ms {node.words[1]}")


def no_real_fencing(estate: Estate) -> Iterable[Hit]:
    """Fencing devices that fence nobody."""
    for cluster in clusters(estate):
        for device in cluster.devices:
            if _NO_FENCING.match(agent(device)):
                yield Hit(device.place, f"{device.words[1]} ({agent(device)})")


def duel(estate: Estate) -> Iterable[Hit]:
    """Two nodes that may fence each other at the same moment."""
    delays = ("pcmk_delay_max", "pcmk_delay_base", "delay")
    for cluster in clusters(estate):
        two = len({node.value for node in cluster.root.all("node")}) == 2
        delayed = any(setting(device, name) for device in cluster.devices for name in delays)
        arbiter = any(document.root.last("quorum", "device") for document in estate.of("corosync"))
        off = said(cluster.property(*_FENCING)).lower() in OFF
        if two and cluster.devices and not (delayed or arbiter or off or cluster.property("priority-fencing-delay")):
            yield Hit(cluster.devices[0].place, ", ".join(device.words[1] for device in cluster.devices))


def told_passwords(estate: Estate) -> Iterable[Hit]:
    """Passwords in the cluster's configuration; those that are in files by name, or made by a script, are none."""
    for cluster in clusters(estate):
        for primitive in cluster.root.all("primitive"):
            for param in primitive.all("param"):
                if _PASSWORD.search(param.words[1]) and said(param) and said(param) != "lrm://":
                    yield Hit(param.place, f"{primitive.words[1]}: {param.words[1]}")


RULES = (
    Rule(
        "PCM001",
        Severity.ERROR,
        "nobody makes sure that a lost controller is off",
        "A controller that is only cut off, or frozen, keeps its VIP, its mounted file system and its writers, while "
        "the others start them a second time: two VIPs, and data that is overwritten.",
        f"{_EXPLAINED}/fencing.html",
        "Configure a device for each controller (IPMI, Redfish, PDU or SBD) and set stonith-enabled (since 3.0.2: "
        "fencing-enabled) to true.",
        "silent-cut: two controllers hold the VIP at the same time",
        fencing_off,
    ),
    Rule(
        "PCM002",
        Severity.ERROR,
        "fencing is on and there is nothing to fence with",
        "Pacemaker starts no resource at all until there is a fencing device: 'Resource start-up disabled since no "
        "STONITH resources have been defined'.",
        f"{_EXPLAINED}/cluster-options.html",
        "Configure a fencing device for each controller. Turning fencing off instead leads to two VIPs and damaged "
        "data.",
        "power-cut: nothing is taken over",
        no_device,
    ),
    Rule(
        "PCM003",
        Severity.ERROR,
        "a part of the cluster without a majority goes on",
        "When the network between controllers is cut, each part starts everything: two VIPs, two databases, two sets "
        "of agents.",
        f"{_EXPLAINED}/cluster-options.html",
        "Leave no-quorum-policy out (stop). With two nodes, Corosync's `two_node: 1` and fencing do what was meant.",
        "partition-minority: the controller that is alone keeps everything running",
        quorum_ignored,
    ),
    Rule(
        "PCM004",
        Severity.ERROR,
        "a name stands for no resource",
        "crmsh refuses the whole change; in a CIB, Pacemaker ignores the constraint: what should stay together or "
        "wait for each other does not.",
        "https://github.com/ClusterLabs/pacemaker/blob/main/lib/pacemaker/pcmk_sched_colocation.c",
        "Correct the name, or define the resource.",
        "",
        not_there,
    ),
    Rule(
        "PCM005",
        Severity.ERROR,
        "a statement is broken off",
        "The line before has lost its backslash: crmsh refuses this one, and what is on it is missing.",
        "https://crmsh.github.io/man/",
        "End every line of a statement but the last with a backslash.",
        "",
        no_statement,
    ),
    Rule(
        "PCM011",
        Severity.WARNING,
        "Pacemaker is told not to act",
        "Nothing is restarted or moved while this is set; a loss stays a loss. It is often forgotten after "
        "maintenance.",
        f"{_EXPLAINED}/cluster-options.html",
        "Take it out.",
        "power-cut: nothing is taken over",
        left_alone,
    ),
    Rule(
        "PCM012",
        Severity.WARNING,
        "a move or ban by hand is still in force",
        "`crm resource move` and `ban` leave a constraint for ever: the resource may not run on a controller, or goes "
        "back to one as soon as it can.",
        "https://clusterlabs.org/projects/pacemaker/doc/3.0/Pacemaker_Administration/html/moving.html",
        "Remove it: `crm resource clear RESOURCE` (pcs: `pcs resource clear RESOURCE`).",
        "power-cut of the controller that is left: it runs nowhere",
        left_over,
    ),
    Rule(
        "PCM013",
        Severity.NOTE,
        "`ms` is no longer a kind of resource",
        "Promotable clones have taken its place since Pacemaker 2.0; 3.0 has dropped it, and the roles are Promoted "
        "and Unpromoted.",
        "https://github.com/ClusterLabs/pacemaker/blob/main/ChangeLog.md",
        "Write `clone NAME RESOURCE meta promotable=true`, promoted-max and promoted-node-max.",
        "",
        old_words,
    ),
    Rule(
        "PCM014",
        Severity.ERROR,
        "a fencing device that fences nobody",
        "These agents are for tests: they say yes and do nothing, or ask the lost machine itself to go. Pacemaker "
        "then believes that it is off.",
        f"{_FROM_SCRATCH}/fencing.html",
        "Use what cuts the power or the storage: fence_ipmilan, fence_redfish, a PDU, SBD.",
        "machine-frozen: it wakes and still holds the VIP and its writers",
        no_real_fencing,
    ),
    Rule(
        "PCM015",
        Severity.WARNING,
        "two controllers may fence each other",
        "When the link between two nodes is lost, both start to fence at the same moment, and both may be turned off.",
        f"{_EXPLAINED}/cluster-options.html",
        "Set `priority-fencing-delay=15s` and give the VIP a priority, or pcmk_delay_max on one device.",
        "partition-halves: both controllers are restarted",
        duel,
    ),
    Rule(
        "PCM021",
        Severity.WARNING,
        "a password is in the cluster's configuration",
        "Every member of the group haclient reads it, and so does whoever gets a report (crm report) or an old CIB.",
        "https://github.com/ClusterLabs/pacemaker/blob/main/tools/cibsecret.in",
        "Keep it outside: `crm resource secret RESOURCE set NAME VALUE` (cibsecret), or a script for fencing agents "
        "(password_script).",
        "",
        told_passwords,
    ),
)
