"""`stats proxy` and `stats servers`: what the balancer says of itself, in memcached's form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quorate import balancer

if TYPE_CHECKING:
    from quorate.balancer.worker import Worker


def own_statistics(worker: Worker, which: bytes) -> bytes:
    """Return the lines of one of the two."""
    rows = _servers(worker) if which == b"servers" else _proxy(worker)
    return b"".join(b"STAT %b %b\r\n" % (name.encode(), value.encode()) for name, value in rows) + b"END\r\n"


def _servers(worker: Worker) -> list[tuple[str, str]]:
    rows = [("version", str(getattr(balancer, "BUNDLE", "not bundled")))]
    for number, (server, health) in enumerate(zip(worker.config.servers, worker.health, strict=True)):
        backend = worker.connections[number]
        rows += [
            (f"{server.name}:state", health.state.value),
            (f"{server.name}:reason", health.reason.replace("\r", " ").replace("\n", " ")),
            (f"{server.name}:seconds", f"{worker.now - health.since:.1f}"),
            (f"{server.name}:mark", health.mark()),
            (f"{server.name}:others", worker.view.mark(number, worker.now)),
            (f"{server.name}:missed", str(len(health.debt.keys))),
            (f"{server.name}:waiting", str(len(backend.fifo) if backend else 0)),
        ]
    return rows


def _proxy(worker: Worker) -> list[tuple[str, str]]:
    rows = [
        ("name", worker.view.name),
        ("copies", str(worker.config.copies)),
        ("ring", worker.config.ring.kind),
        ("view", "valid" if worker.view.is_valid(worker.now) else "invalid"),
    ]
    rows += [(name, str(value)) for name, value in worker.counts.items()]
    for (number, verb), latency in sorted(worker.latencies.items()):
        command = verb.decode("ascii", "replace")
        server = worker.config.servers[number].name
        rows += [
            (f"{server}:{command}:replies", str(latency.total)),
            (f"{server}:{command}:p50_us", f"{1e6 * latency.quantile(0.5):.0f}"),
            (f"{server}:{command}:p99_us", f"{1e6 * latency.quantile(0.99):.0f}"),
        ]
    return rows
