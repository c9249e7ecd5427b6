"""`/metrics` for Prometheus and `/health` for people: bytes of a request in, bytes of an answer out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from quorate.balancer.conn import Conn
from quorate.balancer.health import Health, State
from quorate.balancer.metrics import BUCKETS

if TYPE_CHECKING:
    from quorate.balancer.worker import Worker

MAX_REQUEST = 8192
"""Bytes of a request's head; longer ones are refused."""
METRICS, HEALTH = b"/metrics", b"/health"
WELL, UNWELL = "200 OK", "503 Service Unavailable"
FIGURES = "text/plain; version=0.0.4"
_HEAD = (
    "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
)


class Visitor(Conn):
    """A connection to the pages: one request, one answer."""

    def data_received(self, data: bytes) -> None:
        """Take what a read gave."""
        self.buf += data
        page = answer(self.buf, self.hub)  # type: ignore[arg-type]
        if page:
            self.ending = True
            self.send(page)


def answer(request: bytes, worker: Worker) -> bytes:
    """Return the whole answer, or nothing while the request's head is not complete."""
    path, refusal = wanted(request)
    if path == METRICS:
        return page(request, "200 OK", metrics(worker), FIGURES)
    if path == HEALTH:
        return page(request, WELL if worker.view.is_valid(worker.now) else UNWELL, health(worker))
    return refusal


def wanted(request: bytes) -> tuple[bytes, bytes]:
    """Return which page a request is for, or else what to answer at once: nothing while its head is not complete."""
    if b"\r\n\r\n" not in request:
        too_long = page(b"", "431 Request Header Fields Too Large", "too long\n")
        return b"", too_long if len(request) > MAX_REQUEST else b""
    words = request.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or words[0] not in {b"GET", b"HEAD"}:
        return b"", page(b"", "405 Method Not Allowed", "only GET\n")
    if words[1] in {METRICS, HEALTH}:
        return words[1], b""
    return b"", page(request, "404 Not Found", "there are /metrics and /health\n")


def page(request: bytes, status: str, body: str, kind: str = "text/plain") -> bytes:
    """Return an answer to a request; to HEAD without the body."""
    data = body.encode()
    head = _HEAD.format(status=status, kind=kind, size=len(data)).encode()
    return head if request.startswith(b"HEAD ") else head + data


def health(worker: Worker) -> str:
    """One line for each server, and one that says whether a quorum of them answers."""
    quorum = (
        "a quorum of the servers answers" if worker.view.is_valid(worker.now) else "NO QUORUM: every read is a miss"
    )
    lines = [quorum]
    for number, server in enumerate(worker.config.servers):
        seen = worker.health[number]
        lines.append(
            f"{server.name} {server.address}: {seen.state.value} ({seen.reason}), mark {seen.mark()}, "
            f"others say {worker.view.mark(number, worker.now)}, missed {len(seen.debt.keys)}"
        )
    return "\n".join(lines) + "\n"


def metrics(worker: Worker) -> str:
    """All figures in Prometheus' text format. `tests` hold this list and the documentation together."""
    rows = ["# TYPE quorate_balancer_server_up gauge"]
    names = [server.name for server in worker.config.servers]
    rows += [f'quorate_balancer_server_up{{server="{n}"}} {int(h.state is State.UP)}' for n, h in _both(names, worker)]
    rows.append("# TYPE quorate_balancer_missed_keys gauge")
    rows += [f'quorate_balancer_missed_keys{{server="{n}"}} {len(h.debt.keys)}' for n, h in _both(names, worker)]
    rows.append("# TYPE quorate_balancer_given_up_total counter")
    rows += [f'quorate_balancer_given_up_total{{server="{n}"}} {h.losses}' for n, h in _both(names, worker)]
    for name, value in worker.counts.items():
        rows += [f"# TYPE quorate_balancer_{name}_total counter", f"quorate_balancer_{name}_total {value}"]
    rows.append("# TYPE quorate_balancer_clients gauge")
    rows.append(f"quorate_balancer_clients {worker.clients()}")
    rows.append("# TYPE quorate_balancer_reply_seconds histogram")
    for (server, verb), latency in sorted(worker.latencies.items()):
        command = verb.decode("ascii", "replace")
        labels = f'server="{names[server]}",command="{command}"'
        total = 0
        for bucket in range(BUCKETS - 1):
            total += latency.counts[bucket]
            rows.append(f'quorate_balancer_reply_seconds_bucket{{{labels},le="{2**bucket / 1e6:g}"}} {total}')
        rows.append(f'quorate_balancer_reply_seconds_bucket{{{labels},le="+Inf"}} {latency.total}')
        rows.append(f"quorate_balancer_reply_seconds_sum{{{labels}}} {latency.seconds:.6f}")
        rows.append(f"quorate_balancer_reply_seconds_count{{{labels}}} {latency.total}")
    return "\n".join(rows) + "\n"


def _both(names: list[str], worker: Worker) -> Iterator[tuple[str, Health]]:
    return zip(names, worker.health, strict=True)
