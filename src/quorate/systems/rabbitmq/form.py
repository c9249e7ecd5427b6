"""How the cluster is formed and grown: a pure decision from what was seen of every controller.

Invariant: nodes without data begin a new cluster only if every controller was seen, none runs
RabbitMQ and none holds data of it. Where a cluster lives, others join; where one may live, nothing is done.

::

    what each controller is        what follows
    ─────────────────────────      ─────────────────────────────────────────────────────────────
    any RUNNING                    missing accounts; the others start, and join (unknown ones: left); then queues that
                                   an older set-up left and services cannot use: removed if empty, else Blocked
    else any UNKNOWN or STARTING   Blocked: a cluster may live there
    else all FRESH                 all start together: RabbitMQ itself begins no cluster before two see each other
    else                           all with data start together, then the fresh ones join

A node whose disk was seen to hold nothing, whom the others know and do not see running, is forgotten by them before it
joins: RabbitMQ takes nobody in whom it knows and who does not know it. It then gets replicas of all queues. Nobody is
forgotten while the others are no majority.

Nodes with data may start in any order: one that was not the last to stop waits for the one that was, and serves nothing
until then. That loses no message; who waits for a node that never comes back is for `quorate recover`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quorate.core.act import Run, SetUnit
from quorate.core.observed import Unknown
from quorate.core.plan import Gate, Step, Wave
from quorate.core.stand import Stand, stand
from quorate.core.system import Blocked, Formation, Site
from quorate.systems.rabbitmq.config import ACCOUNTS_UNIT, NODES_PORT, UNIT, VHOST, RabbitSpec, node
from quorate.systems.rabbitmq.probe import Said, View, classic_in, disagreement, listed, running_in

NAME = "rabbitmq"
SETTLE = 120.0

LOOK_ONCE_MORE = f"""want="$1"; shift
for peer in "$@"; do
  if timeout 1 bash -c 'exec 3<>"/dev/tcp/$0/{NODES_PORT}"' "$peer" 2>/dev/null; then
    [ "$want" = some ] && exit 0
    echo "a node answers at $peer:{NODES_PORT}: no new cluster is begun" >&2; exit 1
  fi
done
[ "$want" = none ] && exit 0
echo "no node answers at $*: this one would begin a cluster of its own" >&2; exit 1"""
"""At the last moment before a start: whether others run, as the plan took for granted."""

GROW = """rabbitmq-queues --quiet grow "$1" all --errors-only || exit
for vhost in $(rabbitmqctl --quiet list_vhosts); do
  rabbitmqctl --quiet list_queues --vhost "$vhost" name type members | while read -r name type members; do
    case "$type $members" in *"$1"*) continue ;; stream\\ *) ;; *) continue ;; esac
    runuser -u rabbitmq -- env HOME=/var/lib/rabbitmq /usr/lib/rabbitmq/bin/rabbitmq-streams --quiet \\
      add_replica --vhost "$vhost" "$name" "$1" </dev/null || exit
  done || exit
done"""
"""Gives a node that joined a replica of every queue and stream; what it has already is left.

Debian has no wrapper for rabbitmq-streams: it is called as those of the other programs do.
"""


def stand_of(view: View | Unknown) -> Stand:
    """Say what a controller is."""
    return Stand.UNKNOWN if isinstance(view, Unknown) else stand(view.unit, view.data, runs=isinstance(view.said, Said))


def form(_spec: RabbitSpec, site: Site, views: Mapping[str, View | Unknown]) -> Formation:
    """Decide what brings every controller into one cluster, or why that cannot be decided."""
    names = site.cloud.names
    stands = {host: stand_of(views[host]) for host in names}
    evidence = tuple(evidence_of(host, stands[host], views[host]) for host in names)
    holders = [host for host in names if stands[host] is Stand.HOLDER]
    fresh = [host for host in names if stands[host] is Stand.FRESH]
    said = running_in(views)
    if said:
        split = disagreement(said)
        if split:
            return Blocked(split, evidence)
        forgotten = _forget(site, fresh, said)
        if isinstance(forgotten, Blocked):
            return Blocked(forgotten.reason, evidence)
        waves = [start(site, joining, "join")] if (joining := [*holders, *fresh]) else []
        waves = [*forgotten, *waves, *(_grow(site, next(iter(said)), host) for host in fresh)]
        return (*waves, *_accounts(site, views)) or _old_queues(views)
    unseen = [host for host in names if stands[host] in {Stand.UNKNOWN, Stand.STARTING}]
    if unseen:
        return Blocked(f"a cluster may live on {', '.join(unseen)}: what runs there is not known", evidence)
    if holders:
        waves = [start(site, holders, "start"), *([start(site, fresh, "join")] if fresh else [])]
    else:
        waves = [_look_round(site), start(site, names, "begin the cluster")]
    return (*waves, *_accounts(site, views))


def _forget(site: Site, fresh: Sequence[str], said: Mapping[str, Said]) -> Sequence[Wave] | Blocked:
    """Let the others forget who lost its disk; one after the other, by one of them."""
    known = {peer.name: peer for one in said.values() for peer in one.nodes}
    lost = [host for host in fresh if node(site.cloud, host) in known]
    seen = [host for host in lost if any(node(site.cloud, host) in one.running for one in said.values())]
    if seen:
        return Blocked(f"{', '.join(seen)} runs no node, and the others see one: another machine answers in its place")
    if lost and 2 * len(said) <= len(site.cloud.names):
        return Blocked(f"{', '.join(lost)} cannot be forgotten: {len(said)} of {len(site.cloud.names)} nodes run")
    host = next(iter(said))
    command = ("rabbitmqctl", "--quiet", "forget_cluster_node")
    acts = tuple(Run(title=f"forget {name}", argv=(*command, node(site.cloud, name))) for name in lost)
    step = Step(host=host, title=f"forget {', '.join(lost)}", acts=acts, irreversible="what it held is not asked for")
    return (Wave(title=f"rabbitmq: forget {', '.join(lost)}, whose disk is empty", steps=(step,)),) if lost else ()


def _grow(site: Site, host: str, joined: str) -> Wave:
    what = f"give {joined} replicas of all queues"
    run = Run(title=what, argv=("bash", "-c", GROW, "grow", node(site.cloud, joined)), timeout=300.0)
    return Wave(title=f"rabbitmq: {what}", system=NAME, steps=(Step(host=host, title=what, acts=(run,)),))


def start(site: Site, hosts: Sequence[str], why: str) -> Wave:
    """Side by side: who joins has been shown whom to join."""
    steps = tuple(
        Step(host=host, title=f"{why} with rabbitmq on {host}", acts=(*_before(site, host, why), _STARTED))
        for host in hosts
    )
    gate = Gate(system=NAME, members=tuple(hosts), timeout=SETTLE)
    return Wave(title=f"rabbitmq: {', '.join(hosts)} {why}", system=NAME, steps=steps, gate=gate)


def _before(site: Site, host: str, why: str) -> tuple[Run, ...]:
    others = [name for name in site.cloud.names if name != host]
    return (_look(site, "some", others),) if why == "join" else ()


_STARTED = SetUnit(name=UNIT, enabled=True, verb="start", timeout=SETTLE)


def _look_round(site: Site) -> Wave:
    """Once more, when all else is done: does really nobody run?"""
    host = site.cloud.names[0]
    step = Step(host=host, title="look once more who runs", acts=(_look(site, "none", site.cloud.names),))
    return Wave(title="rabbitmq: nobody runs", system=NAME, steps=(step,))


def _look(site: Site, want: str, hosts: Sequence[str]) -> Run:
    peers = [site.cloud.address(name) for name in hosts]
    return Run(title="look once more who runs", argv=("sh", "-c", LOOK_ONCE_MORE, "look", want, *peers))


def _accounts(site: Site, views: Mapping[str, View | Unknown]) -> Sequence[Wave]:
    """Where the definitions were not read since they came, or some account cannot log in all the same."""
    hosts = [
        host
        for host in site.cloud.names
        if isinstance(view := views[host], View)
        and (view.accounts in {"inactive", "failed"} or (isinstance(view.said, Said) and view.said.refused))
    ]
    if not hosts:
        return ()
    restart = SetUnit(name=ACCOUNTS_UNIT, enabled=True, verb="restart", timeout=60.0)
    steps = tuple(
        Step(host=host, title="make virtual host, accounts and permissions", acts=(restart,)) for host in hosts
    )
    gate = Gate(system=NAME, members=tuple(hosts), timeout=SETTLE)
    return (Wave(title="rabbitmq: accounts", system=NAME, steps=steps, gate=gate),)


def _old_queues(views: Mapping[str, View | Unknown]) -> Formation:
    """Remove queues that are not replicated, so that services declare them anew; never one that holds anything."""
    queues = classic_in(views)
    if held := {name: count for name, count in queues.items() if count}:
        why = "queues that are not replicated hold messages, which would be lost with them"
        remedy = f"have them consumed, or give them up: rabbitmqctl delete_queue --vhost {VHOST} NAME"
        return Blocked(f"{why}: {listed(held)}", (remedy,))
    if not queues:
        return ()
    host = next(iter(running_in(views)))
    command = ("rabbitmqctl", "--quiet", "delete_queue", "--vhost", VHOST, "--if-empty", "--if-unused")
    acts = tuple(Run(title=f"remove the empty queue {name}", argv=(*command, name)) for name in queues)
    step = Step(host=host, title="remove empty queues that are not replicated", acts=acts)
    return (Wave(title="rabbitmq: queues of an older set-up", system=NAME, steps=(step,)),)


def occupied(_spec: RabbitSpec, _site: Site, views: Mapping[str, View | Unknown], host: str) -> str:
    """Say why the place is not free for an empty machine."""
    holds = stand_of(views[host]) is Stand.HOLDER
    return f"data lies there: {evidence_of(host, Stand.HOLDER, views[host])}" if holds else ""


def evidence_of(host: str, what: Stand, view: View | Unknown) -> str:
    """What was seen of a controller that decides whether a cluster may be formed, in words."""
    if isinstance(view, Unknown):
        return f"{host}: not seen: {view.why}"
    unit = view.unit.why if isinstance(view.unit, Unknown) else view.unit
    data = view.data.why if isinstance(view.data, Unknown) else ", ".join(view.data) or "no data"
    return f"{host}: {what.value}; {UNIT} {unit}; {data}"
