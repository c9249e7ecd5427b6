"""`quorate audit`: what is wrong with configuration that Quorate did not write? Reads only."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import click

from quorate.audit.judge import Audit, audit, rules
from quorate.audit.rule import Severity
from quorate.audit.versions import of_os, releases
from quorate.cli import render
from quorate.engine.audit import Collected, collect, sources
from quorate.errors import InvalidInput, Problem, Unreachable
from quorate.report.audit import as_data, as_text, rule_data, rule_text, rules_text
from quorate.report.sarif import as_sarif

_NEVER = "never"
_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("targets", nargs=-1)
@click.option("--kolla", multiple=True, type=_FOLDER, help="A controller's /etc/kolla, or a folder with several hosts.")
@click.option(
    "--osa", multiple=True, type=_FOLDER, help="A folder with a folder for each container of openstack-ansible."
)
@click.option("--os", "os_name", type=click.Choice(releases()), help="What versions a folder or an archive is of.")
@click.option(
    "--release", multiple=True, metavar="KIND=VERSION", help="The version of one program, such as nova=31.0.0."
)
@click.option("--sudo", is_flag=True, help="Read on hosts as root, by `sudo -n`.")
@click.option(
    "--output",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="For people, for programs, or for editors and code reviews (SARIF 2.1.0).",
)
@click.option(
    "--fail-on",
    type=click.Choice([*map(str, Severity), _NEVER]),
    default=str(Severity.ERROR),
    show_default=True,
    help="How bad a finding makes the exit code 1.",
)
@click.option("--rules", "all_rules", is_flag=True, help="List every rule, and read nothing.")
@click.option("--explain", metavar="ID", help="Say all about one rule, and read nothing.")
def command(
    *,
    targets: tuple[str, ...],
    kolla: tuple[Path, ...],
    osa: tuple[Path, ...],
    os_name: str | None,
    release: tuple[str, ...],
    sudo: bool,
    output: str,
    fail_on: str,
    all_rules: bool,
    explain: str | None,
) -> None:
    """Find mistakes in the configuration of a cloud, whoever set it up.

    TARGETS are folders, files, archives (.tar, .tar.gz, .tgz, .zip) and hosts.

    \b
      quorate audit /etc                           of this machine
      quorate audit controllers/                   a folder with one folder for each machine
      quorate audit controllers.tar.gz             the same, packed
      quorate audit root@controller{1,2,3}         of machines, over ssh (or ssh://root@controller1:2222)
      quorate audit --kolla /etc/kolla             of one controller that kolla-ansible set up
      quorate audit --osa /var/lib/lxc             of one machine that openstack-ansible set up

    A finding names the file and the line, why it matters, and the remedy. `# quorate: ignore=ID reason` on the line, or
    on one of its own above it, silences it. Exit codes: 0 nothing so bad, 1 findings, 2 wrong arguments or nothing to
    read, 4 something could not be read and the rest is well.
    """  # noqa: D301 - click's paragraph mark
    if all_rules or explain:
        _explain(explain, output)
        return
    if not (targets or kolla or osa):
        raise click.UsageError("say what to read: folders, files, archives or hosts")
    said = _said(release, os_name)
    found, hosts = sources(targets, kolla, osa, sudo=sudo)
    collected = collect(found, hosts, render.progress)
    versions = said | {kind: one for kind, one in collected.versions.items() if kind not in _given(release)}
    came = audit(collected.texts, versions, collected.unread)
    _show(came, collected, versions, output)
    _exit(came, fail_on)


def _said(release: Sequence[str], os_name: str | None) -> dict[str, str]:
    """The versions that the operator gives."""
    wrong = [one for one in release if not all(one.partition("=")[::2])]
    if wrong:
        problems = [Problem("--release", 0, "", f"{one!r} says no version", "KIND=VERSION") for one in wrong]
        raise InvalidInput("nothing was read", problems=problems)
    return (of_os(os_name) if os_name else {}) | _given(release)


def _given(release: Sequence[str]) -> dict[str, str]:
    return {kind: one for kind, _, one in (each.partition("=") for each in release)}


def _show(came: Audit, collected: Collected, versions: dict[str, str], output: str) -> None:
    if output == "sarif":
        render.result(as_sarif(came, rules(), version("quorate")), "json", str)
        return
    data = as_data(came, versions, collected.remarks)
    render.result(data, output, lambda: as_text(came, collected.remarks))


def _exit(came: Audit, fail_on: str) -> None:
    """Findings come first: that something else could not be read does not make them better."""
    order = [*map(str, Severity)]
    bad = order[: order.index(fail_on) + 1] if fail_on != _NEVER else []
    if any(finding.rule.severity in bad for finding in came.findings):
        raise SystemExit(1)
    if came.unread:
        raise SystemExit(Unreachable.exit_code)


def _explain(name: str | None, output: str) -> None:
    if name is None:
        render.result(
            [rule_data(rule) for rule in rules()], output.replace("sarif", "json"), lambda: rules_text(rules())
        )
        return
    known = {rule.name: rule for rule in rules()}
    rule = known.get(name.upper())
    if rule is None:
        near = ", ".join(difflib.get_close_matches(name.upper(), known, 3, 0.4))
        raise InvalidInput(f"there is no rule {name}", hint=f"Did you mean {near}?" if near else "See --rules.")
    render.result(rule_data(rule), output.replace("sarif", "json"), lambda: rule_text(rule))
