"""The scripts for controllers, imported: what the contract suite cannot make happen on a machine of its own."""

from __future__ import annotations

import os
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from quorate.transport.remote import act, files, install, observe, program

SHOWN = """Names=sshd.service ssh.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
InvocationID=abc
NeedDaemonReload=no
ExecMainStartTimestamp=Fri 2026-11-20 13:02:11.250000 UTC
ActiveEnterTimestamp=Fri 2026-11-20 13:02:12.000000 UTC

Names=quiet.target
LoadState=loaded
ActiveState=active
UnitFileState=static
InvocationID=def
NeedDaemonReload=no
ActiveEnterTimestamp=Fri 2026-11-20 13:02:12.000000 UTC

Names=never.service
LoadState=loaded
ActiveState=inactive
UnitFileState=masked
InvocationID=
NeedDaemonReload=no
ExecMainStartTimestamp=
ActiveEnterTimestamp=

Names=gone.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
InvocationID=
NeedDaemonReload=no

Names=deleted.service
LoadState=not-found
ActiveState=active
UnitFileState=
InvocationID=123
NeedDaemonReload=no
"""

Programs = dict[str, tuple[int, bytes, bytes]]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    """What programs answer, by name; a missing one is not installed."""
    answers: Programs = {}

    def execute(argv: list[str], *_: Any, **__: Any) -> tuple[int, bytes, bytes]:
        return answers.get(argv[0], (127, b"", f"{argv[0]}: not found".encode()))

    for module in (observe, install, program, act):
        monkeypatch.setattr(module, "execute", execute)
    return answers


def look(*wanted: dict[str, str], root: str = "") -> dict[str, Any]:
    request = {"resources": list(wanted), "questions": {}, "nice": 0, "root": root}
    seen: dict[str, Any] = observe.handle(request)["resources"]
    return seen


def unit(name: str) -> dict[str, str]:
    return {"id": name, "kind": "unit", "name": name}


def test_units_are_found_by_any_of_their_names(programs: Programs, tmp_path: Path) -> None:
    programs["systemctl"] = (0, SHOWN.encode(), b"")
    stamp = tmp_path / "var/lib/quorate/stamps/ssh.json"
    stamp.parent.mkdir(parents=True)
    stamp.write_text('{"inputs": "i", "invocation": "abc"}')
    names = ("ssh", "sshd.service", "quiet.target", "never", "gone", "deleted", "unasked")
    seen = look(*map(unit, names), root=str(tmp_path))
    assert seen["ssh"] == {
        "seen": "unit",
        "active": "active",
        "enabled": "enabled",
        "invocation": "abc",
        "started": 1795179731.25,
        "stamp": {"inputs": "i", "invocation": "abc"},
    }
    assert seen["sshd.service"]["stamp"] is None
    assert seen["quiet.target"]["started"] == 1795179732.0
    assert (seen["never"]["started"], seen["never"]["enabled"]) == (0.0, "masked")
    assert seen["gone"] == {"seen": "absent"}
    assert seen["deleted"]["active"] == "active"
    assert seen["unasked"]["seen"] == "unknown"


def test_a_package_that_is_half_installed_is_absent(programs: Programs) -> None:
    out = b"a\tinstalled\t1.0\nb\thalf-configured\t2.0\nc\tconfig-files\t3.0\n"
    programs["dpkg-query"] = (1, out, b"dpkg-query: no packages found matching d")
    seen = look(*({"id": name, "kind": "package", "name": name} for name in "abcd"))
    assert [one["seen"] for one in seen.values()] == ["package", "absent", "absent", "absent"]


def test_one_kind_that_cannot_be_seen_does_not_hurt_the_others(programs: Programs, tmp_path: Path) -> None:
    programs["dpkg-query"] = (2, b"", b"dpkg-query: error: database is locked")
    package = {"id": "p", "kind": "package", "name": "p"}
    seen = look(package, unit("u"), {"id": "d", "kind": "path", "path": str(tmp_path)})
    assert seen["p"] == {"seen": "unknown", "why": "dpkg-query: exit code 2: dpkg-query: error: database is locked"}
    assert seen["u"] == {"seen": "unknown", "why": "systemctl show: systemctl: not found"}
    assert seen["d"]["kind"] == "directory"


def test_a_disk_that_hangs_does_not_hide_what_was_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(observe, "RESOURCES_WITHIN", 0.3)
    thaw = threading.Event()
    real = observe.see_path

    def hangs(one: dict[str, str], root: str) -> dict[str, Any]:
        if one["path"] == "/hung":
            thaw.wait(10)
        return real(one, root)

    monkeypatch.setitem(observe.LOOKS, "path", lambda wanted, seen, root: observe._each(hangs, wanted, seen, root))
    seen = look({"id": "first", "kind": "path", "path": str(tmp_path)}, {"id": "hung", "kind": "path", "path": "/hung"})
    thaw.set()
    assert seen["first"]["seen"] == "path"
    assert seen["hung"] == {"seen": "unknown", "why": "not seen within 0.3 s"}


def test_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o750)
    (tmp_path / "data").symlink_to("disk")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    wanted = ({"id": name, "kind": "path", "path": str(tmp_path / name)} for name in ("data", "link", "dangling"))
    seen = look(*wanted)
    assert [seen[name]["kind"] for name in ("data", "link", "dangling")] == ["directory", "other", "other"]
    assert seen["data"]["mode"] == 0o750

    batch = act.Batch(str(tmp_path / "root"), "run")
    write = {
        "do": "file",
        "path": str(tmp_path / "link"),
        "content": "y",
        "mode": 0o600,
        "owner": "root",
        "group": "root",
    }
    assert batch.do([write])[0]["ok"]
    assert (tmp_path / "file").read_text() == "x"
    assert (tmp_path / "link").read_text() == "y"
    assert (tmp_path / f"root/var/lib/quorate/backup/run{tmp_path}/link").readlink() == Path("file")


def test_big_and_binary_files_have_a_digest_and_no_text(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * (observe.TEXT_LIMIT + 1))
    (tmp_path / "limit").write_bytes(b"x" * observe.TEXT_LIMIT)
    (tmp_path / "binary").write_bytes(b"\xff")
    seen = look(*({"id": path.name, "kind": "path", "path": str(path)} for path in tmp_path.iterdir()))
    assert {name: one["text"] is None for name, one in seen.items()} == {"big": True, "limit": False, "binary": True}
    assert seen["binary"]["sha256"] == "a8100ae6aa1940d0b663bb31cd466142ebbdbd5187131b92d93818987832eb89"


def test_a_named_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert look({"id": "x", "kind": "path", "path": str(tmp_path / "pipe")})["x"]["kind"] == "other"


@pytest.mark.parametrize(
    ("name", "live", "kept"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward", "net.ipv4.ip_forward"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter", "net.ipv4.conf.eth0%2E100.rp_filter"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter", "net.ipv4.conf.eth0%2E100.rp_filter"),
        ("vm.swappiness", "vm/swappiness", "vm.swappiness"),
    ],
)
def test_names_of_kernel_settings(name: str, live: str, kept: str) -> None:
    assert files.sysctl_paths(name, "") == (f"/proc/sys/{live}", f"/etc/sysctl.d/60-quorate-{kept}.conf")


def test_who_reads_a_whole_folder_never_meets_a_file_in_the_making(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keystone opens every file of its folder of keys, whatever it is called."""
    (tmp_path / "1").write_text("old")
    met: set[str] = set()
    monkeypatch.setattr(os, "fsync", lambda _: met.update(path.name for path in tmp_path.iterdir() if path.is_file()))
    files.put(str(tmp_path / "1"), b"new")
    files.put(str(tmp_path / "2"), b"more")
    assert met == {"1", "2"}


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_text("old")
    (tmp_path / ".f.quorate").mkdir()
    (tmp_path / ".f.quorate" / "f").write_text("left by a run that was killed")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.put(str(tmp_path / "f"), b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert (tmp_path / "f").read_text() == "old"


def test_a_file_is_never_readable_by_others_on_its_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    real = os.fchown

    def fchown(opened: int, uid: int, gid: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(opened).st_mode))
        real(opened, uid, gid)

    monkeypatch.setattr(os, "fchown", fchown)
    files.put(str(tmp_path / "f"), b"secret", 0o644)
    assert modes == [0o600]
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o644


# --- programs ---


def test_a_daemon_that_holds_the_pipes_is_not_waited_for() -> None:
    code, out, _ = program.execute(["sh", "-c", "sleep 1000 & echo $!"], 20)
    assert code == 0
    os.kill(int(out), 9)


def test_a_program_out_of_time_is_killed_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(TimeoutError):
        program.execute(["sh", "-c", f"sleep 1000 & echo $! > {note}; wait"], 0.5)
    status = Path(f"/proc/{note.read_text().strip()}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()


@pytest.mark.parametrize(("last", "ends"), [(False, b"a"), (True, b"b")])
def test_output_is_bounded(last: bool, ends: bytes) -> None:
    script = "import sys; sys.stdout.write('a' * 1500000 + 'b' * 1500000)"
    _, out, _ = program.execute([sys.executable, "-c", script], 20, last=last)
    assert out[-1:] == ends
    assert len(out) <= 2 << 20


def test_what_a_program_is_given() -> None:
    code, out, _ = program.execute(["env"], 20, b"unread")
    assert code == 0
    assert sorted(out.decode().split()) == sorted(f"{key}={value}" for key, value in program.ENVIRONMENT.items())


# --- installing ---


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(install, "POLICY", str(policy))
    return policy


def test_nothing_starts_while_packages_are_installed(policy: Path, tmp_path: Path) -> None:
    with install._nothing_starts(str(tmp_path)):
        assert policy.read_text().endswith("exit 101\n")
        assert stat.S_IMODE(policy.stat().st_mode) == 0o755
    assert not policy.exists()


@pytest.mark.parametrize("link", [False, True], ids=["file", "link"])
def test_the_machines_own_policy_comes_back(policy: Path, tmp_path: Path, link: bool) -> None:
    if link:
        (tmp_path / "alternative").write_text("own")
        policy.symlink_to("alternative")
    else:
        policy.write_text("own")
        policy.chmod(0o750)
    with install._nothing_starts(str(tmp_path)):
        assert policy.read_text().endswith("exit 101\n")
    assert policy.read_text() == "own"
    assert policy.is_symlink() == link
    assert link or stat.S_IMODE(policy.stat().st_mode) == 0o750
    assert not list((tmp_path / "var/lib/quorate").iterdir())


@pytest.mark.parametrize("own", [True, False])
def test_the_policy_of_a_run_that_was_killed_is_put_right(policy: Path, tmp_path: Path, own: bool) -> None:
    if own:
        policy.write_text("own")
    killed = install._nothing_starts(str(tmp_path))
    killed.__enter__()
    for _ in range(2):  # the second run may be killed as well
        install.restore(str(tmp_path))
        assert (policy.read_text() == "own") if own else not policy.exists()


def test_old_lists_are_fetched_once(policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del policy
    calls = []

    def execute(argv: list[str], *_: Any, **__: Any) -> tuple[int, bytes, bytes]:
        calls.append(next(word for word in argv if word in {"install", "update", "--audit", "debconf-set-selections"}))
        return (100, b"", b"E: Unable to locate package p") if "install" in argv else (0, b"", b"")

    monkeypatch.setattr(install, "execute", execute)
    monkeypatch.setattr(program, "execute", execute)
    with pytest.raises(program.Failed, match="Unable to locate package p"):
        install.install(["p"], [], str(tmp_path))
    assert calls == ["--audit", "install", "update", "install"]


# --- systemd ---


def test_systemd_hears_of_unit_files_before_the_next_act_that_matters_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(act, "UNIT_FOLDERS", (f"{tmp_path}/",))
    calls: list[str] = []

    def run(_: act.Batch, one: dict[str, Any]) -> str:
        calls.append(one["title"])
        return ""

    monkeypatch.setattr(act, "must", lambda argv, *_: calls.append(argv[-1]))
    monkeypatch.setitem(act.DO, "run", run)
    common = {"do": "file", "content": "", "mode": 0o644, "owner": "root", "group": "root"}
    first, second, third = ({**common, "path": f"{tmp_path}/{name}"} for name in "abc")
    act.Batch(str(tmp_path / "root"), "run").do([first, second, {"do": "run", "title": "run"}, third])
    assert calls == ["daemon-reload", "run", "daemon-reload"]


def test_a_crash_is_a_failed_act(tmp_path: Path) -> None:
    results = act.Batch(str(tmp_path), "run").do([{"do": "no-such-act"}, {"do": "run"}])
    assert results == [{"ok": False, "note": "KeyError: 'no-such-act'"}]


@pytest.mark.parametrize(("state", "stamped"), [("active", True), ("reloading", True), ("failed", False)])
def test_what_is_still_reloading_is_stamped_too(tmp_path: Path, programs: Programs, state: str, stamped: bool) -> None:
    shown = f"Names=a.service\nLoadState=loaded\nActiveState={state}\nInvocationID=i1\nNeedDaemonReload=no\n"
    programs["systemctl"] = (0, shown.encode(), b"")
    wanted = {"do": "unit", "name": "a.service", "enabled": None, "verb": "reload", "inputs": "d1", "timeout": 1.0}
    assert act.Batch(str(tmp_path), "run").do([wanted]) == [{"ok": True, "note": f"is {state}"}]
    kept = tmp_path / "var/lib/quorate/stamps/a.service.json"
    assert kept.exists() == stamped
