"""`quorate init`: a few questions; writes `cloud.yaml` and `secrets.yaml`. Nothing is written before all is valid."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import click

from quorate.cli import files, render
from quorate.cli.options import output_option
from quorate.errors import InvalidInput, Problem, QuorateError, Refused

_OPTIONS = {"name": "--name", "subnet": "--subnet", "vip": "--vip", "controllers": "--controller", "bmcs": "--bmc"}
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]*|[0-9]+(\.[0-9]+){3}(/[0-9]+)?")
_WORDS_OF_YAML = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True)
class Answers:
    """What is asked. `bmcs` is None where it was not said, and empty where the cloud has no fencing."""

    name: str = ""
    subnet: str = ""
    interface: str = "eth0"
    vip: str = ""
    controllers: tuple[str, ...] = ()
    bmcs: tuple[str, ...] | None = None
    bmc_user: str = "admin"
    arbiter: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The controllers' names: controller1, controller2 …"""
        return tuple(f"controller{number}" for number in range(1, len(self.controllers) + 1))

    @property
    def missing(self) -> tuple[str, ...]:
        """The options without which there is no cloud file."""
        return tuple(
            option
            for key, option in _OPTIONS.items()
            if getattr(self, key) in ("", (), None) and not (key == "bmcs" and self.bmcs == ())
        )


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", default="", help="The cloud's name.")
@click.option("--subnet", default="", metavar="CIDR", help="The controllers' own network, as 10.0.0.0/24.")
@click.option("--interface", default="eth0", show_default=True, help="Its interface on every controller.")
@click.option("--vip", default="", metavar="ADDRESS", help="The address at which clients find every API.")
@click.option("--controller", "controllers", multiple=True, metavar="ADDRESS", help="A controller; once for each.")
@click.option("--bmc", "bmcs", multiple=True, metavar="ADDRESS", help="Its BMC; once for each, in the same order.")
@click.option("--bmc-user", default="admin", show_default=True, help="The account at the BMCs.")
@click.option("--no-fencing", is_flag=True, help="Instead of --bmc: nothing can cut a controller's power.")
@click.option("--arbiter", default="", metavar="ADDRESS", help="A third voter, for two controllers.")
@output_option
def command(folder: Path, *, no_fencing: bool, output: str, bmcs: tuple[str, ...], **said: object) -> None:
    """Write cloud.yaml and secrets.yaml, from a few questions.

    \b
      quorate init                      asks; writes ./cloud.yaml and ./secrets.yaml
      quorate init west --name west --subnet 10.0.0.0/24 --vip 10.0.0.10 \\
          --controller 10.0.0.11 --controller 10.0.0.12 --controller 10.0.0.13 \\
          --bmc 10.1.0.11 --bmc 10.1.0.12 --bmc 10.1.0.13

    Without a terminal nothing is asked, and every missing option is named. Nothing is overwritten: where cloud.yaml
    is there already, only secrets that are missing are added to secrets.yaml. Ctrl-C writes nothing.
    """  # noqa: D301 - click's paragraph mark
    answers = Answers(bmcs=() if no_fencing else bmcs or None, **said)  # type: ignore[arg-type]
    path = folder / "cloud.yaml"
    if no_fencing and bmcs:
        raise InvalidInput("--bmc and --no-fencing contradict each other")
    there = _text_of(path)
    if there is not None and answers == Answers(interface=answers.interface, bmc_user=answers.bmc_user):
        text = there
    else:
        answers = _complete(answers)
        text = _checked(answers)
    if there not in (None, text):
        raise Refused(f"{path} exists and says something else; it is not overwritten", hint="Edit it, or move it away.")
    _write(path, text, _passwords(answers) if there is None else {}, output, there=there is not None)


def _complete(answers: Answers) -> Answers:
    """Ask for what was not said. InvalidInput lists it all where nobody can be asked."""
    if not answers.missing:
        return answers
    if not render.can_ask():
        raise InvalidInput(
            f"without a terminal these options are needed: {', '.join(answers.missing)}",
            hint="`quorate init --help` has an example; --no-fencing stands for no --bmc.",
        )
    return _asked(answers)


def _asked(answers: Answers) -> Answers:
    """Ask one question after the other, each with a proposal that follows from the answers before it."""
    name = answers.name or render.ask("Name of the cloud", default="cloud1")
    subnet = answers.subnet or render.ask("Subnet of the controllers", default="10.0.0.0/24", check=_subnet)
    proposed = [str(address) for address in _proposals(subnet)]
    vip = answers.vip or render.ask("Virtual IP for all clients", default=proposed[0], check=_address)
    controllers = answers.controllers or tuple(
        render.ask("Controllers' addresses", default=" ".join(proposed[1:]), check=_addresses).split()
    )
    arbiter = answers.arbiter
    if len(controllers) % 2 == 0 and not arbiter:
        arbiter = render.ask("Address of an arbiter (an even number of controllers needs one)", check=_address)
    bmcs = answers.bmcs
    if bmcs is None:
        question = "Addresses of their BMCs, in the same order (empty: no fencing)"
        bmcs = tuple(render.ask(question, default="", check=_addresses).split())
    return replace(answers, name=name, subnet=subnet, vip=vip, controllers=controllers, arbiter=arbiter, bmcs=bmcs)


def _passwords(answers: Answers) -> dict[str, str]:
    """Ask for the BMCs' passwords without showing them; an empty answer leaves a place to fill in."""

    def ask(name: str) -> str:
        if not render.can_ask():
            return ""
        question = f"Password of {answers.bmc_user} at {name}'s BMC (empty: fill it in later)"
        return render.ask(question, default="", hidden=True)

    return {f"fencing.{name}": ask(name) for name in answers.names} if answers.bmcs else {}


def _checked(answers: Answers) -> str:
    """The cloud file's text. InvalidInput says what is wrong with the answers, before anything is written."""
    if answers.bmcs and len(answers.bmcs) != len(answers.controllers):
        counts = f"{len(answers.controllers)} controllers and {len(answers.bmcs)} BMCs"
        raise InvalidInput(f"{counts}: each controller has one", hint="Say --bmc as often as --controller.")
    text = written(answers)
    try:
        files.parsed(text, "answers")
    except InvalidInput as error:
        problems = [Problem("answers", 0, p.path, p.message, p.allowed) for p in error.problems]
        raise InvalidInput("these answers make no cloud; nothing was written", problems=problems) from None
    return text


def written(answers: Answers) -> str:
    """Write the cloud file as a person would."""
    lines = [
        "# What this cloud is. Every key: docs/reference/cloud.md; then: quorate check, quorate plan, quorate apply",
        f"cloud: {_scalar(answers.name)}",
        "networks:",
        f"  management: {{subnet: {_scalar(answers.subnet)}, interface: {_scalar(answers.interface)}}}",
        "vips:",
        f"  api: {_scalar(answers.vip)}",
    ]
    if answers.bmcs:
        lines += [f"fencing: {{username: {_scalar(answers.bmc_user)}}}  # passwords: secrets.yaml"]
    lines += ["controllers:"]
    for at, name in enumerate(answers.names):
        fencing = f", fencing: {_scalar(answers.bmcs[at])}" if answers.bmcs else ""
        lines += [f"  {name}: {{addresses: {_scalar(answers.controllers[at])}{fencing}}}"]
    if answers.arbiter:
        lines += [f"arbiter: {_scalar(answers.arbiter)}"]
    return "\n".join(lines) + "\n"


def _text_of(path: Path) -> str | None:
    """What stands in the cloud file; None where there is none."""
    try:
        return files.text_of(path)
    except InvalidInput:
        if path.exists():
            raise
        return None


def _write(path: Path, text: str, passwords: Mapping[str, str], output: str, *, there: bool) -> None:
    """Write both files: the secrets first, so that a cloud file never stands without them."""
    cloud, systems = files.parsed(text, str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QuorateError(f"{path.parent}: {error.strerror}") from None
    fenced = [f"fencing.{name}" for name, controller in cloud.controllers.items() if controller.fencing]
    to_give = files.ensure_secrets(path, cloud, systems, {name: passwords.get(name, "") for name in fenced})
    if not there:
        files.write_new(path, text)
    secrets = files.secrets_path(path)
    data = {"cloud": str(path), "secrets": str(secrets), "written": not there, "to_fill_in": list(to_give)}
    render.result(data, output, lambda: _told(path, secrets, there=there, to_give=to_give))


def _told(path: Path, secrets: Path, *, there: bool, to_give: tuple[str, ...]) -> str:
    first = f"{path} was there already and is unchanged" if there else f"wrote {path}"
    lines = [first, f"{secrets} is complete (0600): back it up; without it the cloud cannot be recovered"]
    if to_give:
        lines[1] = f"{secrets} (0600) still needs what only you know: {', '.join(to_give)}"
    return "\n".join([*lines, f"next: quorate check -c {path}"])


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML else json.dumps(text)


def _proposals(subnet: str) -> list[IPv4Address]:
    """Addresses to propose: .10 for the VIP and .11 to .13 for the controllers, where the subnet is large enough."""
    hosts = IPv4Network(_subnet(subnet))
    first = 10 if hosts.num_addresses > 16 else 1
    return [hosts.network_address + first + at for at in range(4)]


def _parser(kind: Callable[[str], object], what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        try:
            return str(kind(text.strip()))
        except ValueError:
            raise click.UsageError(f"{text!r} is not {what}") from None

    return parse


_address = _parser(IPv4Address, "an address like 10.0.0.11")
_subnet = _parser(IPv4Network, "a subnet like 10.0.0.0/24")


def _addresses(text: str) -> str:
    return " ".join(_address(word) for word in text.replace(",", " ").split())
