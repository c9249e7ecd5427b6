from __future__ import annotations

import subprocess
import time

from quorate.lab.lab import Lab

_ANNOUNCE = """\
import socket
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
mac, address = wire.getsockname()[4], socket.inet_aton("{vip}")
arp = bytes.fromhex("0001080006040001") + mac + address + bytes(6) + address
wire.send(b"\\xff" * 6 + mac + b"\\x08\\x06" + arp)
"""


def take(lab: Lab, machine: str) -> None:
    """Take the VIP and announce it, as a cluster manager does."""
    vip = lab.spec.vip
    done = lab.run(machine, f"ip addr add {vip}/24 dev eth0 && python3 -", stdin=_ANNOUNCE.format(vip=vip))
    assert done.returncode == 0, done.stderr


def drop(lab: Lab, machine: str) -> None:
    assert lab.run(machine, f"ip addr del {lab.spec.vip}/24 dev eth0").returncode == 0


def use(lab: Lab, machine: str) -> None:
    lab.run(machine, f"ip neigh flush all; ping -c2 -i0.2 -W1 {lab.spec.vip}")


def test_a_move_and_a_failback_are_no_overlap(healed: Lab) -> None:
    with healed.witness() as witness:
        take(healed, "controller1")
        use(healed, "controller3")
        drop(healed, "controller1")
        take(healed, "controller2")
        use(healed, "controller3")
        assert witness.holder == "controller2"
        drop(healed, "controller2")
        time.sleep(1)
        take(healed, "controller1")
        use(healed, "controller3")
    report = witness.report()
    moves = [(move.source, move.target) for move in report.judgement.moves]
    assert moves == [("controller1", "controller2"), ("controller2", "controller1")]
    assert report.judgement.moves[0].gap > 0
    assert report.two_holders is False
    assert report.dropped == 0
    drop(healed, "controller1")


def test_two_holders_are_found_out_when_the_cable_heals(healed: Lab) -> None:
    with healed.witness() as witness:
        take(healed, "controller1")
        use(healed, "controller3")
        healed.cut("controller1", silent=True)
        take(healed, "controller2")
        use(healed, "controller3")
        healed.heal("controller1")
        drop(healed, "controller2")
        use(healed, "controller3")
    report = witness.report()
    assert report.two_holders is True
    assert {report.judgement.overlaps[0].stayed, report.judgement.overlaps[0].other} == {"controller1", "controller2"}
    drop(healed, "controller1")


def test_nobody_is_seen_where_nobody_holds_it(healed: Lab) -> None:
    with healed.witness() as witness:
        use(healed, "controller3")
        healed.run("controller1", "ping -c2 -i0.2 controller2")
    assert witness.report().runs == ()
    assert witness.holder is None


def test_a_witness_ends_when_the_bridge_goes(healed: Lab) -> None:
    """It must neither hang nor spin: the lab can go down under it."""
    with healed.witness("10.0.0.1"):
        subprocess.run(["ip", "link", "set", healed.names.bridge, "down"], check=True, timeout=10)
        time.sleep(0.2)
    subprocess.run(["ip", "link", "set", healed.names.bridge, "up"], check=True, timeout=10)
