"""Tell what is kept of runs, and how that lies now which they touched. Changes nothing."""
# pathlib is left out: importing it costs more than observing forty files.

from __future__ import annotations

import contextlib
import os

from quorate.transport.remote.ledger import copy_of, forgotten, lies, runs
from quorate.transport.remote.observe import TEXT_LIMIT, full, see_sysctl, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

HOLDS = 100  # names of a directory that are told: with more in it, it is not about to be removed


def handle(request: Json) -> Json:
    """Answer one request (`__init__.py` shows both)."""
    root, since = request["root"], request["since"]
    kept = runs(root)
    reply: Json = {"runs": [], "forgotten": forgotten(root)}
    for head, records in kept:
        meant = since is not None and head["began"] >= since
        reply["runs"].append({**head, "changes": len(records), "records": records if meant else []})
    if since is not None:
        touched = [(head["run"], one) for head, all_of in kept if head["began"] >= since for one in all_of]
        reply |= _paths(root, [(run, one) for run, one in touched if one["do"] == "path"])
        reply["units"] = _units(sorted({one["name"] for _, one in touched if one["do"] == "unit"}))
        settings = {one["name"]: see_sysctl(one, root) for _, one in touched if one["do"] == "sysctl"}
        reply["sysctls"] = {
            name: {"value": seen.get("value", ""), "kept": seen.get("kept")} for name, seen in settings.items()
        }
    return reply


def _paths(root: str, touched: list[tuple[str, Json]]) -> Json:
    now: Json = {}
    holds: Json = {}
    texts: dict[str, str] = {}
    were: dict[str, str] = {}
    damaged = []
    for run, one in touched:
        path, copied = one["path"], copy_of(root, run, one["path"])
        first = path not in now
        if first:
            now[path] = lies(path)
            if now[path]["kind"] == "directory":
                holds[path] = sorted(os.listdir(path))[:HOLDS]
            _read(path, now[path], texts, path)
        if first and one["before"]["kind"] in {"file", "link"}:
            if lies(copied) != one["before"]:
                damaged.append(f"{run}:{path}")
            _read(copied, one["before"], were, path)
    return {"now": now, "holds": holds, "texts": texts, "were": were, "damaged": damaged}


def _read(path: str, how: Json, into: dict[str, str], name: str) -> None:
    if how["kind"] == "file":
        with contextlib.suppress(OSError, UnicodeDecodeError), open(path, "rb") as file:
            content = file.read(TEXT_LIMIT + 1)
            if len(content) <= TEXT_LIMIT:
                into[name] = content.decode()


def _units(names: list[str]) -> Json:
    units = show(names)[0] if names else {}
    return {name: units.get(full(name), {}).get("ActiveState", "inactive") for name in names}
