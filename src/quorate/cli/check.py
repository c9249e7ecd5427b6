"""`quorate check`: is the cloud file right, and what will hurt one day? Contacts no host."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import click

from quorate.cli import files, foreseen, outlook, render
from quorate.cli.options import cloud_option, output_option
from quorate.core.availability import Measured, Year, expected, measured_in
from quorate.core.findings import Campaign
from quorate.core.foresight import Foresight, foresee, uncounted
from quorate.core.observed import Unknown
from quorate.core.system import AnySystem, Site, enabled, site_of
from quorate.engine import trials
from quorate.errors import InvalidInput, Problem
from quorate.model.cloud import Cloud
from quorate.model.rules import Caution, warnings
from quorate.model.schema import schema
from quorate.report import dependencies

SEED = 0
"""The same file is to be told the same."""
QUICK = 5
"""Controllers with which nobody waits."""


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@cloud_option
@click.option(
    "--hosts",
    is_flag=True,
    help="Also ask the controllers' installed programs about the files that they would get: an option that none of "
    "them knows would do nothing. Writes nothing.",
)
@click.option(
    "--losses",
    type=click.IntRange(1, 3),
    help="Name the smallest losses, of at most so many parts at once, that stop something. Unsaid: 1 for people; "
    f"`cut_sets` for programs has those of 3, of 2 with more than {QUICK} controllers.",
)
@click.option("--what-if", default="", metavar="PART,…", help="Say what stops if these are lost at once, and end.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.svg",
    help="Also draw what rests on what, with the weak places marked.",
)
@click.option(
    "--measured",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="CAMPAIGN.json",
    help="Take how long takeovers last from this campaign of drills, where it measured them.",
)
@click.option("--schema", "schema_only", is_flag=True, help="Print the file's JSON schema, for editors, and end.")
@output_option
def command(
    *,
    file: Path | None,
    cloud_file: Path,
    hosts: bool,
    losses: int | None,
    what_if: str,
    picture: Path | None,
    measured: Path | None,
    schema_only: bool,
    output: str,
) -> None:
    """Find the mistakes in the cloud file, all at once.

    Where there are none, it names what works and will hurt one day, and why: single points of failure among it.

    \b
      quorate check                                 the file ./cloud.yaml
      quorate check west/cloud.yaml                 another one
      quorate check --schema > cloud.schema.json    let an editor complete and check while you type
      quorate check --losses 2                      which two, lost at once, stop what?
      quorate check --what-if "controller1, BMC of controller1"
      quorate check --measured campaign.json        how long takeovers last here, as drills saw it
      quorate check --picture cloud.svg             what rests on what, drawn
      quorate check --hosts                         are all options known to what the controllers have installed?

    Without --hosts no host is contacted. Exit codes: 0 the file is right (there may be warnings), 2 it has mistakes.
    """  # noqa: D301 - click's paragraph mark
    if schema_only:
        described = schema(files.specs())
        render.result(described, output, lambda: json.dumps(described, indent=2))
        return
    cloud_file = _only(file, cloud_file)
    cloud, systems, unsaid = _loaded(cloud_file, hosts, output)
    site = site_of(cloud, systems)
    foresight = foresee(site, systems)
    if what_if:
        lost = foreseen.named(foresight, what_if)
        render.result(foreseen.answer(foresight, lost), output, lambda: foreseen.answer_text(foresight, lost))
        return
    found = (*all_warnings(cloud, systems), *_to_fill_in(cloud_file, cloud, systems), *unsaid)
    unsure = uncounted(cloud)
    year = _year(site, systems, foresight, measured)
    if picture is not None:
        _draw(picture, dependencies.picture(f"{cloud.cloud}: what rests on what", foresight, year[0], unsure))
    if output == "json":
        _tell_programs(cloud, foresight, found, losses, year)
        return
    said = (as_text(cloud_file, cloud, systems, found), foreseen.as_text(foresight, losses or 1, unsure))
    render.result(None, output, lambda: "".join((*said, outlook.as_text(*year))))


def _tell_programs(
    cloud: Cloud, foresight: Foresight, found: Sequence[Caution], losses: int | None, year: Year
) -> None:
    """Print everything as JSON."""
    order = losses or (2 if len(cloud.controllers) > QUICK else 3)
    data = as_data(None, found) | {
        "cut_sets": foreseen.cut_sets(foresight, order),
        "losses": foreseen.as_data(foresight, losses or 1),
        "uncounted": uncounted(cloud),
        **outlook.as_data(*year),
    }
    render.result(data, "json", str)


def _only(file: Path | None, cloud_file: Path) -> Path:
    """The file that is named, in whichever way."""
    named = click.get_current_context().get_parameter_source("cloud_file")
    if file is not None and named is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError(f"name one file: {file} or {cloud_file}")
    return file or cloud_file


def _loaded(cloud_file: Path, hosts: bool, output: str) -> tuple[Cloud, tuple[AnySystem, ...], tuple[Caution, ...]]:
    """The cloud, its systems, and what no controller could say of their files. Programs get mistakes as a result."""
    try:
        cloud, systems = files.load_cloud(cloud_file)
        return cloud, systems, _tried(cloud_file, cloud, systems) if hosts else ()
    except InvalidInput as error:
        if output == "json":
            render.result(as_data(error, ()), output, str)
            raise SystemExit(error.exit_code) from None
        raise


def _year(site: Site, systems: Sequence[AnySystem], foresight: Foresight, measured: Path | None) -> Year:
    if len(site.cloud.controllers) > QUICK:
        render.progress("working out how long each function is out in a year")
    known = _measured(measured) if measured else {}
    return expected(site, systems, foresight, Random(SEED), measured=known)  # noqa: S311 - no secrets


def _measured(file: Path) -> Measured:
    try:
        return measured_in(Campaign.model_validate_json(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        hint = "`quorate drill` writes one at the end of several runs: .quorate/drills/campaign-….json"
        raise InvalidInput(f"{file} is no campaign of drills", hint=hint) from None


def _draw(file: Path, drawn: str) -> None:
    try:
        file.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be written: {error.strerror}") from None
    render.progress(f"wrote {file}")


def all_warnings(cloud: Cloud, systems: Sequence[AnySystem]) -> tuple[Caution, ...]:
    """What the rules and every enabled system have to say about a valid cloud."""
    chosen = enabled(cloud, systems)
    own = (
        Caution(f"systems.{system.name}", reason.removeprefix(f"{system.name}: "))
        for system in chosen
        for reason in system.warnings(cloud.systems[system.name], cloud)
    )
    return (*warnings(cloud), *own)


def _to_fill_in(cloud_file: Path, cloud: Cloud, systems: Sequence[AnySystem]) -> tuple[Caution, ...]:
    """Secrets that are missing, where there is a file of secrets at all."""
    path = files.secrets_path(cloud_file)
    if not path.exists():
        return ()
    names = files.missing_secrets(path, cloud, systems)
    return tuple(Caution(name, f"is missing in {path}; plan and apply need it") for name in names)


def _tried(cloud_file: Path, cloud: Cloud, systems: Sequence[AnySystem]) -> tuple[Caution, ...]:
    """Hold the files to what is installed: InvalidInput has what is wrong with them. Returns what nobody could say."""
    from quorate.transport.ssh import connect  # noqa: PLC0415 - ssh takes time that a look at the file alone has not

    ways = {name: connect(cloud, name, cloud_file.absolute().parent) for name in cloud.names}
    tried = trials.run(site_of(cloud, systems), systems, ways, render.progress)
    wrong = [
        Problem(f"{one.host}:{one.path}", 0, "", f"{line}: what is installed there does not know it")
        for one in tried
        if not isinstance(one.wrong, Unknown)
        for line in one.wrong
    ]
    if wrong:
        raise InvalidInput("options that would do nothing; nothing was changed", problems=wrong)
    return tuple(
        Caution(f"systems.{one.system}", f"{one.path} was held to no installed release: {one.host}: {one.wrong.why}")
        for one in tried
        if isinstance(one.wrong, Unknown)
    )


def as_data(error: InvalidInput | None, found: Sequence[Caution]) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "valid": error is None,
        "message": error.message if error else "",
        "problems": [vars(problem) for problem in error.problems] if error else [],
        "warnings": [vars(warning) for warning in found],
    }


def as_text(cloud_file: Path, cloud: Cloud, systems: Sequence[AnySystem], found: Sequence[Caution]) -> str:
    """One line for the file, one for each warning."""
    count = len(cloud.controllers)
    parts = f"{count} controller{'s' * (count > 1)}, {len(enabled(cloud, systems))} systems"
    warned = "no warnings" if not found else f"{len(found)} warning{'s' * (len(found) > 1)}"
    lines = [f"{cloud_file}: {cloud.cloud} is valid: {parts}, {warned}"]
    return "\n".join(lines + [f"warning: {warning.path}: {warning.reason}" for warning in found])
