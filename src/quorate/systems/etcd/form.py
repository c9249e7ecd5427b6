"""How the cluster is formed and grown: a pure decision from what was seen of every controller.

Invariant: members without data begin a new cluster only if every controller was seen, none runs etcd and none holds
data of it. A member is put out of a living cluster only where its own disk was seen to hold nothing, and another takes
its place at once: a majority of the others keeps every lock meanwhile.

::

    what each controller is        what follows
    ─────────────────────────      ───────────────────────────────────────────────────────────────
    any RUNNING                    those with data start; then the fresh ones join, one after the other
    else any UNKNOWN or STARTING   Blocked: a cluster may live there
    else all FRESH                 all start together and begin the cluster
    else a majority with data      those with data start together, then the fresh ones join
    else                           Blocked: what a majority kept is gone
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from quorate.core.act import Run, SetUnit
from quorate.core.observed import Unknown
from quorate.core.plan import Gate, Step, Wave
from quorate.core.stand import Stand, stand
from quorate.core.system import Blocked, Formation, Site
from quorate.systems.etcd.config import JOINING, PORT, UNIT, EtcdSpec, initial_cluster, peer_url
from quorate.systems.etcd.probe import Said, View

NAME = "etcd"
SETTLE = 60.0

# {port, peer}: run where a member lives. The member with that peer's URL had a disk that is empty now: it goes, and
# comes back as a new one. etcd refuses either while it could cost the majority, and for seconds after it was formed.
ADMIT = """
import http.client, json, sys, time
about = json.loads(sys.argv[1])
def ask(what, body):
    api = http.client.HTTPConnection("127.0.0.1", about["port"], timeout=10)
    api.request("POST", "/v3/cluster/member/" + what, json.dumps(body), {"Content-Type": "application/json"})
    reply = api.getresponse()
    said = json.loads(reply.read())
    return said if reply.status == 200 else said.get("message") or "HTTP %s" % reply.status
def must(what, body):
    until = time.monotonic() + 30
    while isinstance(said := ask(what, body), str):
        if time.monotonic() > until:
            sys.exit(said)
        time.sleep(0.5)
    return said
there = [one for one in must("list", {})["members"] if about["peer"] in one["peerURLs"]]
for one in there:
    if one.get("name"):
        must("remove", {"ID": one["ID"]})
if not any(not one.get("name") for one in there):
    must("add", {"peerURLs": [about["peer"]]})
"""


def _stand(view: View | Unknown) -> Stand:
    return Stand.UNKNOWN if isinstance(view, Unknown) else stand(view.unit, view.data, runs=isinstance(view.said, Said))


def form(_spec: EtcdSpec, site: Site, views: Mapping[str, View | Unknown]) -> Formation:
    """Decide what brings every controller into one cluster, or why that cannot be decided."""
    names = site.cloud.names
    stands = {host: _stand(views[host]) for host in names}
    evidence = tuple(_evidence(host, stands[host], views[host]) for host in names)
    running, holders, fresh = (
        [host for host in names if stands[host] is one] for one in (Stand.RUNNING, Stand.HOLDER, Stand.FRESH)
    )
    if running:
        said = [view.said for view in views.values() if isinstance(view, View) and isinstance(view.said, Said)]
        if len({one.cluster for one in said}) > 1:
            return Blocked("members are of different clusters", evidence)
        return (*([_start(holders, "start")] if holders else []), *_joins(site, running[0], fresh, said))
    unseen = [host for host in names if stands[host] in {Stand.UNKNOWN, Stand.STARTING}]
    if unseen:
        return Blocked(f"a cluster may live on {', '.join(unseen)}: what runs there is not known", evidence)
    if not holders:
        return (_start(fresh, "begin the cluster"),)
    if len(holders) <= len(names) // 2:
        return Blocked(f"only {', '.join(holders)} kept data, which is no majority of the cluster", evidence)
    return (_start(holders, "start"), *_joins(site, holders[0], fresh, ()))


def _start(hosts: Sequence[str], why: str) -> Wave:
    """Side by side: a member that begins or comes back waits for a majority."""
    started = SetUnit(name=UNIT, enabled=True, verb="start", timeout=SETTLE)
    steps = tuple(Step(host=host, title=f"{why} with etcd on {host}", acts=(started,)) for host in hosts)
    gate = Gate(system=NAME, members=tuple(hosts), timeout=SETTLE)
    return Wave(title=f"etcd: {', '.join(hosts)} {why}", system=NAME, steps=steps, gate=gate)


def _joins(site: Site, admitting: str, fresh: Sequence[str], said: Sequence[Said]) -> Sequence[Wave]:
    """One after the other; each must know exactly whom it finds, itself included."""
    peers = {member.name: member.peer for one in said for member in one.members if member.name}
    if not said:  # nobody could be asked: those with data are all that there were, but for the fresh ones
        peers = {host: peer_url(site.cloud, host) for host in site.cloud.names}
    waves: list[Wave] = []
    for host in fresh:
        peers[host] = peer_url(site.cloud, host)
        about = json.dumps({"port": PORT, "peer": peers[host]})
        admit = Run(title=f"take {host} in", argv=("python3", "-c", ADMIT, about), timeout=90.0)
        told = f"ETCD_INITIAL_CLUSTER_STATE=existing\nETCD_INITIAL_CLUSTER={initial_cluster(peers)}\n"
        tell = Run(title="tell it whom it joins", argv=("sh", "-c", f'printf %s "$1" >{JOINING}', "tell", told))
        start = SetUnit(name=UNIT, enabled=True, verb="start", timeout=SETTLE)
        waves += [
            Wave(
                title=f"etcd: take {host} in",
                system=NAME,
                steps=(Step(host=admitting, title=f"take {host} in", acts=(admit,)),),
            ),
            Wave(
                title=f"etcd: {host} joins",
                system=NAME,
                steps=(Step(host=host, title=f"join with etcd on {host}", acts=(tell, start)),),
                gate=Gate(system=NAME, members=(host,), timeout=SETTLE),
            ),
        ]
    return waves


def occupied(_spec: EtcdSpec, _site: Site, views: Mapping[str, View | Unknown], host: str) -> str:
    """Say why the place is not free for an empty machine."""
    return (
        f"data lies there: {_evidence(host, Stand.HOLDER, views[host])}" if _stand(views[host]) is Stand.HOLDER else ""
    )


def _evidence(host: str, what: Stand, view: View | Unknown) -> str:
    if isinstance(view, Unknown):
        return f"{host}: not seen: {view.why}"
    unit = view.unit.why if isinstance(view.unit, Unknown) else view.unit
    data = view.data.why if isinstance(view.data, Unknown) else "data" if view.data else "no data"
    return f"{host}: {what.value}; {UNIT} {unit}; {data}"
