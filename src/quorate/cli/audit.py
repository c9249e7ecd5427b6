"""`quorate audit`: what is wrong with configuration that Quorate did not write? Reads only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from quorate.audit.judge import Audit, about, audit
from quorate.audit.rule import Finding, Severity
from quorate.cli import render
from quorate.cli.options import output_option
from quorate.engine.audit import collect


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@output_option
def command(*, paths: tuple[Path, ...], output: str) -> None:
    """Find mistakes in the configuration of a cloud, whoever set it up.

    \b
      quorate audit /etc                           of this machine
      quorate audit controllers/                   a folder with one folder for each machine

    A finding names the file and the line, why it matters, and the remedy. `# quorate: ignore=ID reason` on the line,
    or on one of its own above it, silences it. Exit codes: 0 no errors (there may be warnings), 1 errors, 2 nothing to
    read.
    """  # noqa: D301 - click's paragraph mark
    came = audit(collect(paths), {})
    render.result(as_data(came), output, lambda: as_text(came))
    if any(finding.rule.severity == Severity.ERROR for finding in came.findings):
        raise SystemExit(1)


def as_data(came: Audit) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "findings": [_finding(one) for one in came.findings],
        "ignored": [_finding(one) | {"reason": reason} for one, reason in came.ignored],
        "unread": [{"file": one.place.path, "line": one.place.line, "why": one.why} for one in came.unread],
        "read": [{"file": one.text.path, "kind": one.kind, "host": one.host} for one in came.read],
    }


def _finding(one: Finding) -> dict[str, Any]:
    rule, hit = one.rule, one.hit
    return {
        "rule": rule.name,
        "severity": str(rule.severity),
        "title": rule.title,
        "host": hit.place.host,
        "file": hit.place.path,
        "line": hit.place.line,
        "seen": hit.seen,
        "also": [str(place) for place in hit.also],
        "why": rule.why,
        "source": rule.source,
        "remedy": rule.remedy,
        "drill": rule.drill,
    }


def as_text(came: Audit) -> str:
    """One block for each rule, with every place where it was seen."""
    lines: list[str] = []
    for number, one in enumerate(came.findings):
        if number == 0 or came.findings[number - 1].rule != one.rule:
            rule = one.rule
            lines += [
                "",
                f"{rule.severity} {rule.name}: {rule.title}",
                f"  why: {rule.why}",
                f"  remedy: {rule.remedy}",
            ]
            lines += [f"  proof: {rule.drill}"] if rule.drill else []
        lines += [f"  {about(one.hit.place)}: {one.hit.seen}"]
    lines += [f"not read: {about(one.place)}: {one.why}" for one in came.unread]
    counts = ", ".join(f"{_count(came, severity)} {severity}s" for severity in Severity)
    lines += ["", f"{len(came.read)} files read: {counts}; {len(came.ignored)} ignored with a reason"]
    return "\n".join(lines).lstrip("\n")


def _count(came: Audit, severity: Severity) -> int:
    return sum(finding.rule.severity == severity for finding in came.findings)
