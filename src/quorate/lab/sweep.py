"""Removes all that carries a lab's name from this host: also after a crash, and without any record of the lab.

Everything is found by name (see names.py), so that no process, mount or link of anybody else can be meant.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from quorate.errors import QuorateError
from quorate.lab import image, network
from quorate.lab.cgroups import Cgroup, Layout, groups_named
from quorate.lab.command import attempt, run
from quorate.lab.machine import forget_lock
from quorate.lab.names import Names
from quorate.lab.spec import Places

_MOUNTS = Path("/proc/self/mounts")
_NSPAWN = Path("/run/systemd/nspawn")


def sweep(names: Names, places: Places, layout: Layout) -> list[str]:
    """Remove the lab; return what was found, for the curious. What is left afterwards is an error."""
    power = Cgroup(layout, names.power_cgroup)
    power.kill()  # first: it would start again what goes off
    found = network.remove_all(names)  # then the cables: nothing of what dies is heard any more
    for group in groups_named(layout, names.prefix):
        group.kill()
        group.remove()
        found.append(group.name)
    folder = places.state / names.lab
    for where in mounts_under(_MOUNTS.read_text(), folder):
        forget_lock(Path(where))
        if attempt(["umount", where]).returncode:
            run(["umount", "--lazy", where])
        found.append(where)
    found += _nft_tables(names)
    _forget_nspawn(names)
    if folder.exists():
        shutil.rmtree(folder)
        found.append(str(folder))
    image.sweep(places)
    left = network.remove_all(names)
    if left:
        raise QuorateError(f"could not be removed: {', '.join(left)}")
    return found


def mounts_under(mounts: str, folder: Path) -> list[str]:
    """Return the mount points under the folder, innermost first. Pure: `mounts` is the text of /proc/self/mounts."""
    points = [re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), line.split()[1]) for line in mounts.splitlines()]
    return [point for point in reversed(points) if point.startswith(f"{folder}/")]


def labs(places: Places) -> list[str]:
    """Return the names of the labs that this host has a record of."""
    return sorted(path.parent.name for path in places.state.glob("*/lab.json"))


def _nft_tables(names: Names) -> list[str]:
    """Remove the tables that fault injection left, in whichever family."""
    if not shutil.which("nft"):
        return []
    listed = attempt(["nft", "list", "tables"]).stdout
    tables = [
        line.removeprefix("table ").strip() for line in listed.splitlines() if line.endswith(f" {names.nft_table}")
    ]
    for table in tables:
        attempt(["nft", "delete", "table", *table.split()])
    return tables


def _forget_nspawn(names: Names) -> None:
    """Remove the empty folders that nspawn leaves behind when it is killed."""
    for kind in ("propagate", "unix-export"):
        for path in (_NSPAWN / kind).glob(f"{names.lab}.*"):
            attempt(["umount", "--lazy", str(path)])
            shutil.rmtree(path, ignore_errors=True)
