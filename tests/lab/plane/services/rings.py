"""Rings for the object store's front end, as an operator makes and brings them: the lab has no storage servers."""

from __future__ import annotations

from lab.plane.machines import Plane

FOLDER = "/etc/swift"
KINDS = ("account", "container", "object")


def make(plane: Plane, machine: str, folder: str, power: int = 8) -> None:
    """Build rings of three replicas, one on each controller, where nothing listens, of two to that power partitions."""
    addresses = [plane.lab.spec.slot(name).address for name in plane.lab.machines()]
    commands = [f"mkdir -p {folder}", f"cd {folder}"]
    for kind in KINDS:
        commands.append(f"swift-ring-builder {kind}.builder create {power} 3 1")
        for zone, address in enumerate(addresses, 1):
            device = f"--region 1 --zone {zone} --ip {address} --port 6200 --device d1 --weight 100"
            commands.append(f"swift-ring-builder {kind}.builder add {device}")
        commands.append(f"swift-ring-builder {kind}.builder rebalance")
    done = plane.lab.run(machine, " && ".join(commands))
    assert done.returncode == 0, done.stdout + done.stderr


def bring(plane: Plane, source: str, folder: str) -> None:
    """Copy them from that machine to all."""
    for kind in KINDS:
        ring = plane.lab.run(source, f"base64 {folder}/{kind}.ring.gz").stdout
        for machine in plane.lab.machines():
            put = f"mkdir -p {FOLDER} && base64 -d > {FOLDER}/{kind}.ring.gz"
            assert plane.lab.run(machine, put, stdin=ring).returncode == 0
