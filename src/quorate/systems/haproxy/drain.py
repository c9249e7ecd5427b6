"""How a controller is drained at the proxies: no client is sent there any more, and the last has left.

Requests that are under way are answered; a server that keeps its connections for ever (`one_active`, anything but HTTP)
is left at once, in the moment in which clients find another: they dial again. A proxy forgets it when it is started
anew, which `status` tells and `apply` mends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quorate.core.act import Run
from quorate.core.fault import Hit, Loss
from quorate.core.observed import Unknown
from quorate.core.plan import Step, Wave
from quorate.core.system import Site, Withdrawal
from quorate.systems.haproxy.config import SOCKET, HaproxySpec, frontends
from quorate.systems.haproxy.probe import View

PATIENCE = 60
"""Seconds that requests have which are under way."""

# SOCKET SECONDS FRONTEND/SERVER=STATE …: set them, and wait until those that are out have nobody left.
SET = """
import csv, socket, sys, time
where, patience, *words = sys.argv[1:]
def ask(line):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(where)
        s.sendall(line.encode() + b"\\n")
        said = b""
        while data := s.recv(65536):
            said += data
    return said.decode(errors="replace").strip()
wanted = dict(word.split("=") for word in words)
for server, state in wanted.items():
    if said := ask(f"set server {server} state {state}"):
        sys.exit(f"{server}: {said}")
until = time.monotonic() + float(patience)
while True:
    rows = csv.DictReader(ask("show stat").removeprefix("# ").splitlines())
    has = {f"{row['pxname']}/{row['svname']}": int(row["scur"] or 0) for row in rows}
    left = {server: has.get(server, 0) for server, state in wanted.items() if state != "ready"}
    if not any(left.values()):
        break
    if time.monotonic() > until:
        sys.exit("still served there: " + ", ".join(f"{n} of {server}" for server, n in left.items() if n))
    time.sleep(0.2)
"""


def drain(spec: HaproxySpec, site: Site, views: Mapping[str, View | Unknown]) -> Sequence[Withdrawal]:
    """Take drained controllers out of every proxy that may have a VIP, and the others in."""
    del spec
    wanted = {name: _wanted(site, views[name]) for name in site.cloud.names if name not in site.drained}
    steps = tuple(_step(name, words) for name, words in wanted.items() if words)
    if not steps:
        return ()
    leaving = {word.split("/")[1].split("=")[0] for words in wanted.values() for word in words if word[-5:] != "ready"}
    kinds = [endpoint.kind for endpoint, _ in frontends(site)]
    hits = tuple(Hit(host, kind, Loss.DRAINED) for host in sorted(leaving) for kind in kinds)
    return (Withdrawal(Wave(title="haproxy: who is served where", steps=steps), hits),)


def _wanted(site: Site, view: View | Unknown) -> tuple[str, ...]:
    """What one proxy is to be told. A server that is down serves nobody, whatever it was told."""
    if isinstance(view, Unknown) or isinstance(view.servers, Unknown):
        return ()
    words = []
    for endpoint, via in frontends(site):
        for server, state in view.servers.get(endpoint.kind, {}).items():
            if server in site.drained and state.startswith("UP"):
                words.append(f"{endpoint.kind}/{server}={'drain' if via.mode == 'http' else 'maint'}")
            elif server not in site.drained and state.startswith(("DRAIN", "MAINT")):
                words.append(f"{endpoint.kind}/{server}=ready")
    return tuple(words)


def _step(host: str, words: Sequence[str]) -> Step:
    run = Run(
        title="say to the proxy who is served where",
        argv=("python3", "-c", SET, SOCKET, str(PATIENCE), *words),
        timeout=PATIENCE + 30.0,
    )
    return Step(host=host, title=f"haproxy on {host}", acts=(run,), diff=tuple(f"! {word}" for word in words))
