"""The program that moves a folder into memory and back, killed at every command: nothing is lost, all is put back.

It runs in a mount namespace of its own, with a `systemctl` that only writes down what it is asked for.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")

PROGRAM = files("quorate.faults").joinpath("disk.sh").read_text(encoding="utf-8")
ROOM = "4"

# Its n-th use kills whoever called it, before it does anything.
_DEADLY = """\
#!/bin/sh
count=$(($(cat {count}) + 1))
echo $count > {count}
[ $count != {number} ] || {{ kill -{signal} $PPID; sleep 0.1; exit 1; }}
PATH=${{PATH#*:}}
exec {victim} "$@"
"""


@dataclass
class Bench:
    """A folder with a file, and the program."""

    place: Path

    @property
    def folder(self) -> Path:
        return self.place / "data"

    def run(self, script: str) -> str:
        """Run a script in one namespace: `disk WHAT` is the program, `deadly WHAT` the same with a killer on PATH."""
        bins = f"{self.place}/bin:{os.environ['PATH']}"
        head = (
            # mounts are shared among each other, as systemd has them, and with nobody outside
            f"mount --make-rprivate /; mount --make-rshared /\nPATH={bins}\ndata={self.folder}\n"
            f'disk() {{ sh -euc "$PROGRAM" sh "$1" "$data" x.service {self.place}/state/disk-x {ROOM}; }}\n'
            f"deadly() {{ (PATH={self.place}/deadly:$PATH; disk $1) >/dev/null 2>&1 || :; }}\n"
        )
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-euc", head + script],
            env={**os.environ, "PROGRAM": PROGRAM},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kills(self, victim: str, number: int, signal: str) -> None:
        """Have the n-th use of a command kill the program."""
        (self.place / "count").write_text("0")
        text = _DEADLY.format(count=self.place / "count", number=number, signal=signal, victim=victim)
        _executable(self.place / "deadly" / victim, text)

    def asked(self) -> list[str]:
        """What systemctl was asked for."""
        return (self.place / "asked").read_text().split("\n")[:-1]

    def nothing_left(self) -> None:
        assert list((self.place / "state").iterdir()) == []
        assert [path.name for path in self.folder.iterdir() if path.name.startswith(".")] == []


def _executable(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    (made.folder / "a").mkdir(parents=True)
    (made.folder / "a" / "file").write_text("old\n")
    os.chown(made.folder, 33, 44)
    os.chown(made.folder / "a" / "file", 7, 8)
    made.folder.chmod(0o750)
    (made.folder / "a" / "file").chmod(0o604)
    _executable(
        tmp_path / "bin" / "systemctl", f'#!/bin/sh\n[ "$1" = reset-failed ] || echo "$1" >> {tmp_path}/asked\n'
    )
    return made


ALL = "find $data -printf '%P %u %g %m %l\\n' | sort; cat $data/a/file\n"


def test_owners_and_modes_are_kept_both_ways(bench: Bench) -> None:
    (bench.folder / "link").symlink_to("a/file")
    before = bench.run(ALL)
    said = bench.run(f"disk away\nfindmnt -no SOURCE $data\n{ALL}disk back\n{ALL}")
    assert said == f"quorate-drill\n{before}{before}"
    bench.nothing_left()
    assert bench.asked() == ["stop", "start", "stop", "start"]


def test_what_was_written_meanwhile_is_there_afterwards_and_what_was_deleted_is_not(bench: Bench) -> None:
    bench.run("disk away; echo new > $data/new; rm $data/a/file; mkdir $data/b; disk back")
    assert sorted(path.name for path in bench.folder.rglob("*")) == ["a", "b", "new"]
    bench.nothing_left()


def test_it_runs_full_and_has_room_again(bench: Bench) -> None:
    said = bench.run(
        "disk full; disk away; disk full; disk fill; disk full\n"
        "head -c 9000 /dev/zero > $data/more 2>/dev/null || echo refused; rm -f $data/more\n"
        "disk free; disk full; echo fits > $data/more; disk back; cat $data/more; ls -A $data"
    )
    assert said.split() == ["no", "no", "took", "refused", "no", "fits", "a", "more"]
    bench.nothing_left()


def test_a_real_disk_is_never_filled(bench: Bench) -> None:
    assert (
        bench.run("disk fill 2>&1 || :")
        == f"{bench.folder} is not in memory: it would be its own disk that runs full\n"
    )
    assert bench.run("disk free; disk back; disk back; ls -A $data") == "a\n"


def test_everything_twice_is_as_once(bench: Bench) -> None:
    bench.run("disk away; disk away; disk fill; disk fill; disk free; disk free; disk back; disk back")
    assert bench.asked() == ["stop", "start", "restart", "is-active", "is-active", "stop", "start"]


def test_a_file_system_below_it_is_refused(bench: Bench) -> None:
    said = bench.run("mkdir $data/m; mount -t tmpfs none $data/m; disk away 2>&1 || :; umount $data/m")
    assert "other file systems are mounted below" in said
    assert not (bench.place / "asked").exists()


def test_a_folder_that_is_a_file_system_itself_stays_one(bench: Bench) -> None:
    said = bench.run(
        "mount -t tmpfs own $data; mkdir $data/a; echo old > $data/a/file\n"
        "disk away; findmnt -no SOURCE $data | tail -n 1; echo new > $data/a/file; disk back\n"
        "findmnt -no SOURCE $data; cat $data/a/file"
    )
    assert said.split() == ["quorate-drill", "own", "new"]


def test_power_lost_while_it_is_in_memory_leaves_what_was_before(bench: Bench) -> None:
    bench.run(
        "disk away; echo new > $data/a/file; mkdir -p {}/disk-x/.quorate-drill/copy".format(bench.place / "state")
    )
    (bench.place / "state" / "disk-x").rmdir()  # the namespace is gone, and all mounts with it, as with the power
    (bench.place / "state" / "disk-x.memory").rmdir()
    assert bench.run("disk back; cat $data/a/file") == "old\n"
    bench.nothing_left()


def test_a_unit_that_does_not_start_in_memory_runs_on_its_own_disk_again(bench: Bench) -> None:
    once = f'[ "$1" != start ] || [ -e {bench.place}/once ] || {{ touch {bench.place}/once; exit 1; }}'
    _executable(bench.place / "bin" / "systemctl", f"#!/bin/sh\n{once}\necho $1 >> {bench.place}/asked\n")
    assert bench.run("disk away || echo failed; cat $data/a/file") == "failed\nold\n"
    assert bench.asked()[-1] == "start"
    bench.nothing_left()


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("victim", ["systemctl", "mkdir", "mount", "cp"])
def test_killed_on_the_way_there(bench: Bench, victim: str, number: int, signal: str) -> None:
    bench.kills(victim, number, signal)
    assert bench.run(f"deadly away; disk back; {ALL}") == bench.run(ALL)
    bench.nothing_left()


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("victim", ["systemctl", "cp", "sync", "mv", "rm", "umount", "find", "chmod", "rmdir"])
def test_killed_on_the_way_back(bench: Bench, victim: str, number: int, signal: str) -> None:
    bench.kills(victim, number, signal)
    after = "disk back; cat $data/a/file; ls -A $data"
    assert bench.run(f"disk away; echo new > $data/a/file; deadly back; {after}") == "new\na\n"
    bench.nothing_left()
    assert bench.asked()[-1] == "start"
