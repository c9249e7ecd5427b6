"""What every transport is held to: the fake, this machine, a real sshd, and (marker `lab`) a machine with systemd.

What only some can show is in `test_transport_ssh.py` and `test_transport_lab.py`.
"""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from transport_sshd import Sshd, pidfd, sshd_in, wait_until_ended, writes_its_pid
from transport_ways import ElsewhereOverSsh, InMemory, OnDisk, Way

from quorate.core.act import Install, MakeDirectory, RemoveFile, Run, SetSysctl
from quorate.core.observed import Absent, Answer, PackageSeen, PathSeen, SysctlSeen, Unknown
from quorate.core.resource import Directory, File, Package, Resource, Sysctl
from quorate.core.system import Question
from quorate.errors import Refused, Unreachable
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeHost, FakePath, FakeTransport
from quorate.transport.local import LocalTransport
from quorate.transport.remote.program import ENVIRONMENT

SPEAK = ("sh", "-c", "echo out; echo err >&2; exit 3")
ODD = ("", "two words", "it's", '"$HOME" `id` $(id)', "*", "é ☃", "-n", "a\nb", "\\")
UNSEEABLE = File("/proc/self/mem", "")
SETTING = "kernel.panic_on_oops"


def programs(host: FakeHost, argv: tuple[str, ...], stdin: bytes) -> Completed | None:
    """The few programs that this suite runs, for the machine in memory."""
    match argv:
        case ("cat",):
            return Completed(0, stdin, b"")
        case ("head", "-c", count, "/dev/zero"):
            return Completed(0, bytes(int(count)), b"")
        case ("printf", "%s|", *words):
            return Completed(0, "".join(f"{word}|" for word in words).encode(), b"")
        case ("sh", "-c", script) if script == SPEAK[2]:
            return Completed(3, b"out\n", b"err\n")
        case ("sh", "-c", script) if "exec sleep" in script:
            host.hang = True
            return Completed(0, b"", b"")
        case ("false",):
            return Completed(1, b"", b"")
        case ("true",):
            return Completed(0, b"", b"")
    return None


BUILDS = pytest.mark.timeout(900)
"""The first that wants a machine of the lab builds its image."""


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd_in(tmp_path_factory.mktemp("sshd")) as sshd:
        yield sshd


@pytest.fixture(params=["fake", "local", "ssh", pytest.param("lab", marks=[pytest.mark.lab, BUILDS])])
async def way(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    monkeypatch.setenv("PATH", ENVIRONMENT["PATH"])  # a controller has the distribution's python and no shims
    found = make_way(request, tmp_path)
    yield found
    if found.kind == "lab":
        await found.lease("release")
    await found.transport.close()


def make_way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    on_disk = OnDisk(str(tmp_path / "host"), str(tmp_path / "root"))
    match request.param:
        case "fake":
            host = FakeHost("c1", clock=lambda: 1000.0, programs=programs, packages={"dpkg": "1.22"}, os="debian-13")
            host.sysctls[SETTING] = "0"
            host.paths["/etc"] = FakePath(None, 0o755)
            host.unseen[UNSEEABLE.id] = "Input/output error"
            host.users = {"root", "nobody", "nogroup"}
            return Way("fake", FakeTransport(host), InMemory(host))
        case "local":
            return Way("local", LocalTransport("c1"), on_disk)
        case "ssh":
            sshd: Sshd = request.getfixturevalue("sshd")
            return Way("ssh", sshd.transport(), on_disk)
        case _:
            import transport_lab  # noqa: PLC0415 - nothing of the lab where it is not asked for

            lab = transport_lab.lab_machine()
            return Way("lab", lab.transport(), ElsewhereOverSsh(lab.ssh))


# --- run ---


async def test_tells_code_and_both_outputs(way: Way) -> None:
    assert await way.run(*SPEAK) == Completed(3, b"out\n", b"err\n")


@pytest.mark.parametrize("stdin", [b"", bytes(range(256)), bytes(range(256)) * 8192], ids=["none", "binary", "2 MiB"])
async def test_gives_all_of_stdin_and_its_end(way: Way, stdin: bytes) -> None:
    assert await way.run("cat", stdin=stdin) == Completed(0, stdin, b"")


async def test_collects_big_output(way: Way) -> None:
    done = await way.run("head", "-c", "20000000", "/dev/zero")
    assert (done.code, len(done.out)) == (0, 20_000_000)


async def test_stdin_that_nobody_reads_does_no_harm(way: Way) -> None:
    assert (await way.run("false", stdin=bytes(1 << 20))).code == 1


async def test_streams_both_ways(way: Way) -> None:
    pieces = [bytes([number]) * 700_000 for number in range(9)]
    taken: list[bytes] = []

    async def feed() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def take(piece: bytes) -> None:
        taken.append(piece)

    assert await way.transport.stream(("cat",), timeout=20.0, feed=feed(), take=take) == Completed(0, b"", b"")
    assert b"".join(taken) == b"".join(pieces)


async def test_a_stream_tells_code_and_complaint(way: Way) -> None:
    assert await way.transport.stream(SPEAK, timeout=20.0) == Completed(3, b"out\n", b"err\n")


async def test_what_a_taker_raises_ends_the_stream(way: Way) -> None:
    async def take(_: bytes) -> None:
        raise Refused("the disk is full")

    with pytest.raises(Refused, match="the disk is full"):
        await way.transport.stream(("head", "-c", "20000000", "/dev/zero"), timeout=20.0, take=take)


async def test_a_stream_holds_back_who_prints_faster_than_we_take(way: Way) -> None:
    """50 MB printed and only the first piece taken: the rest is not in our memory."""
    if way.kind == "fake":
        return  # all that is printed there is in memory
    first, going_on, count = asyncio.Event(), asyncio.Event(), [0]

    async def take(piece: bytes) -> None:
        count[0] += len(piece)
        first.set()
        await going_on.wait()

    argv = ("head", "-c", "50000000", "/dev/zero")
    tracemalloc.start()
    streaming = asyncio.create_task(way.transport.stream(argv, timeout=20.0, take=take))
    await first.wait()
    for _ in range(200):
        await asyncio.sleep(0)
    _, peak = tracemalloc.get_traced_memory()
    going_on.set()
    done = await streaming
    tracemalloc.stop()
    assert (done.code, count[0]) == (0, 50_000_000)
    assert peak < 16 << 20


async def test_no_shell_takes_the_arguments_apart(way: Way) -> None:
    assert (await way.run("printf", "%s|", *ODD)).out.decode() == "".join(f"{word}|" for word in ODD)


async def test_a_program_that_is_not_there_is_127(way: Way) -> None:
    done = await way.run("no-such-program")
    assert done.code == 127
    assert b"no-such-program" in done.err


async def test_out_of_time_is_unreachable_and_the_process_ends(way: Way, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(Unreachable, match="sh did not end within") as caught:
        await way.run(*writes_its_pid(note, "sleep 1000"), timeout=0.8)
    assert caught.value.host == "c1"
    if way.kind in {"local", "ssh"}:
        with pidfd(int(note.read_text())) as process:
            wait_until_ended(process)


# --- observe ---


async def test_sees_what_is_there_and_what_is_not(way: Way) -> None:
    wanted: list[Resource] = [
        Package("dpkg"),
        Package("no-such"),
        Directory("/etc"),
        File("/no/such", ""),
        Sysctl(SETTING, "1"),
    ]
    seen = await way.observe(*wanted, Sysctl("no.such", "1"), File("/etc/passwd/below-a-file", ""))
    assert seen.os.startswith("debian-")
    assert isinstance(seen.resources["package:dpkg"], PackageSeen)
    assert isinstance(directory := seen.resources["directory:/etc"], PathSeen)
    assert (directory.kind, directory.mode, directory.owner) == ("directory", 0o755, "root")
    assert isinstance(setting := seen.resources[f"sysctl:{SETTING}"], SysctlSeen)
    assert setting.kept is None
    for absent in ("package:no-such", "file:/no/such", "sysctl:no.such", "file:/etc/passwd/below-a-file"):
        assert seen.resources[absent] == Absent()


async def test_what_cannot_be_seen_is_unknown_and_hurts_nothing_else(way: Way) -> None:
    seen = await way.observe(UNSEEABLE, Package("dpkg"))
    assert isinstance(unseen := seen.resources[UNSEEABLE.id], Unknown)
    assert "Input/output error" in unseen.why
    assert isinstance(seen.resources["package:dpkg"], PackageSeen)


async def test_puts_questions(way: Way) -> None:
    questions = {
        "a": [Question("speak", SPEAK), Question("gone", ("no-such-program",))],
        "b": [Question("x", ("true",))],
    }
    seen = await way.observe(questions=questions)
    assert seen.answers["a"]["speak"] == Answer(code=3, out="out\n", err="err\n")
    assert isinstance(gone := seen.answers["a"]["gone"], Answer)
    assert gone.code == 127
    assert seen.answers["b"]["x"] == Answer(code=0, out="")


# --- act ---


@pytest.fixture
async def leased(way: Way) -> Way:
    assert (await way.lease("acquire")).granted
    return way


async def test_what_was_written_is_seen(leased: Way) -> None:
    made = MakeDirectory(path=leased.path("d"), mode=0o711, owner="nobody", group="nogroup")
    written = leased.file("deep/er/f", "content é\n", mode=0o604, owner="nobody", group="nogroup")
    assert [(one.ok, one.note) for one in await leased.done(made, written)] == [(True, "was absent")] * 2
    seen = await leased.observe(Directory(made.path), File(written.path, ""))
    for one, kind, mode, text in (
        (seen.resources[f"directory:{made.path}"], "directory", 0o711, None),
        (seen.resources[f"file:{written.path}"], "file", 0o604, "content é\n"),
    ):
        assert isinstance(one, PathSeen)
        assert (one.kind, one.mode, one.owner, one.group, one.text) == (kind, mode, "nobody", "nogroup", text)


async def test_the_same_act_again_changes_nothing(leased: Way) -> None:
    acts = (leased.file("f", "same"), MakeDirectory(path=leased.path("d"), mode=0o750, owner="root", group="root"))
    await leased.act(*acts)
    before = await leased.observe(File(acts[0].path, ""), Directory(acts[1].path))
    assert [one.note for one in await leased.done(*acts)] == ["was so", "was so"]
    assert await leased.observe(File(acts[0].path, ""), Directory(acts[1].path)) == before


async def test_the_file_from_before_the_run_is_kept(leased: Way) -> None:
    await leased.act(leased.file("f", "first"), run="run-0")
    results = await leased.done(leased.file("f", "second"), leased.file("f", "third"))
    assert all("backup/run-1" in one.note for one in results)
    assert leased.door.backup(leased.path("f")) == "first"


async def test_a_file_that_goes_is_kept_and_going_again_changes_nothing(leased: Way) -> None:
    path = leased.path("f")
    await leased.act(
        leased.file("f", "first"), MakeDirectory(path=leased.path("d"), mode=0o700, owner="root", group="root")
    )
    results = await leased.done(RemoveFile(path=path), RemoveFile(path=path), RemoveFile(path=leased.path("d")))
    assert [one.ok for one in results] == [True, True, False]
    assert results[1].note == "was absent"
    assert "is not a file and is left alone" in results[2].note
    assert leased.door.backup(path) == "first"
    assert (await leased.observe(File(path, ""))).resources[f"file:{path}"] == Absent()


async def test_acts_stop_at_the_first_that_fails(leased: Way) -> None:
    results = await leased.done(
        leased.file("before", ""), Run(title="speak", argv=SPEAK), leased.file("after", ""), run="run-2"
    )
    assert [one.ok for one in results] == [True, False]
    assert results[1].note == "exit code 3: out\nerr"
    seen = await leased.observe(File(leased.path("before"), ""), File(leased.path("after"), ""))
    assert [one.seen for one in seen.resources.values()] == ["path", "absent"]


async def test_a_command_has_its_input_and_its_expected_codes(leased: Way) -> None:
    fine = Run(title="speak", argv=SPEAK, expect=(0, 3))
    gone = Run(title="gone", argv=("no-such-program",))
    results = await leased.done(fine, Run(title="cat", argv=("cat",), stdin="secret"), gone)
    assert [one.ok for one in results] == [True, True, False]
    assert "no-such-program" in results[2].note


async def test_a_file_never_takes_the_place_of_a_directory_nor_the_other_way(leased: Way) -> None:
    directory = MakeDirectory(path=leased.path("x"), mode=0o700, owner="root", group="root")
    await leased.act(directory)
    assert "is not a file" in (await leased.done(leased.file("x", "content")))[0].note
    await leased.act(leased.file("y", "content"))
    other = MakeDirectory(path=leased.path("y"), mode=0o700, owner="root", group="root")
    assert "is not a directory" in (await leased.done(other))[0].note


async def test_an_owner_that_is_not_there_fails_before_anything_is_written(leased: Way) -> None:
    results = await leased.done(leased.file("f", "x", owner="no-such-user"))
    assert results[0].note == "there is no such user or group: no-such-user"
    seen = await leased.observe(File(leased.path("f"), ""))
    assert seen.resources[f"file:{leased.path('f')}"] == Absent()


async def test_a_kernel_setting_that_is_so_is_kept(leased: Way) -> None:
    live = (await leased.observe(Sysctl(SETTING, ""))).resources[f"sysctl:{SETTING}"]
    assert isinstance(live, SysctlSeen)
    results = await leased.done(SetSysctl(name=SETTING, value=live.value))
    assert results[0].ok
    after = (await leased.observe(Sysctl(SETTING, ""))).resources[f"sysctl:{SETTING}"]
    assert after == SysctlSeen(value=live.value, kept=live.value)


# --- lease ---


async def test_without_the_lease_nothing_is_done(way: Way) -> None:
    acted = await way.act(way.file("f", "x"))
    assert (acted.refused, acted.results) == ("lost lease: it has expired", ())
    await way.lease("acquire", "other")
    assert "other" in (await way.act(way.file("f", "x"))).refused
    await way.lease("release", "other")
    assert (await way.observe(File(way.path("f"), ""))).resources[f"file:{way.path('f')}"] == Absent()


async def test_a_lease_is_held_by_one_until_it_is_released(way: Way) -> None:
    first = await way.lease("acquire", "a", ttl=50)
    assert (first.granted, first.holder) == (True, {"operator": "a"})
    assert 40 < first.remaining <= 50
    refused = await way.lease("acquire", "b")
    assert (refused.granted, refused.holder, refused.why) == (False, {"operator": "a"}, "held by another run")
    assert not (await way.lease("renew", "b")).granted
    assert not (await way.lease("release", "b")).granted
    renewed = await way.lease("renew", "a", ttl=500, holder={})
    assert (renewed.granted, renewed.holder) == (True, {"operator": "a"})
    assert renewed.remaining > 400
    assert (await way.lease("acquire", "a")).granted
    assert (await way.lease("release", "a")).granted
    assert (await way.lease("acquire", "b")).granted
    await way.lease("release", "b")


async def test_an_expired_lease_may_be_taken_and_not_renewed(way: Way) -> None:
    assert (await way.lease("acquire", "a", ttl=0)).granted
    late = await way.lease("renew", "a")
    assert (late.granted, late.why) == (False, "it has expired")
    assert (await way.act(way.file("f", "x"), token="a")).refused
    assert (await way.lease("acquire", "b")).granted
    await way.lease("release", "b")


async def test_the_lease_of_the_dead_may_be_stolen_by_its_name(way: Way) -> None:
    await way.lease("acquire", "dead")
    assert not (await way.lease("acquire", "b", steal_from="another")).granted
    assert (await way.lease("acquire", "b", steal_from="dead")).granted
    assert not (await way.lease("renew", "dead")).granted
    await way.lease("release", "b")


async def test_an_act_that_is_still_at_work_keeps_all_others_out(leased: Way) -> None:
    with leased.door.acting():
        assert (await leased.act(leased.file("f", "x"))).refused.startswith("busy")
        assert not (await leased.lease("acquire", "b", steal_from="token-1")).granted
        await leased.lease("release")
        late = await leased.lease("acquire", "b")
        assert (late.granted, late.why) == (False, "an earlier run's last act is still running")
    assert (await leased.lease("acquire")).granted
    assert (await leased.act(leased.file("f", "x"), wait=5)).results[0].ok


async def test_installing_what_no_archive_has_fails_with_its_words(way: Way) -> None:
    if way.kind not in {"fake", "lab"}:
        return  # not on the machine that runs the tests
    if isinstance(way.door, InMemory):
        way.door.host.unavailable.add("no-such-package")
    await way.lease("acquire")
    (result,) = await way.done(Install(packages=("no-such-package",)))
    assert "Unable to locate package no-such-package" in result.note
