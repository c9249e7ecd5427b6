"""One machine of the lab: its disk, its boot, its power button.

Its disk is a layer over the golden root and outlives every power cycle. Its processes live in one cgroup, so that a
power cut reaches all of them at once; a power cut also takes the cable's far end and the network namespace with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import QuorateError
from quorate.lab import network
from quorate.lab.cgroups import Cgroup, Layout
from quorate.lab.command import attempt, run
from quorate.lab.identity import keypair_at, machine_id
from quorate.lab.image import Image
from quorate.lab.spec import Places, Slot, Spec
from quorate.lab.waiting import lock, until

FIRMWARE_SECONDS = 8.0  # no server boots at once; most take minutes
GUEST_REBOOTED = 133  # what nspawn ends with when the guest asked for a reboot
_FIRMWARE_DONE = 134
_MADE_UP = ("etc/pacemaker/authkey",)
_CAPABILITIES = "CAP_NET_ADMIN,CAP_IPC_LOCK,CAP_SYS_NICE"

# Notes how a program ended, unless it was killed: then this is killed with it, and there is no note.
_NOTE = 'note="$1"; shift; rm -f "$note"; "$@"; echo $? > "$note.new"; mv "$note.new" "$note"'
_MOUNTS = Path("/proc/self/mounts")
_NSPAWN_LOCKS = Path("/run/systemd/nspawn/locks")


@dataclass(frozen=True)
class Machine:
    """One machine. Everything it does is safe against another process doing the same at the same time."""

    spec: Spec
    slot: Slot
    places: Places
    layout: Layout

    @property
    def name(self) -> str:
        """The machine's host name."""
        return self.slot.name

    @property
    def folder(self) -> Path:
        """Where the machine's disk, console and locks are."""
        return self.places.state / self.spec.name / "machines" / self.slot.name

    @property
    def root(self) -> Path:
        """Where the machine's disk is mounted."""
        return self.folder / "root"

    @property
    def console(self) -> Path:
        """What the machine said on its console since its last boot."""
        return self.folder / "console.log"

    @property
    def cgroup(self) -> Cgroup:
        """Where the machine's processes live."""
        return Cgroup(self.layout, self.slot.cgroup)

    def on(self) -> bool:
        """Say whether the machine has power: any process of it lives, frozen or not, or is just about to."""
        return self.cgroup.populated() or self._ended_with() == _FIRMWARE_DONE

    def booted(self) -> bool:
        """Say whether its firmware is done and its guest runs."""
        return self._supervisor() != 0

    def frozen(self) -> bool:
        """Say whether the machine hangs."""
        return self.cgroup.frozen()

    # --- power -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Switch the machine on, if it is off, and return once its systemd runs. What its firmware does is left out."""
        with self.locked():
            if self.booted():
                network.forget_namespace(self.slot.netns)  # a start that was interrupted may have left its name
            else:
                self._boot()

    def power_on(self) -> None:
        """Give it power, if it has none: its firmware takes FIRMWARE_SECONDS, then `settle` boots it."""
        with self.locked():
            if not self.on():
                self._run_firmware()

    def kill(self) -> None:
        """Cut the power, if it is on, and return once no process is left."""
        with self.locked():
            self._off()

    def restart(self) -> None:
        """Cut the power and give it again, with nobody in between."""
        with self.locked():
            self._run_firmware()

    def shut_down(self, timeout: float) -> None:
        """Ask the machine to shut down in an orderly way; raise when it is still on after the time."""
        with self.locked():
            supervisor = self._supervisor()
            if supervisor:
                os.kill(supervisor, signal.SIGTERM)
                if not until(lambda: not self.cgroup.populated(), timeout):
                    raise QuorateError(f"{self.name} did not shut down within {timeout:g} s")
            self._off()

    def ended(self) -> bool:
        """Say whether the guest ended or the firmware is done, and nobody has dealt with it yet."""
        return self._ended_with() is not None

    def settle(self) -> str:
        """Deal with a machine that ended by itself: go on when it rebooted. Return what it did, or nothing."""
        with self.locked():
            code = self._ended_with()
            if code is None:
                return ""
            if code == _FIRMWARE_DONE:
                self._boot()
                return "boots"
            if code == GUEST_REBOOTED:
                self._run_firmware()
                return "reboots"
            self._off()
            return f"switched itself off ({code})"

    def freeze(self, on: bool) -> None:
        """Hang the machine: nothing of it runs, yet its kernel still answers pings and opens connections."""
        with self.locked():
            if on and not self.on():
                raise QuorateError(f"{self.name} is off: it cannot be frozen")
            self.cgroup.freeze(on)

    # --- the cable ---------------------------------------------------------------------------------------------

    def cut(self, silent: bool) -> None:
        """Cut the cable; it stays cut over power cycles, as a real one does, until `mend`."""
        with self.locked():
            (self.folder / "cable").write_text("silent" if silent else "pulled")
            network.mend(self.spec, self.slot)
            network.cut(self.slot, silent)

    def mend(self) -> None:
        """Undo any cut."""
        with self.locked():
            (self.folder / "cable").unlink(missing_ok=True)
            network.mend(self.spec, self.slot)

    # --- the disk ----------------------------------------------------------------------------------------------

    def prepare(self, image: Image, authorized_key: str) -> None:
        """Give the machine its disk and its identity, unless it has them. An interrupted one is begun again."""
        with self.locked():
            if not (self.folder / "ready").exists():
                self._unmount()
                for part in ("upper", "work"):
                    shutil.rmtree(self.folder / part, ignore_errors=True)
                for part in ("upper", "work", "root"):
                    (self.folder / part).mkdir(exist_ok=True)
                (self.folder / "upper").chmod(0o755)
                self._mount(image)
                self._personalise(authorized_key)
                self._refresh_secrets()
                (self.folder / "ready").touch()

    def discard(self) -> None:
        """Cut the power and give the disk back; keep nothing but the host key, so that known_hosts stays true."""
        with self.locked():
            self._off()
            (self.folder / "ready").unlink(missing_ok=True)
            (self.folder / "cable").unlink(missing_ok=True)
            self._unmount()
            for part in ("upper", "work"):
                shutil.rmtree(self.folder / part, ignore_errors=True)

    @property
    def host_key(self) -> str:
        """The public half of the machine's ssh host key."""
        return keypair_at(self.folder / "host_key").public

    def console_tail(self, lines: int = 8) -> str:
        """Return the last lines that the machine said on its console."""
        try:
            text = self.console.read_text(errors="replace")
        except OSError:
            return "(no console yet)"
        return "\n".join(line.rstrip() for line in text.splitlines()[-lines:] if line.strip())

    # --- inside ------------------------------------------------------------------------------------------------

    @property
    def _note(self) -> Path:
        return self.folder / "exit"

    @contextmanager
    def locked(self, limit: float = 60.0) -> Iterator[None]:
        """Hold the machine's lock, so that a fence and a `lab start` never meet halfway."""
        with lock(self.folder / "lock", limit) as got:
            if not got:
                raise QuorateError(f"{self.name}: another process has been changing it for {limit:g} s")
            yield

    def _off(self) -> None:
        self._clear()
        self._note.unlink(missing_ok=True)

    def _clear(self) -> None:
        network.unplug(self.slot)  # first: nothing of what dies is heard any more
        self.cgroup.kill()
        self.cgroup.remove()
        forget_lock(self.root)

    def _ended_with(self) -> int | None:
        """Return how the machine's last program ended; None while one runs and when it was killed."""
        try:
            return int(self._note.read_text()) if not self.cgroup.populated() else None
        except FileNotFoundError:
            return None

    def _run_firmware(self) -> None:
        """Leave a program in the machine's place that does nothing for a while, with nothing on the network."""
        self._off()
        self.cgroup.create()
        firmware = ["/bin/sh", "-c", f"sleep {FIRMWARE_SECONDS:g}; exit {_FIRMWARE_DONE}"]
        if not self._launch(firmware, {}, Path("/dev/null")) or not until(self.cgroup.populated, 15.0):
            raise QuorateError(f"{self.name} was given power and did not start")

    def _boot(self) -> None:
        self._clear()  # what an interrupted start left; a note that the firmware is done stays: it counts as on
        image = Image(self.spec.image, self.places.cache / self.spec.image)
        self._mount(image)
        network.plug(self.spec, self.slot)
        self._apply_cable()
        self.cgroup.create()
        if self.console.exists():
            self.console.replace(self.console.with_suffix(".log.1"))
        try:
            self._run_guest()
        except BaseException:
            self._off()
            raise
        network.forget_namespace(self.slot.netns)

    def _run_guest(self) -> None:
        nspawn = [
            *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--settings=no", "--link-journal=no"),
            f"--network-namespace-path=/run/netns/{self.slot.netns}",
            f"--capability={_CAPABILITIES}",
            "--kill-signal=SIGRTMIN+3",
            *("--directory", str(self.root)),
            *(f"--bind={self._shared(path)}:{path}" for path in self.spec.shared),
            *("--machine", self.spec.names.machine(self.name), "--hostname", self.name),
            *("--resolv-conf=off", "--timezone=off", "--console=read-only", "--boot"),
        ]
        environment = {
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        }
        started = self._launch(nspawn, environment, self.console)
        if not started or not until(self._joined, 15.0):
            raise QuorateError(f"{self.name} did not start; its console:\n{self.console_tail()}")

    def _shared(self, path: str) -> Path:
        """Say where on this host the folder is that all machines find at that path; make it where there is none."""
        folder = self.folder.parent / "shared" / path.strip("/").replace("/", "-")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _launch(self, program: list[str], environment: dict[str, str], console: Path) -> bool:
        """Start a program in the machine's cgroup; how it ends is noted."""
        with console.open("wb") as output:
            done = subprocess.run(
                self.cgroup.launcher(["/bin/sh", "-c", _NOTE, "sh", str(self._note), *program]),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **environment},
                timeout=15,
                check=False,
            )
        return done.returncode == 0

    def _joined(self) -> bool:
        """Say whether the machine's own processes run in its namespace: it is then safe to forget the name."""
        wanted = network.namespace_id(self.slot.netns)
        return wanted != 0 and any(_namespace_of(pid) == wanted for pid in self.cgroup.pids())

    def _supervisor(self) -> int:
        """Return the process that takes the order to shut down, or 0."""
        pids = [pid for pid in self.cgroup.pids() if _command_of(pid) == "systemd-nspawn"]
        return min(pids, default=0)

    def _apply_cable(self) -> None:
        try:
            state = (self.folder / "cable").read_text()
        except FileNotFoundError:
            return
        network.cut(self.slot, silent=state == "silent")

    def _mounted(self) -> bool:
        return f" {self.root} overlay " in _MOUNTS.read_text()

    def _mount(self, image: Image) -> None:
        if self._mounted():
            return
        layers = f"lowerdir={image.root},upperdir={self.folder}/upper,workdir={self.folder}/work"
        run(["mount", "-t", "overlay", self.slot.cgroup, "-o", layers, str(self.root)])

    def _unmount(self) -> None:
        if self._mounted() and attempt(["umount", str(self.root)]).returncode:
            run(["umount", "--lazy", str(self.root)])

    def _refresh_secrets(self) -> None:
        """Replace what a package made up when it was installed: on real machines no two are alike."""
        for path in (self.root / name for name in _MADE_UP):
            if path.is_file():
                path.write_bytes(os.urandom(path.stat().st_size))

    def _personalise(self, authorized_key: str) -> None:
        """Write what makes this machine differ from the others."""
        etc = self.root / "etc"
        (etc / "hostname").write_text(f"{self.name}\n")
        (etc / "machine-id").write_text(f"{machine_id(self.spec.identity, self.name)}\n")
        others = "".join(f"{slot.address} {slot.name}\n" for slot in self.spec.slots)
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{others}")
        key = keypair_at(self.folder / "host_key")
        _private(etc / "ssh/ssh_host_ed25519_key", key.private)
        (etc / "ssh/ssh_host_ed25519_key.pub").write_text(f"{key.public} root@{self.name}\n")
        ssh = self.root / "root/.ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        _private(ssh / "authorized_keys", f"{authorized_key}\n".encode())


def forget_lock(root: Path) -> None:
    """Remove the file with which nspawn locked this root: killed, it leaves it behind."""
    with contextlib.suppress(OSError):
        seen = root.stat()
        (_NSPAWN_LOCKS / f"inode-{seen.st_dev}:{seen.st_ino}").unlink()


def _private(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _namespace_of(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}/ns/net").stat().st_ino
    except OSError:
        return -1


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
