"""The lab as a whole: up, down, and breaking things. This is the API that tests and demonstrations use."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import QuorateError, Refused, Unreachable, Unsupported
from quorate.lab import cgroups, folder, image, needs, network, sweep
from quorate.lab import spec as shapes
from quorate.lab.command import attempt
from quorate.lab.identity import keypair_at, self_signed, write_private
from quorate.lab.machine import Machine
from quorate.lab.names import Names
from quorate.lab.spec import POWER_PORT, Places, Progress, Spec, quiet
from quorate.lab.waiting import lock, until
from quorate.lab.witness import Witness

DEFAULT_SUBNET = "10.77.0.0/24"


@dataclass(frozen=True)
class MachineStatus:
    """What can be seen of one machine from outside. `ssh` says whether its sshd greeted within a second."""

    name: str
    address: str
    power: str
    cable: str
    ssh: bool


class Lab:
    """A lab by its name, whether it is up or not."""

    def __init__(self, name: str = "lab", *, places: Places | None = None, progress: Progress = quiet) -> None:
        self.name = name
        self.names = Names(name)
        self.places = places or Places()
        self.progress = progress

    # --- up and down ---------------------------------------------------------------------------------------------

    def up(
        self,
        directory: Path,
        *,
        machines: int | Sequence[str] | None = None,
        release: str | None = None,
        subnet: str | None = None,
        packages: Sequence[str] | None = None,
        systems: Sequence[str] | None = None,
        shared: Sequence[str] | None = None,
        force: bool = False,
    ) -> None:
        """Bring the lab up, or what of it is not up; return once sshd answers on every machine.

        What is None is as the lab has it already, or 3 machines of trixie on 10.77.0.0/24 with the base packages.
        """
        needs.require()
        with self._locked():
            spec = self._wanted(
                directory.resolve(),
                machines=machines,
                release=release,
                subnet=subnet,
                packages=packages,
                systems=systems,
                shared=shared,
            )
            if not force:
                folder.refuse_overwrite(directory, spec)
            if not Path(f"/sys/class/net/{spec.names.bridge}").exists():
                network.refuse_overlap(spec)
            for private in (self.places.state, self.places.cache, self.state):
                private.mkdir(parents=True, exist_ok=True)
                private.chmod(0o700)  # the guests' setuid programs are nothing for this host's users
            self._save(spec)
            golden = self._golden(spec)
            network.ensure_bridge(spec)
            self._ensure_power(spec)
            self._boot(spec, golden)
            hosts = folder.known_hosts(spec, {machine.name: machine.host_key for machine in self._machines(spec)})
            self.known_hosts.write_text(hosts)
            folder.write(directory, spec, key=self.key, hosts=hosts, password=self.bmc_password)
            self.wait_for_ssh(*spec.machines)

    def down(self) -> list[str]:
        """Remove the lab and all that carries its name; return what there was. The user's folder stays."""
        if sys.platform != "linux" or os.geteuid() != 0:
            raise Unsupported("taking a lab down needs root on Linux", hint="run it with sudo")
        with self._locked(remove=True):
            return sweep.sweep(self.names, self.places, cgroups.host_layout())

    def reset(self, *names: str) -> None:
        """Give machines (all, without names) new disks and boot them: as after `up`, in seconds."""
        golden = self._golden(self.spec)
        chosen = self._chosen(names)
        self.progress(f"new disks for {', '.join(machine.name for machine in chosen)}")
        _each(chosen, Machine.discard)
        self._boot(self.spec, golden, chosen)
        self.wait_for_ssh(*(machine.name for machine in chosen))

    # --- what there is -------------------------------------------------------------------------------------------

    @property
    def state(self) -> Path:
        """The folder of this host that holds the lab."""
        return self.places.state / self.name

    @property
    def spec(self) -> Spec:
        """What the lab is; an error when there is none."""
        try:
            return Spec.from_json((self.state / "lab.json").read_text())
        except FileNotFoundError as error:
            others = ", ".join(sweep.labs(self.places))
            hint = f"labs on this host: {others}" if others else "`quorate lab up` makes one"
            raise Refused(f"there is no lab called {self.name}", hint=hint) from error

    def known(self) -> Spec | None:
        """What the lab is, or None where there is none."""
        return self.spec if (self.state / "lab.json").exists() else None

    @property
    def key(self) -> Path:
        """The ssh key that enters every machine as root."""
        return self.state / "lab_key"

    @property
    def known_hosts(self) -> Path:
        """The machines' host keys, for ssh."""
        return self.state / "known_hosts"

    @property
    def bmc_password(self) -> str:
        """The password of the power daemon; the user is `folder.BMC_USER`."""
        return (self.state / "bmc_password").read_text()

    def cloud_yaml(self) -> Path:
        """The cloud.yaml that `up` wrote; secrets.yaml is beside it."""
        return Path(self.spec.folder) / "cloud.yaml"

    def machines(self) -> list[str]:
        """The machines' names."""
        return list(self.spec.machines)

    def address(self, name: str) -> str:
        """The machine's address."""
        return self.spec.slot(name).address

    def machine(self, name: str) -> Machine:
        """One machine, for what this class does not offer."""
        spec = self.spec
        return Machine(spec, spec.slot(name), self.places, cgroups.host_layout())

    def status(self) -> list[MachineStatus]:
        """Look at every machine."""
        machines = self._machines(self.spec)
        with ThreadPoolExecutor(max_workers=len(machines)) as pool:
            return list(pool.map(_look, machines))

    def power_runs(self) -> bool:
        """Say whether the power daemon lives."""
        return cgroups.Cgroup(cgroups.host_layout(), self.names.power_cgroup).populated()

    # --- breaking and mending ------------------------------------------------------------------------------------

    def kill(self, *names: str) -> None:
        """Cut the power of machines, all at once."""
        _each(self._chosen(names), Machine.kill)

    def start(self, *names: str) -> None:
        """Switch machines on that are off; return once their systemd runs (see `wait_for_ssh`)."""
        _each(self._chosen(names), Machine.start)

    def freeze(self, *names: str) -> None:
        """Hang machines."""
        _each(self._chosen(names), lambda machine: machine.freeze(True))

    def thaw(self, *names: str) -> None:
        """Let hung machines go on."""
        _each(self._chosen(names), lambda machine: machine.freeze(False))

    def cut(self, *names: str, silent: bool = False) -> None:
        """Pull the machines' cables; silently: their links stay up, yet nothing passes."""
        _each(self._chosen(names), lambda machine: machine.cut(silent))

    def heal(self, *names: str) -> None:
        """Undo cuts and freezes; what is off stays off."""
        _each(self._chosen(names), _heal)

    def wait_for_ssh(self, *names: str, limit: float = 60.0) -> None:
        """Return once sshd greets on all machines; an error quotes the console of one that does not."""
        deadline = time.monotonic() + limit
        for machine in self._chosen(names):
            while not _greets(machine.slot.address):
                if time.monotonic() > deadline:
                    why = "hangs (frozen)" if machine.frozen() else "is on" if machine.on() else "is off"
                    raise Unreachable(
                        machine.name,
                        f"no sshd answers at {machine.slot.address} after {limit:g} s; the machine {why}, its cable is "
                        f"{network.cable(machine.slot)}; the end of its console:\n{machine.console_tail()}",
                        hint=f"`quorate lab heal` undoes cuts and freezes; the whole console: {machine.console}",
                    )
                time.sleep(0.05)

    def witness(self, address: str | None = None) -> Witness:
        """Watch the bridge for who uses an address (the API's VIP, if none is given), while it is entered."""
        spec = self.spec
        machines = {slot.mac: slot.name for slot in spec.slots}
        return Witness(spec.names.bridge, address or spec.vip, {**machines, spec.names.mac(0): "the host"})

    def ssh(self, name: str) -> list[str]:
        """Return the ssh command line that enters the machine; a command may be added to it."""
        return folder.ssh_command(self.address(name), self.key, self.known_hosts)

    def run(
        self, name: str, command: str, *, stdin: str = "", timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command in the machine over ssh, for tests and demonstrations."""
        return attempt([*self.ssh(name), command], stdin=stdin, timeout=timeout)

    # --- inside --------------------------------------------------------------------------------------------------

    def _wanted(
        self,
        directory: Path,
        *,
        machines: int | Sequence[str] | None,
        release: str | None,
        subnet: str | None,
        packages: Sequence[str] | None,
        systems: Sequence[str] | None,
        shared: Sequence[str] | None,
    ) -> Spec:
        """Return what the lab is to be; refuse what differs from what it is."""
        old = self.known()
        names = shapes.machine_names(machines) if isinstance(machines, int) else tuple(machines or ())
        names = shapes.checked_machines(names or (old.machines if old else shapes.machine_names(3)))
        release = shapes.checked_release(release or (old.release if old else shapes.RELEASES[0]))
        subnet = shapes.checked_subnet(subnet or (old.subnet if old else DEFAULT_SUBNET))
        wanted = tuple(sorted(set(packages if packages is not None else old.packages if old else ())))
        chosen = tuple(sorted(set(systems if systems is not None else old.systems if old else ())))
        folders = tuple(sorted(set(shared if shared is not None else old.shared if old else ())))
        identity = old.identity if old else uuid.uuid4().hex
        golden = old.image if old else image.digest(release, wanted)
        spec = Spec(self.name, names, subnet, release, wanted, golden, str(directory), identity, chosen, folders)
        if old is not None:
            parts = ("machines", "release", "subnet", "systems", "packages", "shared")
            differs = [part for part in parts if getattr(old, part) != getattr(spec, part)]
            if differs:
                raise Refused(
                    f"lab {self.name} exists with other {' and '.join(differs)}",
                    hint=f"`quorate lab down --name {self.name}` first, or another --name (with its own --subnet)",
                )
        return spec

    def _golden(self, spec: Spec) -> image.Image:
        """Return the lab's image: a lab keeps the one that its disks lie over, whatever today's recipe makes."""
        if spec.image == image.digest(spec.release, spec.packages):
            return image.build(self.places, spec.release, spec.packages, self.progress)
        golden = image.find(self.places, spec.image)
        if golden is None:
            raise QuorateError(
                f"the image under lab {self.name} is gone, and this version makes another",
                hint=f"`quorate lab down --name {self.name}`, then up",
            )
        return golden

    def _save(self, spec: Spec) -> None:
        draft = self.state / ".lab.json.new"
        draft.write_text(spec.to_json())
        draft.replace(self.state / "lab.json")
        keypair_at(self.key)
        if not (self.state / "bmc_password").exists():
            write_private(self.state / "bmc_password", secrets.token_urlsafe(18).encode())

    def _machines(self, spec: Spec) -> list[Machine]:
        layout = cgroups.host_layout()
        return [Machine(spec, slot, self.places, layout) for slot in spec.slots]

    def _chosen(self, names: Sequence[str]) -> list[Machine]:
        """Return these machines, or all; unknown names are an error before anything is done."""
        spec = self.spec
        wanted = {spec.slot(name).name for name in names} or set(spec.machines)
        return [machine for machine in self._machines(spec) if machine.name in wanted]

    def _boot(self, spec: Spec, golden: image.Image, machines: Sequence[Machine] = ()) -> None:
        key = keypair_at(self.key).public

        def boot(machine: Machine) -> None:
            machine.prepare(golden, key)
            machine.start()

        chosen = machines or self._machines(spec)
        self.progress(f"booting {', '.join(machine.name for machine in chosen)}")
        _each(chosen, boot)

    def _ensure_power(self, spec: Spec) -> None:
        """Start the power daemon unless it lives."""
        group = cgroups.Cgroup(cgroups.host_layout(), self.names.power_cgroup)
        if group.populated() and _connects(spec.gateway, POWER_PORT):
            return
        group.kill()
        key, certificate = self_signed(spec.gateway)
        write_private(self.state / "power.pem", key + certificate)
        group.create()
        command = [sys.executable, "-m", "quorate.lab.power", self.name, str(self.places.state), str(self.places.cache)]
        log = self.state / "power.log"
        with log.open("ab") as file:
            subprocess.run(
                group.launcher(command),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd="/",
                env={key: value for key, value in os.environ.items() if key in {"PATH", "PYTHONPATH", "LANG"}},
                timeout=15,
                check=True,
            )
        if not until(lambda: _connects(spec.gateway, POWER_PORT), 20.0):
            last = " | ".join(log.read_text(errors="replace").splitlines()[-3:])
            raise QuorateError(f"the power daemon did not start: {last}", hint=f"all of it: {log}")

    @contextmanager
    def _locked(self, *, remove: bool = False) -> Iterator[None]:
        """Hold the lab's lock: one `up` or `down` at a time."""
        with lock(self.places.run / f"lab-{self.name}.lock", 60.0, remove=remove) as got:
            if not got:
                raise Refused(f"another `quorate lab` has been bringing lab {self.name} up or down for a minute")
            yield


def _each(machines: Sequence[Machine], act: Callable[[Machine], None]) -> None:
    """Do it to all machines at once; the first error counts once all have ended."""
    with ThreadPoolExecutor(max_workers=max(1, len(machines))) as pool:
        for done in [pool.submit(act, machine) for machine in machines]:
            done.result()


def _heal(machine: Machine) -> None:
    machine.mend()
    machine.freeze(False)


def _look(machine: Machine) -> MachineStatus:
    power = "frozen" if machine.frozen() else "on" if machine.on() else "off"
    ssh = power == "on" and _greets(machine.slot.address)
    return MachineStatus(machine.name, machine.slot.address, power, network.cable(machine.slot), ssh)


def _connects(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _greets(address: str) -> bool:
    """Say whether an sshd greets there."""
    with contextlib.suppress(OSError), socket.create_connection((address, 22), timeout=1) as connection:
        return connection.recv(4) == b"SSH-"
    return False
