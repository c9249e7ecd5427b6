"""Do acts on a controller, in order, up to the first that fails; everything is checked before it is changed."""
# pathlib is left out: importing it costs more than observing forty files.

from __future__ import annotations

import grp
import hashlib
import json
import os
import pwd
import stat

from quorate.transport.remote.files import KEPT, RUN, kept_sysctl, locked, put, sync, sysctl_paths
from quorate.transport.remote.install import install, restore
from quorate.transport.remote.lease import current
from quorate.transport.remote.ledger import ABSENT, as_lies, copy_of, keep, lies, note, put_back
from quorate.transport.remote.observe import full, see_sysctl, show
from quorate.transport.remote.program import ENVIRONMENT, Failed, execute, must, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Json = dict[str, Any]

UNIT_FOLDERS = ("/etc/systemd/system/", "/usr/lib/systemd/", "/lib/systemd/", "/run/systemd/system/")
MANAGER_WITHIN = 60.0


def handle(request: Json) -> Json:
    """Answer one request (`__init__.py` shows both).

    act.lock is held all the while: an earlier act whose operator was cut off may be at work still. The lease is looked
    at under it, and while it is held nobody is granted a new one; so no two operators' acts ever overlap.
    """
    root = request["root"]
    os.umask(0o022)
    try:
        with locked(f"{root}{RUN}/act.lock", request["wait"]):
            held = current(root)
            if held is None or held["token"] != request["lease"]:
                return {"refused": _lost(held), "results": []}
            restore(root)
            return {"refused": "", "results": Batch(root, request["run"], request["about"]).do(request["acts"])}
    except BlockingIOError:
        return {"refused": "busy: an earlier run's act is still at work here", "results": []}


def _lost(held: Json | None) -> str:
    return "lost lease: it has expired" if held is None else f"lost lease: {json.dumps(held['holder'])} holds it"


class Batch:
    """The acts of one step. `stale`: systemd has not been told yet of a unit file that was written."""

    def __init__(self, root: str, run: str, about: Json | None = None) -> None:
        self.root = root
        self.run = run
        self.about = about or {}
        self.stale = False

    def do(self, acts: list[Json]) -> list[Json]:
        """Do them, one result each, and end with systemd knowing what was written."""
        results: list[Json] = []
        for act in acts:
            results.append(self._attempt(act))
            if not results[-1]["ok"]:
                break
        if self.stale:
            try:
                self.reload_manager()
            except Failed as error:
                results[-1] = {"ok": False, "note": f"{results[-1]['note']}; {error}".removeprefix("; ")}
        return results

    def _attempt(self, act: Json) -> Json:
        try:
            if self.stale and act["do"] in {"install", "unit", "run"}:
                self.reload_manager()
            return {"ok": True, "note": DO[act["do"]](self, act)}
        except (Failed, OSError) as error:
            return {"ok": False, "note": str(error)}
        except Exception as error:  # noqa: BLE001 - one act's crash is that act's failure, told like any other
            return {"ok": False, "note": f"{type(error).__name__}: {error}"}

    def reload_manager(self) -> None:
        """Have systemd read the unit files again."""
        must(["systemctl", "daemon-reload"], MANAGER_WITHIN)
        self.stale = False

    def do_install(self, act: Json) -> str:
        """Install packages."""
        for package in act["packages"]:
            self._record({"do": "lasting", "what": f"package {package}"})
        install(act["packages"], act["preseed"], self.root)
        return "installed"

    def do_file(self, act: Json) -> str:
        """Put a file in place; a link makes room for it, anything else that is not a file is left alone."""
        path, content, mode = act["path"], act["content"].encode(), act["mode"]
        uid, gid = _ids(act)
        said = "was absent"
        if os.path.lexists(path):
            status = os.lstat(path)
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                raise Failed(f"{path} is not a file and is left alone")
            if stat.S_ISREG(status.st_mode) and _is_so(status, mode, uid, gid) and _holds(path, content):
                return "was so"
            said = f"was kept as {keep(self.root, self.run, path)}"
        after = as_lies("file", hashlib.sha256(content).hexdigest(), mode, act["owner"], act["group"])
        self._record_path(path, lies(path), after)
        put(path, content, mode, uid, gid)
        self.stale = self.stale or path.startswith(UNIT_FOLDERS)
        return said

    def do_remove(self, act: Json) -> str:
        """Take a file away and keep it; what is not a file is left alone."""
        path = _absolute(act["path"])
        if not os.path.lexists(path):
            return "was absent"
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise Failed(f"{path} is not a file and is left alone")
        kept = keep(self.root, self.run, path)
        self._record_path(path, lies(path), dict(ABSENT))
        os.unlink(path)
        sync(os.path.dirname(path))
        return f"was kept as {kept}"

    def _record(self, record: Json) -> None:
        note(self.root, self.run, self.about, record)

    def _record_path(self, path: str, before: Json, after: Json) -> None:
        """Tell of a path that is about to change, and of the folders above it that come with it."""
        above = os.path.dirname(path)
        if after["kind"] != "absent" and not os.path.lexists(above):
            self._record_path(above, dict(ABSENT), as_lies("directory", "", 0o755, "root", "root"))
        self._record({"do": "path", "path": path, "before": before, "after": after})

    def do_restore(self, act: Json) -> str:
        """Put back what a run replaced, unless something else lies there by now than when that was decided."""
        path, before, found = act["path"], act["before"], lies(act["path"])
        if found == before:
            return "was so"
        if found != act["found"]:
            raise Failed(f"{path} is not as it was when this was planned, and is left alone")
        if found["kind"] in {"file", "link"}:
            keep(self.root, self.run, path)
        self._record_path(path, found, before)
        if before["kind"] == "directory":
            os.makedirs(path, 0o755, exist_ok=True)
            os.chown(path, *_ids({**before, "path": path}))
            os.chmod(path, before["mode"])
        else:
            put_back(path, copy_of(self.root, act["run"], path), before)
        self.stale = self.stale or path.startswith(UNIT_FOLDERS)
        return f"is {before['kind']}"

    def do_directory(self, act: Json) -> str:
        """Make a directory, and those above it as they usually are; its owner before its mode."""
        path, mode = act["path"], act["mode"]
        uid, gid = _ids(act)
        before = lies(path)
        there = before["kind"] == "directory"
        if there and _is_so(os.stat(path), mode, uid, gid):
            return "was so"
        if there or before == ABSENT:
            self._record_path(path, before, as_lies("directory", "", mode, act["owner"], act["group"]))
        try:
            os.makedirs(path, 0o755, exist_ok=True)
        except FileExistsError:
            raise Failed(f"{path} is not a directory and is left alone") from None
        os.chown(path, uid, gid)
        os.chmod(path, mode)
        return "was there" if there else "was absent"

    def do_sysctl(self, act: Json) -> str:
        """Set a kernel value unless it is so (where /proc/sys is read-only it may be), then keep it."""
        name, value = act["name"], " ".join(act["value"].split())
        live, kept = sysctl_paths(name, self.root)
        seen = see_sysctl(act, self.root)
        if seen["seen"] == "absent":
            raise Failed(f"this kernel has no setting {name}")
        if (seen["value"], seen["kept"]) != (value, value):
            before, after = {"value": seen["value"], "kept": seen["kept"]}, {"value": value, "kept": value}
            self._record({"do": "sysctl", "name": name, "before": before, "after": after})
        if seen["value"] != value:
            with open(live, "w", encoding="ascii") as file:  # only a value that the kernel takes is kept
                file.write(value)
        if seen["kept"] != value:
            put(kept, kept_sysctl(name, value), 0o644, 0, 0)
        return f"was {seen['value']}"

    def do_sysctl_restore(self, act: Json) -> str:
        """Give a kernel setting back the value that it had, and forget or keep it for the next boot as before."""
        live, path = sysctl_paths(act["name"], self.root)
        seen = see_sysctl(act, self.root)
        before, after = {"value": seen["value"], "kept": seen["kept"]}, {"value": act["value"], "kept": act["kept"]}
        if before == after:
            return "was so"
        self._record({"do": "sysctl", "name": act["name"], "before": before, "after": after})
        if seen["value"] != act["value"]:
            with open(live, "w", encoding="ascii") as file:
                file.write(act["value"])
        if act["kept"] is not None:
            put(path, kept_sysctl(act["name"], act["kept"]), 0o644, 0, 0)
        elif os.path.lexists(path):
            os.unlink(path)
        return f"was {seen['value']}"

    def do_unit(self, act: Json) -> str:
        """Enable or disable a unit, start, restart, reload or stop it, and stamp what an active one has loaded."""
        name, verb, enabled = act["name"], act["verb"], act["enabled"]
        unit = _unit(name)
        if unit["NeedDaemonReload"] == "yes":  # a run was cut off between writing a unit file and telling systemd
            self.reload_manager()
        if unit["LoadState"] == "not-found" and not enabled and verb in {"stop", "none"} and not act["inputs"]:
            return "there is no such unit"
        if enabled is not None or verb != "none":
            was = {"active": unit["ActiveState"], "enabled": unit.get("UnitFileState", "")}
            self._record({"do": "unit", "name": name, "verb": verb, **was})
        if enabled is not None:
            must(["systemctl", "--quiet", "enable" if enabled else "disable", "--", name], act["timeout"])
        if verb != "none":
            try:
                must(["systemctl", verb, "--", name], act["timeout"])
            except Failed as error:
                raise Failed(f"{error}\n{_journal(name)}"[-8192:]) from None
        after = _unit(name)
        # A start of what ran already has loaded nothing; the look that follows goes by the files' times.
        loaded = verb != "start" or after["InvocationID"] != unit["InvocationID"]
        # A service that tells systemd itself when it has reloaded may still be at it; what it reads is in place.
        if act["inputs"] and loaded and after["ActiveState"] in {"active", "reloading"}:
            stamp = {"inputs": act["inputs"], "invocation": after["InvocationID"]}
            put(f"{self.root}{KEPT}/stamps/{name}.json", json.dumps(stamp).encode())
        return f"is {after['ActiveState']}"

    def do_run(self, act: Json) -> str:
        """Run a command as its user, with nothing of our environment."""
        argv, timeout = act["argv"], act["timeout"]
        self._record({"do": "lasting", "what": act["title"]})
        who = _look_up(pwd.getpwnam, act["user"])
        env = {**ENVIRONMENT, "HOME": who.pw_dir, "USER": who.pw_name, "LOGNAME": who.pw_name, **act["environment"]}
        as_user: Json | None = None
        if who.pw_uid != os.geteuid():
            groups = os.getgrouplist(who.pw_name, who.pw_gid)
            as_user = {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": groups}
        try:
            code, out, err = execute(argv, timeout, act["stdin"].encode(), last=True, env=env, who=as_user)
        except TimeoutError:
            raise Failed(f"{argv[0]} did not end within {timeout:g} s and was killed") from None
        if code not in act["expect"]:
            raise Failed(f"exit code {code}: {words(out, err)}")
        return f"exit code {code}"


DO: dict[str, Callable[[Batch, Json], str]] = {
    "install": Batch.do_install,
    "file": Batch.do_file,
    "remove": Batch.do_remove,
    "directory": Batch.do_directory,
    "restore": Batch.do_restore,
    "sysctl": Batch.do_sysctl,
    "sysctl-restore": Batch.do_sysctl_restore,
    "unit": Batch.do_unit,
    "run": Batch.do_run,
}


def _ids(act: Json) -> tuple[int, int]:
    """Look up owner and group, which a package may have to make first. The path must not depend on where we are."""
    _absolute(act["path"])
    return _look_up(pwd.getpwnam, act["owner"]).pw_uid, _look_up(grp.getgrnam, act["group"]).gr_gid


def _absolute(path: str) -> str:
    if not os.path.isabs(path):
        raise Failed(f"{path} is not an absolute path")
    return path


def _look_up(find: Callable[[str], Any], name: str) -> Any:
    try:
        return find(name)
    except KeyError:
        raise Failed(f"there is no such user or group: {name}") from None


def _is_so(status: os.stat_result, mode: int, uid: int, gid: int) -> bool:
    return (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (mode, uid, gid)


def _holds(path: str, content: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(content) + 1) == content


def _unit(name: str) -> dict[str, str]:
    units, complaint = show([name])
    if full(name) not in units:
        raise Failed(f"systemctl show {name}: {complaint}")
    return units[full(name)]


def _journal(name: str) -> str:
    code, out, _ = execute(["journalctl", "--no-pager", "-o", "cat", "-n", "30", "-u", name], 10, last=True)
    return words(out) if code == 0 else "(its journal cannot be read)"
