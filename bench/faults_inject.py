"""The faults of `bench/faults.py`: what is done to one lab machine's memcached, when, and how it is undone.

All is done from the host and is cheap (a signal, a cable, a rule of nftables), so that the machine whose clients are
measured is not busy with the fault itself. Times are seconds after the clients began.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults_judge import Window

from quorate.lab.command import attempt, run
from quorate.lab.lab import Lab

BEGIN, HEAL, END = 2.0, 6.0, 11.0
TABLE = "bench_faults"
MEMCACHED_PORT = 11211

Act = Callable[["Scene"], None]


@dataclass(frozen=True)
class Scene:
    """Where it happens: the clients are on `client`, the server that fails is on `victim`."""

    lab: Lab
    client: str
    victim: str

    def memcached(self, machine: str) -> list[int]:
        """The machine's memcached servers, as the host numbers processes."""
        return [pid for pid in self.lab.machine(machine).cgroup.pids() if _command(pid) == "memcached"]

    def signal(self, number: signal.Signals) -> None:
        """Send it to the victim's memcached."""
        found = self.memcached(self.victim)
        if not found:
            raise ProcessLookupError(f"no memcached runs on {self.victim}")
        for pid in found:
            os.kill(pid, number)

    def rules(self, machine: str, rule: str) -> None:
        """Have the machine drop what it receives, when it matches."""
        text = f"table inet {TABLE} {{ chain input {{ type filter hook input priority 0; {rule} drop; }}; }}\n"
        run([*self._inside(machine), "nft", "-f", "-"], stdin=text)

    def no_rules(self, machine: str) -> None:
        """Take the rules away, if there are any."""
        if self.lab.machine(machine).on():
            attempt([*self._inside(machine), "nft", "delete", "table", "inet", TABLE])

    def _inside(self, machine: str) -> list[str]:
        """Return how the host runs a machine's own program there: ssh would cost the machine more than the fault."""
        return ["nsenter", "--target", str(self.memcached(machine)[0]), "--net", "--mount"]


@dataclass(frozen=True)
class Fault:
    """One fault: what is done when. `restarts`: systemd starts the killed server again after so many seconds."""

    name: str
    summary: str
    acts: Sequence[tuple[float, Act]]
    window: Window
    restarts: float = 0.0


def _window(healed: float | None = HEAL) -> Window:
    return Window(BEGIN, healed, END)


def _cut(scene: Scene) -> None:
    scene.lab.cut(scene.victim, silent=True)


def _plug(scene: Scene) -> None:
    scene.lab.heal(scene.victim)


def _deafen(scene: Scene) -> None:
    """The victim hears the client's machine; what it answers is lost."""
    scene.rules(scene.client, f"ip saddr {scene.lab.address(scene.victim)}")


def _swallow(scene: Scene) -> None:
    scene.rules(scene.victim, f"tcp dport {MEMCACHED_PORT}")


RESTART = 3.0
FAULTS = {
    fault.name: fault
    for fault in (
        Fault("none", "nothing happens: the noise of the machine that measures", (), _window()),
        Fault("killed", "memcached killed, stays down", ((BEGIN, lambda s: s.signal(signal.SIGKILL)),), _window(None)),
        Fault(
            "restarted",
            f"memcached killed, started again after {RESTART:g} s",
            ((BEGIN, lambda s: s.signal(signal.SIGKILL)),),
            _window(BEGIN + RESTART),
            restarts=RESTART,
        ),
        Fault(
            "frozen",
            "memcached stopped (SIGSTOP), goes on after 4 s",
            ((BEGIN, lambda s: s.signal(signal.SIGSTOP)), (HEAL, lambda s: s.signal(signal.SIGCONT))),
            _window(),
        ),
        Fault("off", "the machine loses its power", ((BEGIN, lambda s: s.lab.kill(s.victim)),), _window(None)),
        Fault("cut", "the machine's cable passes nothing for 4 s", ((BEGIN, _cut), (HEAL, _plug)), _window()),
        Fault(
            "one-sided",
            "what the machine sends does not reach the clients' machine for 4 s; what they send arrives",
            ((BEGIN, _deafen), (HEAL, lambda s: s.no_rules(s.client))),
            _window(),
        ),
        Fault(
            "black-holed",
            "memcached's port swallows everything for 4 s",
            ((BEGIN, _swallow), (HEAL, lambda s: s.no_rules(s.victim))),
            _window(),
        ),
        Fault(
            "flapping",
            "the cable passes nothing for 2 s, works for 2 s, passes nothing for 2 s",
            ((BEGIN, _cut), (BEGIN + 2, _plug), (BEGIN + 4, _cut), (BEGIN + 6, _plug)),
            _window(BEGIN + 6),
        ),
    )
}


def undo(scene: Scene) -> None:
    """Bring back whatever any fault took: safe to do at any time, and twice."""
    scene.lab.heal()
    scene.lab.start()
    for machine in scene.lab.machines():
        for pid in scene.memcached(machine):
            os.kill(pid, signal.SIGCONT)
    for machine in (scene.client, scene.victim):
        if scene.memcached(machine):
            scene.no_rules(machine)
    scene.lab.wait_for_ssh()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
