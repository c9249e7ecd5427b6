"""The lease: which operator may act on this controller. It is held for seconds and renewed: none outlives its run.

Who acts holds act.lock as well, for as long as an act is at work: an operator who was cut off may have lost the lease
while the last act goes on, and until that has ended nobody else is granted one.
"""
# pathlib is left out: importing it costs more than observing forty files.

from __future__ import annotations

import json
import os
import time

from quorate.transport.remote.files import RUN, locked, put, read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


def clock() -> float:
    """Seconds since boot, those of a suspended machine included; never set by anybody."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def handle(request: Json) -> Json:
    """Answer one request (`__init__.py` shows both)."""
    root, do, token = request["root"], request["do"], request["token"]
    path = f"{root}{RUN}/lease.json"
    with locked(f"{root}{RUN}/lease.lock"):
        held = current(root)
        mine = held is not None and held["token"] == token
        if do == "release":
            if mine:
                os.unlink(path)
            why = "" if mine or held is None else "held by another run"
            return _reply(None if mine else held, why)
        if do == "renew" and not mine:
            return _reply(held, "held by another run" if held else "it has expired")
        if do == "acquire" and not mine:
            if held is not None and held["token"] != request["steal_from"]:
                return _reply(held, "held by another run")
            if acting(root):
                return _reply(held, "an earlier run's last act is still running")
        holder = request["holder"] or (held or {}).get("holder", {})
        held = {"token": token, "holder": holder, "until": clock() + request["ttl"]}
        put(path, json.dumps(held).encode())
        return _reply(held, "")


def current(root: str) -> Json | None:
    """Who holds it now: token, holder and until when; None where nobody does."""
    held: Json | None = read_json(f"{root}{RUN}/lease.json")
    return held if held is not None and held["until"] > clock() else None


def acting(root: str) -> bool:
    """Whether an act is at work."""
    try:
        with locked(f"{root}{RUN}/act.lock", wait=0):
            return False
    except BlockingIOError:
        return True


def _reply(held: Json | None, why: str) -> Json:
    remaining = held["until"] - clock() if held else 0.0
    return {"granted": not why, "holder": held["holder"] if held else {}, "remaining": max(0.0, remaining), "why": why}
