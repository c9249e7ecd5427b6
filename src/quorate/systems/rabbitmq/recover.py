"""How the cluster comes back when nobody runs, or without those who never will: a pure decision.

Invariant: a node is made to begin without the others (`force_boot`) only if a majority of all controllers is left, none
of them runs, and no other one of them went on after it. A quorum queue has acknowledged a message once a majority holds
it, and any two majorities share a member, which is among those that are left.

Invariant: a node is forgotten only if it was given up by name, and no running one sees it run.

::

    what is seen                                  what follows
    ────────────────────────────────────────      ──────────────────────────────────────────────────────────
    nobody is given up                            as form(): who has data starts; nodes wait for who stopped last
    any RUNNING                                   the given up ones are forgotten; the others as form()
    else a minority is left                       Blocked: quorum queues have no majority, nor can be counted
    else nodes that start, for RETURN seconds     Blocked: they may have found each other
    else                                          stop those that wait; who stopped last begins, the others follow
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from quorate.core.act import Run, SetUnit
from quorate.core.observed import Unknown
from quorate.core.plan import Step, Wave
from quorate.core.stand import Stand
from quorate.core.system import Blocked, Formation, Question, Site, Terms
from quorate.systems.rabbitmq.config import HOME, UNIT, RabbitSpec, node
from quorate.systems.rabbitmq.form import NAME, evidence_of, form, stand_of, start
from quorate.systems.rabbitmq.probe import View, running_in

RETURN = 30.0
"""Seconds in which nodes that wait for each other find each other: three rounds of 10 s (decision 13)."""

# The nodes that it saw running when it last looked: who saw fewer went on for longer.
LOOK_FOR_OTHERS = f"""cd {HOME}/mnesia 2>/dev/null || {{ echo end; exit 0; }}
for file in rabbit@*/nodes_running_at_shutdown; do [ -e "$file" ] && cat "$file"; done
echo end"""


def evidence(_spec: RabbitSpec, _site: Site, _host: str) -> Sequence[Question]:
    """Ask whom each node saw running last."""
    return (Question("others", ("sh", "-c", LOOK_FOR_OTHERS)),)


def recover(spec: RabbitSpec, site: Site, views: Mapping[str, View | Unknown], terms: Terms) -> Formation:
    """Decide what brings the messages back."""
    names = site.cloud.names
    stands = {host: stand_of(views[host]) for host in names}
    running = running_in(views)
    if running or not terms.given:
        return _formed(spec, site, views, terms, stands)
    evidence = tuple(evidence_of(host, stands[host], views[host]) for host in names)
    left = [host for host in names if host not in terms.given]
    unseen = [host for host in left if stands[host] is Stand.UNKNOWN]
    if unseen:
        why = f"a cluster may live on {', '.join(unseen)}: what runs there is not known"
        return Blocked(why, evidence, passing=_on_its_way({host: stands[host] for host in left}, views))
    held = [host for host in left if stands[host] is not Stand.FRESH]
    if len(held) <= len(names) // 2:
        why = f"{len(held)} of {len(names)} nodes are left: quorum queues have no majority, and what they hold is lost"
        return Blocked(why, (*evidence, "bring one of the others back: its disk is enough"))
    starting = [host for host in held if stands[host] is Stand.STARTING]
    if starting and terms.waited < RETURN:
        return Blocked(f"{', '.join(starting)} may have found each other", evidence, passing=True)
    last = [host for host in held if _was_last(site, host, held, views)]
    if not last:
        return Blocked("who of the nodes stopped last cannot be told", evidence)
    return (
        *([_stop(starting)] if starting else []),
        _force(site, last[0]),
        *([start(site, rest, "start")] if (rest := [host for host in held if host != last[0]]) else []),
        *([start(site, fresh, "join")] if (fresh := [host for host in left if host not in held]) else []),
    )


def _formed(
    spec: RabbitSpec, site: Site, views: Mapping[str, View | Unknown], terms: Terms, stands: Mapping[str, Stand]
) -> Formation:
    """As it is formed; what is on its way may arrive, and who is given up is forgotten."""
    formation = form(spec, site, views)
    if isinstance(formation, Blocked):
        return replace(formation, passing=_on_its_way(stands, views))
    said = running_in(views)
    gone = [
        host
        for host in terms.given
        if any(node(site.cloud, host) in {peer.name for peer in one.nodes} for one in said.values())
        and not any(node(site.cloud, host) in one.running for one in said.values())
    ]
    return (*([_forget(site, next(iter(said)), gone)] if gone else []), *formation)


def _on_its_way(stands: Mapping[str, Stand], views: Mapping[str, View | Unknown]) -> bool:
    """Whether what is not known of some nodes is because they start or stop: their controllers answered."""
    unclear = [host for host, what in stands.items() if what in {Stand.UNKNOWN, Stand.STARTING}]
    return bool(unclear) and all(isinstance(views[host], View) for host in unclear)


def _was_last(site: Site, host: str, held: Sequence[str], views: Mapping[str, View | Unknown]) -> bool:
    """Whether no other one of those with data went on without it."""
    own = node(site.cloud, host)
    others = [view.others for name in held if name != host and isinstance(view := views[name], View)]
    return all(not isinstance(seen, Unknown) and own in seen for seen in others)


def _stop(hosts: Sequence[str]) -> Wave:
    steps = tuple(
        Step(host=host, title=f"stop waiting on {host}", acts=(SetUnit(name=UNIT, verb="stop"),)) for host in hosts
    )
    return Wave(title="rabbitmq: stop nodes that wait for one that is given up", system=NAME, steps=steps)


def _force(site: Site, host: str) -> Wave:
    force = Run(title="begin without the nodes that are given up", argv=("rabbitmqctl", "--quiet", "force_boot"))
    wave = start(site, [host], "begin")
    step = wave.steps[0]
    return wave.model_copy(update={"steps": (step.model_copy(update={"acts": (force, *step.acts)}),)})


def _forget(site: Site, by: str, gone: Sequence[str]) -> Wave:
    acts = tuple(
        Run(
            title=f"forget {host}",
            argv=("rabbitmqctl", "--quiet", "forget_cluster_node", node(site.cloud, host)),
            timeout=60.0,
        )
        for host in gone
    )
    step = Step(
        host=by,
        title=f"forget {', '.join(gone)}",
        acts=acts,
        irreversible=f"the node of {', '.join(gone)} is no member any more; it joins anew, with an empty disk",
    )
    return Wave(title="rabbitmq: forget who is given up", system=NAME, steps=(step,))
