"""Clients that validate Keystone tokens at a stated rate, and how long each of them was kept waiting.

Every validation is due at a time fixed beforehand and its latency counts from there, whatever became of the ones
before: a client that waits for an answer before it asks again hides a stall (coordinated omission).
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

PORT = 5000
PATIENCE = 30.0
"""Seconds after which a client gives up: longer than any stall that is to be seen."""
AT_ONCE = 400


@dataclass(frozen=True)
class Validation:
    """One validation, times in seconds of the monotonic clock; `why` it failed is empty where the answer was right."""

    due: float
    ended: float
    why: str = ""

    @property
    def latency(self) -> float:
        """Seconds that its user waited."""
        return self.ended - self.due


@dataclass(frozen=True)
class Latencies:
    """The distribution of a phase, milliseconds."""

    count: int
    errors: int
    p50: float
    p99: float
    worst: float

    @classmethod
    def of(cls, validations: Sequence[Validation]) -> Latencies:
        """Sum them up."""
        ordered = sorted(validation.latency * 1000 for validation in validations)
        p50, p99 = (ordered[int(len(ordered) * part)] for part in (0.5, 0.99))
        errors = sum(validation.why != "" for validation in validations)
        return cls(len(ordered), errors, round(p50, 1), round(p99, 1), round(ordered[-1], 1))

    def __str__(self) -> str:
        return f"{self.count} validations, {self.errors} errors, p50 {self.p50}, p99 {self.p99}, worst {self.worst} ms"


@dataclass
class Client:
    """Asks one Keystone, on a connection of its own each time, as a service does for a new caller."""

    host: str
    tokens: Sequence[str] = field(default=(), repr=False)
    seen: list[Validation] = field(default_factory=list, repr=False)

    def issue(self, password: str, count: int) -> None:
        """Get tokens of the administrator to validate."""
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        tokens = []
        for _ in range(count):
            with contextlib.closing(http.client.HTTPConnection(self.host, PORT, timeout=PATIENCE)) as keystone:
                headers = {"content-type": "application/json"}
                keystone.request("POST", "/v3/auth/tokens", json.dumps(body), headers)
                reply = keystone.getresponse()
                assert reply.status == 201, reply.read()
                tokens.append(reply.headers["x-subject-token"])
        self.tokens = tokens

    @contextlib.contextmanager
    def validating(self, rate: float) -> Iterator[None]:
        """Validate `rate` tokens a second meanwhile; afterwards all of them have ended."""
        stop = threading.Event()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            pacer = threading.Thread(target=self._pace, args=(pool, 1 / rate, stop))
            pacer.start()
            try:
                yield
            finally:
                stop.set()
                pacer.join()

    def _pace(self, pool: ThreadPoolExecutor, interval: float, stop: threading.Event) -> None:
        began = time.monotonic()
        for number, token in enumerate(itertools.cycle(self.tokens)):
            due = began + number * interval
            if stop.wait(max(0.0, due - time.monotonic())):
                return
            pool.submit(self._validate, token, due)

    def _validate(self, token: str, due: float) -> None:
        why = ""
        try:
            with contextlib.closing(http.client.HTTPConnection(self.host, PORT, timeout=PATIENCE)) as keystone:
                keystone.request("GET", "/v3/auth/tokens", headers={"x-auth-token": token, "x-subject-token": token})
                reply = keystone.getresponse()
                if reply.status != 200 or not json.loads(reply.read())["token"]["expires_at"]:
                    why = f"HTTP {reply.status}"
        except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
            why = f"{type(error).__name__}: {error}"
        self.seen.append(Validation(due, time.monotonic(), why))
