"""Look at a controller: packages, files, units, kernel settings and the systems' questions, all at the same time."""
# pathlib is left out: importing it costs more than observing forty files.

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import site
import stat
import sys
import threading
import time

from quorate.transport.remote.files import KEPT, group_name, owner_name, read_json, sysctl_paths
from quorate.transport.remote.program import Copied, Failed, execute, finish, stand_back, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Json = dict[str, Any]

TEXT_LIMIT = 256 << 10
RESOURCES_WITHIN = 10.0  # seconds for seeing all of them: a disk that hangs must not hide what else was seen
PROGRAM_WITHIN = 5.0
WAY = 0.5  # seconds for what comes before this process and after it
AT_ONCE = 16  # questions
IMPORTED = re.compile(r"^ *import (.+)$", re.MULTILINE)
PROPERTIES = (
    "Names,LoadState,ActiveState,UnitFileState,InvocationID,NeedDaemonReload,"
    "ExecMainStartTimestamp,ActiveEnterTimestamp"
)
SUFFIXES = ("service", "socket", "target", "timer", "mount", "automount", "path", "slice", "scope", "swap", "device")


def unknown(why: str) -> Json:
    """Say why something was not seen."""
    return {"seen": "unknown", "why": why}


def absent() -> Json:
    """Say that it was looked for and is not there."""
    return {"seen": "absent"}


def handle(request: Json) -> Json:
    """Answer one request (`__init__.py` shows both)."""
    begun = time.monotonic()
    resources, asked, root = request["resources"], request["questions"], request["root"]
    within = _left()
    within_resources = min(RESOURCES_WITHIN, within)
    if request["nice"]:
        stand_back(request["nice"])
    seen: Json = {one["id"]: unknown(f"not seen within {within_resources:.3g} s") for one in resources}
    answers: Json = {
        system: {one["name"]: unknown(f"no answer within {within:.3g} s: {one['argv'][0]}") for one in several}
        for system, several in asked.items()
    }
    _import_once([one["argv"][2] for several in asked.values() for one in several if _is_python(one["argv"])])
    copies = {(system, one["name"]): _copied(one["argv"]) for system, several in asked.items() for one in several}
    looks = [
        _thread(_see_all, look, [one for one in resources if one["kind"] == kind], seen, root)
        for kind, look in LOOKS.items()
    ]
    gate = threading.BoundedSemaphore(AT_ONCE)
    questions = [
        _thread(_ask, one, copies[system, one["name"]], answers[system], gate)
        for system, several in asked.items()
        for one in several
    ]
    for threads, limit in ((looks, within_resources), (questions, within)):
        for thread in threads:
            thread.join(max(0.0, begun + limit - time.monotonic()))
    return {
        "os": release(),
        "resources": dict(seen),
        "answers": {system: dict(several) for system, several in answers.items()},
    }


def _left() -> float:
    """Seconds that are left for seeing: on a busy machine it takes some of them to come as far as here."""
    if not (said := os.environ.get("QUORATE_LEFT")):
        return 120.0
    with open("/proc/self/stat", encoding="utf-8") as file:
        made = int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return float(said) - WAY - (time.clock_gettime(time.CLOCK_BOOTTIME) - made)


def _thread(function: Callable[..., None], *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def _see_all(look: Callable[[list[Json], Json, str], None], wanted: list[Json], seen: Json, root: str) -> None:
    try:
        if wanted:
            look(wanted, seen, root)
    except Exception as error:  # noqa: BLE001 - what we failed to see is unknown, whatever the reason
        seen.update({one["id"]: unknown(_describe(error)) for one in wanted})


def _describe(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"not seen within {PROGRAM_WITHIN:g} s"
    return str(error) if isinstance(error, OSError | Failed) else f"{type(error).__name__}: {error}"


def release() -> str:
    """ID-VERSION_ID of /etc/os-release."""
    with contextlib.suppress(OSError), open("/etc/os-release", encoding="utf-8") as file:
        values = dict(line.strip().split("=", 1) for line in file if "=" in line)
        return f"{values.get('ID', 'unknown')}-{values.get('VERSION_ID', '')}".replace('"', "").rstrip("-")
    return "unknown"


def _is_python(argv: list[str]) -> bool:
    return argv[:2] == ["python3", "-c"]


def _import_once(programs: list[str]) -> None:
    """Import what the programs import, before each is a copy of this process: that is most of what they cost."""
    sys.path += site.getsitepackages()
    for name in {name for code in programs for line in IMPORTED.findall(code) for name in line.split(", ")}:
        with contextlib.suppress(Exception):  # the program that needs it will say so
            __import__(name)


def _copied(argv: list[str]) -> Copied | None:
    """Start a Python question; other programs start in their threads, and so does what cannot be copied now."""
    with contextlib.suppress(OSError):
        return Copied(argv[2], argv[3:]) if _is_python(argv) else None
    return None


def _ask(question: Json, copy: Copied | None, answers: Json, gate: threading.BoundedSemaphore) -> None:
    name, argv, timeout = question["name"], question["argv"], question["timeout"]
    with gate:
        try:
            code, out, err = finish(copy, time.monotonic() + timeout) if copy else execute(argv, timeout)
            answers[name] = {"code": code, "out": out.decode(errors="replace"), "err": err.decode(errors="replace")}
        except TimeoutError:
            answers[name] = unknown(f"no answer within {timeout:g} s: {argv[0]}")
        except Exception as error:  # noqa: BLE001 - as above
            answers[name] = unknown(f"{argv[0]}: {_describe(error)}")


def see_packages(wanted: list[Json], seen: Json, _root: str) -> None:
    """One dpkg-query for all. What is not wholly installed is absent: installing it is the remedy."""
    form = "${Package}\t${db:Status-Status}\t${Version}\n"
    names = sorted({one["name"] for one in wanted})
    code, out, err = execute(["dpkg-query", "-W", "-f", form, "--", *names], PROGRAM_WITHIN)
    if code not in {0, 1}:  # 1: some were never heard of
        raise Failed(f"dpkg-query: exit code {code}: {words(err)}")
    rows = [line.split("\t") for line in out.decode().splitlines()]
    versions = {name: version for name, status, version in rows if status == "installed"}
    for one in wanted:
        version = versions.get(one["name"])
        seen[one["id"]] = {"seen": "package", "version": version} if version else absent()


def show(names: list[str]) -> tuple[dict[str, dict[str, str]], str]:
    """One systemctl show for all: each unit's properties by each of its names, and what it complained about."""
    argv = ["systemctl", "show", "--timestamp=us+utc", "-p", PROPERTIES, "--", *sorted({full(name) for name in names})]
    code, out, err = execute(argv, PROGRAM_WITHIN)
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in out.decode().split("\n\n")]
    units = {name: block for block in blocks for name in block.get("Names", "").split()}
    return units, words(err) or f"exit code {code}"


def full(name: str) -> str:
    """Name a unit as systemd does: a service where nothing is said."""
    return name if name.rpartition(".")[2] in SUFFIXES else f"{name}.service"


def see_units(wanted: list[Json], seen: Json, root: str) -> None:
    """See units and their stamps."""
    units, complaint = show([one["name"] for one in wanted])
    for one in wanted:
        unit = units.get(full(one["name"]))
        if unit is None:
            seen[one["id"]] = unknown(f"systemctl show: {complaint}")
        elif unit["LoadState"] == "not-found" and unit["ActiveState"] == "inactive":
            seen[one["id"]] = absent()
        else:
            seen[one["id"]] = {
                "seen": "unit",
                "active": unit["ActiveState"],
                "enabled": unit.get("UnitFileState", ""),
                "invocation": unit.get("InvocationID", ""),
                "started": seconds(unit.get("ExecMainStartTimestamp") or unit.get("ActiveEnterTimestamp", "")),
                "stamp": read_json(f"{root}{KEPT}/stamps/{one['name']}.json"),
            }


def seconds(timestamp: str) -> float:
    """Since the epoch, of `Fri 2026-11-20 13:02:11.123456 UTC`; 0 of nothing."""
    from datetime import datetime  # noqa: PLC0415 - a lean start

    said = timestamp.split()
    return datetime.fromisoformat(f"{said[1]}T{said[2]}+00:00").timestamp() if len(said) == 4 else 0.0


def _each(look: Callable[[Json, str], Json], wanted: list[Json], seen: Json, root: str) -> None:
    for one in wanted:
        try:
            seen[one["id"]] = look(one, root)
        except Exception as error:  # noqa: BLE001 - as above
            seen[one["id"]] = unknown(_describe(error))


def see_path(one: Json, _root: str) -> Json:
    """See a file with its digest and, where it is short, its text; or a directory."""
    path = one["path"]
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode) and os.path.isdir(path):
            status = os.stat(path)
        more: Json = {"kind": "directory" if stat.S_ISDIR(status.st_mode) else "other"}
        if stat.S_ISREG(status.st_mode):
            opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            status = os.fstat(opened)
            more = _content(opened)
    except (FileNotFoundError, NotADirectoryError):
        return absent()
    more |= {"mode": stat.S_IMODE(status.st_mode), "mtime": status.st_mtime}
    return {"seen": "path", "owner": owner_name(status.st_uid), "group": group_name(status.st_gid), **more}


def _content(opened: int) -> Json:
    with open(opened, "rb") as file:
        start = file.read(TEXT_LIMIT + 1)
        digest, text = hashlib.sha256(start), None
        if len(start) <= TEXT_LIMIT:
            with contextlib.suppress(UnicodeDecodeError):
                text = start.decode()
        while more := file.read(1 << 20):
            digest.update(more)
    return {"kind": "file", "sha256": digest.hexdigest(), "text": text}


def see_sysctl(one: Json, root: str) -> Json:
    """See a kernel setting, live and kept; blanks between several numbers count as one space."""
    live, kept = sysctl_paths(one["name"], root)
    try:
        with open(live, encoding="utf-8") as file:
            value = " ".join(file.read().split())
    except FileNotFoundError:
        return absent()
    saved = None
    with contextlib.suppress(FileNotFoundError), open(kept, encoding="utf-8") as file:
        saved = " ".join(file.read().partition("=")[2].split())
    return {"seen": "sysctl", "value": value, "kept": saved}


LOOKS: dict[str, Callable[[list[Json], Json, str], None]] = {
    "package": see_packages,
    "unit": see_units,
    "path": functools.partial(_each, see_path),
    "sysctl": functools.partial(_each, see_sysctl),
}
