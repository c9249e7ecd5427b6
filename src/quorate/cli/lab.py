"""`quorate lab`: three or more real machines on this one, to try everything on and to break."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Group
from rich.table import Table

from quorate.cli import files, render
from quorate.cli.options import output_option
from quorate.core.resource import Directory, Package, Resource
from quorate.core.system import enabled, site_of
from quorate.errors import InvalidInput
from quorate.lab.folder import cloud_yaml
from quorate.lab.lab import DEFAULT_SUBNET, Lab
from quorate.lab.spec import RELEASES, Spec, machine_names
from quorate.systems import discover

OPTIONAL = {system.name: system for system in discover() if system.spec.optional}
"""Systems that are part of a cloud only if its file names them."""


def lines(names: Sequence[str]) -> tuple[str, ...]:
    """Name systems in a lab's cloud file: a line for each, and for each that those need."""
    wanted: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        system = OPTIONAL[waiting.pop(0)]
        wanted[system.name] = f"{system.name}: {json.dumps(system.spec.in_lab)}"
        waiting += [name for name, one in OPTIONAL.items() if name not in wanted and {*one.offers} & {*system.needs}]
    return tuple(wanted.values())


def resources(release: str, systems: Sequence[str] = ()) -> tuple[Resource, ...]:
    """Say what the systems want on a machine of that release."""
    machines = machine_names(3)
    sample = Spec(
        "sample", machines, DEFAULT_SUBNET, release, (), image="", folder="", identity="", systems=(*systems,)
    )
    cloud, known = files.parsed(cloud_yaml(sample), "the lab's cloud.yaml")
    site = site_of(cloud, known)
    return tuple(
        resource
        for system in enabled(cloud, known)
        for resource in system.resources(cloud.systems[system.name], site, machines[0])
    )


def packages(release: str, systems: Sequence[str] = ()) -> tuple[str, ...]:
    """Say what the systems want installed on that release, so that the image has it already."""
    return tuple(sorted({one.name for one in resources(release, systems) if isinstance(one, Package)}))


def shared(release: str, systems: Sequence[str] = ()) -> tuple[str, ...]:
    """Say which folders the systems want to be the same on all machines."""
    return tuple(sorted({one.path for one in resources(release, systems) if isinstance(one, Directory) and one.shared}))


name_option = click.option("--name", default="lab", show_default=True, help="Which lab; several can run side by side.")
machines_argument = click.argument("machines", nargs=-1, required=True, metavar="MACHINE...")


@click.group()
def lab() -> None:
    """Real machines on this one, to try everything on and to break (needs root).

    Each is a systemd-nspawn container with its own systemd, disk, address, cable and power button; a power daemon
    plays their BMCs. `up` also writes the cloud.yaml, secrets.yaml and ssh key with which the other verbs reach them.
    """


@lab.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]")
@click.option("--machines", "count", type=click.IntRange(1, 16), help="How many.  [default: 3]")
@click.option("--host", "hosts", multiple=True, help="A machine's name, given once for each, instead of --machines.")
@click.option("--release", type=click.Choice(RELEASES), help=f"Their Debian.  [default: {RELEASES[0]}]")
@click.option("--subnet", help=f"Their addresses: .11, .12, …; this host gets .1.  [default: {DEFAULT_SUBNET}]")
@click.option(
    "--with",
    "systems",
    multiple=True,
    type=click.Choice(tuple(OPTIONAL)),
    help="An optional system and what it needs, for each.",
)
@click.option("--force", is_flag=True, help="Overwrite a cloud.yaml in DIR that differs.")
@name_option
@output_option
def up(
    *,
    directory: Path,
    count: int | None,
    hosts: tuple[str, ...],
    release: str | None,
    subnet: str | None,
    systems: tuple[str, ...],
    force: bool,
    name: str,
    output: str,
) -> None:
    """Bring the machines up, and write cloud.yaml, secrets.yaml, lab_key and known_hosts into DIR.

    The first run builds their image, which takes minutes; later ones take seconds. Machines that are up stay up.
    """
    if hosts and count is not None:
        raise click.UsageError("give --machines or --host, not both")
    there = Lab(name, progress=render.progress)
    known = there.known()
    chosen = release or (known.release if known else RELEASES[0])
    wanted = lines(systems) or (known.systems if known else ())
    there.up(
        directory,
        machines=hosts or count,
        release=release,
        subnet=subnet,
        packages=packages(chosen, wanted),
        systems=wanted,
        shared=shared(chosen, wanted),
        force=force,
    )
    _complete_secrets(there.cloud_yaml())
    render.result(_status(there), output, lambda: _table(there, f"{name} is up; its cloud is {there.cloud_yaml()}"))


def _complete_secrets(cloud_file: Path) -> None:
    """Make the secrets that can be made. Machines whose number makes no cloud are a lab all the same."""
    try:
        files.ensure_secrets(cloud_file, *files.load_cloud(cloud_file))
    except InvalidInput as error:
        render.page(f"the machines are up, but {error.message}: {'; '.join(map(str, error.problems))}")


@lab.command()
@name_option
@output_option
def down(name: str, output: str) -> None:
    """Remove the lab: its machines with their disks, its network and its power daemon. DIR stays."""
    removed = Lab(name, progress=render.progress).down()
    render.result(
        {"lab": name, "removed": removed},
        output,
        lambda: f"{name} is gone" if removed else f"{name}: nothing was there",
    )


@lab.command()
@name_option
@output_option
def status(name: str, output: str) -> None:
    """Say which machines are on, whether their cables are plugged and whether their sshd answers."""
    there = Lab(name)
    render.result(_status(there), output, lambda: _table(there, f"{name}: {there.spec.release}, {there.spec.subnet}"))


@lab.command()
@machines_argument
@name_option
@output_option
def kill(machines: tuple[str, ...], name: str, output: str) -> None:
    """Cut the power of machines."""
    _act(name, output, machines, Lab.kill, "off")


@lab.command()
@machines_argument
@name_option
@output_option
def start(machines: tuple[str, ...], name: str, output: str) -> None:
    """Switch machines on again; they have the disks that they had. Return once their sshd answers."""
    _act(name, output, machines, _start, "on")


@lab.command()
@machines_argument
@name_option
@output_option
def freeze(machines: tuple[str, ...], name: str, output: str) -> None:
    """Hang machines: nothing of them runs, yet their kernel still answers pings."""
    _act(name, output, machines, Lab.freeze, "frozen")


@lab.command()
@machines_argument
@name_option
@output_option
def thaw(machines: tuple[str, ...], name: str, output: str) -> None:
    """Let hung machines go on."""
    _act(name, output, machines, Lab.thaw, "thawed")


@lab.command()
@machines_argument
@click.option("--silent", is_flag=True, help="Keep the link up and let nothing pass, as a broken switch does.")
@name_option
@output_option
def cut(machines: tuple[str, ...], silent: bool, name: str, output: str) -> None:
    """Pull the cables of machines, until `heal`; a power cycle does not plug them in."""
    _act(name, output, machines, lambda there, *names: there.cut(*names, silent=silent), "cut off")


@lab.command()
@click.argument("machines", nargs=-1, metavar="[MACHINE]...")
@name_option
@output_option
def heal(machines: tuple[str, ...], name: str, output: str) -> None:
    """Undo cuts and freezes, of all machines where none is named. What is off stays off."""
    _act(name, output, machines, Lab.heal, "healed")


@lab.command()
@click.argument("machine")
@click.argument("words", nargs=-1, metavar="[-- COMMAND...]")
@name_option
@output_option
def shell(machine: str, words: tuple[str, ...], name: str, output: str) -> None:
    """Enter a machine over ssh as root, or run a command there and exit as it does."""
    command = [*Lab(name).ssh(machine), *words]
    if output == "text":
        render.finish()
        sys.stdout.flush()
        os.execv(command[0], command)  # noqa: S606 - ssh takes our place, terminal and exit code
    if not words:
        raise click.UsageError("--output json needs a command")
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    render.result({"code": done.returncode, "out": done.stdout, "err": done.stderr}, output, str)
    sys.exit(done.returncode)


def _act(name: str, output: str, machines: Sequence[str], act: Callable[..., None], word: str) -> None:
    there = Lab(name, progress=render.progress)
    act(there, *machines)
    named = list(machines) or there.machines()
    render.result({"lab": name, "machines": named, "now": word}, output, lambda: f"{', '.join(named)}: {word}")


def _start(there: Lab, *names: str) -> None:
    there.start(*names)
    there.wait_for_ssh(*names)


def _status(there: Lab) -> dict[str, object]:
    spec = there.spec
    return {
        "lab": there.name,
        "release": spec.release,
        "subnet": spec.subnet,
        "cloud": str(there.cloud_yaml()),
        "power_daemon": there.power_runs(),
        "machines": [asdict(machine) for machine in there.status()],
    }


def _table(there: Lab, title: str) -> Group:
    table = Table(box=None, pad_edge=False)
    for heading in ("machine", "address", "power", "cable", "ssh"):
        table.add_column(heading)
    for machine in there.status():
        table.add_row(machine.name, machine.address, machine.power, machine.cable, "answers" if machine.ssh else "-")
    dead = "" if there.power_runs() else "the power daemon is dead: fencing fails; `quorate lab up` starts it again"
    return Group(*(part for part in (title, table, dead) if part))
