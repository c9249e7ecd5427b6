"""The cache's client in a drill: sets, gets and deletes through one controller's balancer, with OpenStack's library.

Each controller's client owns SLOTS keys, which it alone changes, never one of them twice at a time; all clients read
all keys. A value names its key and the number of the change that made it, its version. So staleness can be judged from
the record alone. Of each operation it has `kind` (set, get, delete), `key` and `version`: of a change its own, of a get
that of the value that was there (None: a miss, which is always right). A get was stale if a change of its key with a
higher version than the value's had been acknowledged before the get began. (A change whose outcome is unknown may still
be executed later, where the owner's own controller stood still and its connection lived on.)
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pymemcache.client.base import Client  # type: ignore[import-untyped]
from pymemcache.exceptions import MemcacheError, MemcacheServerError  # type: ignore[import-untyped]

from quorate.core.client import Facts, Failed, Surroundings, Uncertain

TIMEOUT = 1.0
"""Seconds, to connect and for an answer: what oslo.cache's memcache_pool is given."""
SLOTS = 31
"""Keys of an owner: at 8 changes a second each changes every 4 s, and no answer takes as long."""
EXPIRE = 900
"""Seconds after which nothing of a drill is left, should it die."""

_CYCLE = ("set", "get", "cross", "set", "cross", "get", "set", "cross", "delete", "get")
_LAGS = (1, 2, 5, 11, 23)
_CHANGES = sum(kind in {"set", "delete"} for kind in _CYCLE)


def step(number: int, owner: str, others: Sequence[str]) -> tuple[str, str, int]:
    """Say what the operation of this number does: its kind, whose key, which slot.

    Reads follow the changes, those of others too (all clients begin together), some closely and some later.
    """
    cycle, place = divmod(number, len(_CYCLE))
    kind = _CYCLE[place]
    changes = cycle * _CHANGES + sum(earlier in {"set", "delete"} for earlier in _CYCLE[:place])
    if kind in {"set", "delete"}:
        return kind, owner, changes % SLOTS
    slot = (changes - _LAGS[cycle % len(_LAGS)]) % SLOTS
    if kind == "cross" and others:
        return "get", others[(cycle + place) % len(others)], slot
    return "get", owner, slot


class Pool:
    """Connections to one balancer. When one fails all idle ones go with it, as oslo.cache's pool forgets a dead server.

    Pymemcache's own pool keeps them, so that each costs one more operation after the balancer is back.
    """

    def __init__(self, place: tuple[str, int]) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._idle: deque[tuple[Any, int]] = deque()
        self._failures = 0

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """Give one for one operation; after an error of the connection it is used no more."""
        with self._lock:
            client, age = self._idle.popleft() if self._idle else (None, self._failures)
        if client is None:
            client = Client(self._place, connect_timeout=TIMEOUT, timeout=TIMEOUT, no_delay=True, default_noreply=False)
        failed = False
        try:
            yield client
        except (OSError, MemcacheError):
            failed = True
            raise
        finally:
            with self._lock:
                keep = not failed and age == self._failures
                if keep:
                    self._idle.append((client, age))
            if not keep:
                client.close()
            if failed:
                self.close()

    def close(self) -> None:
        """Close the idle ones; those at work follow when they come back."""
        with self._lock:
            dropped = [client for client, _ in self._idle]
            self._idle.clear()
            self._failures += 1
        for client in dropped:
            client.close()


class Keys:
    """Works through one balancer."""

    def __init__(self, surroundings: Surroundings) -> None:
        settings = surroundings.settings
        self._in_thread = surroundings.in_thread
        self._reach = surroundings.reach
        self._run = surroundings.run
        self._port: int = settings["port"]
        self._owner: str = settings["owner"]
        self._others: list[str] = settings["others"]
        self._changing: set[str] = set()
        self._pool: Pool | None = None

    async def prepare(self) -> None:
        """Find the way to the balancer, and see that it answers."""
        if self._reach is None:
            raise Failed("no way leads to the controller")
        self._pool = Pool(await self._reach(self._port))
        await self._in_thread(self._get, self._pool, self._key(self._owner, 0), {})

    async def operate(self, number: int, facts: Facts) -> None:
        """Do what is this number's; a key whose last change has not ended is read in place of changed."""
        if self._pool is None:
            raise Failed("it was not prepared")
        kind, owner, slot = step(number, self._owner, self._others)
        key = self._key(owner, slot)
        if kind != "get" and key in self._changing:
            kind = "get"
        facts.update(kind=kind, key=f"{owner}/{slot}")
        if kind == "get":
            await self._in_thread(self._get, self._pool, key, facts)
            return
        facts["version"] = number
        self._changing.add(key)
        await self._in_thread(self._change, self._pool, kind, key, number)

    async def finish(self) -> Mapping[str, Any]:
        """What is in a cache at the end proves nothing."""
        return {}

    async def close(self) -> None:
        """Delete the keys, and close the connections."""
        if self._pool is not None:
            with contextlib.suppress(Exception):
                await self._in_thread(self._remove, self._pool)

    def _key(self, owner: str, slot: int) -> str:
        # What differs comes first: FNV, a usual hash of rings, leaves keys that differ at the end side by side.
        return f"{slot}:{owner}:quorate-drill:{self._run}"

    def _get(self, pool: Pool, key: str, facts: Facts) -> None:
        with pool.client() as client:
            value = client.get(key)
        if value is None:
            facts["version"] = None
            return
        told, _, version = value.decode(errors="replace").partition(" ")
        if told != key or not version.isdecimal():
            raise Failed(f"wrong value for {key}: {value[:80]!r}")
        facts["version"] = int(version)

    def _change(self, pool: Pool, kind: str, key: str, number: int) -> None:
        try:
            with pool.client() as client:
                if kind == "delete":
                    client.delete(key)  # False: there was none, and there is none
                elif client.set(key, f"{key} {number}", expire=EXPIRE) is not True:
                    raise Failed("NOT_STORED")
        except ConnectionRefusedError:
            raise
        except (OSError, MemcacheServerError) as error:  # a TimeoutError is an OSError
            raise Uncertain(f"{type(error).__name__}: {error}") from None
        finally:
            self._changing.discard(key)

    def _remove(self, pool: Pool) -> None:
        with contextlib.suppress(OSError, MemcacheError), pool.client() as client:
            for slot in range(SLOTS):
                client.delete(self._key(self._owner, slot))
        pool.close()
