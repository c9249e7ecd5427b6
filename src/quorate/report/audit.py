"""What an audit says: a block for each rule for people, and everything for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from quorate.audit.judge import Audit, about
from quorate.audit.kinds import Kind
from quorate.audit.node import Place
from quorate.audit.rule import Finding, Hit, Rule, Severity


def as_data(came: Audit, versions: Mapping[str, str], remarks: Sequence[str] = ()) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "findings": [_finding(one) for one in came.findings],
        "ignored": [_finding(one) | {"reason": reason} for one, reason in came.ignored],
        "unread": [_place(one.place) | {"why": one.why} for one in came.unread],
        "read": [_place(one.place) | {"kind": one.kind} for one in came.read],
        "versions": dict(versions),
        "remarks": list(remarks),
    }


def rule_data(rule: Rule) -> dict[str, str]:
    """One rule, for programs."""
    return {
        "id": rule.name,
        "severity": str(rule.severity),
        "title": rule.title,
        "why": rule.why,
        "source": rule.source,
        "remedy": rule.remedy,
        "drill": rule.drill,
    }


def _finding(one: Finding) -> dict[str, Any]:
    message = ": ".join(filter(None, (one.rule.title, one.hit.seen)))
    also = [_place(place) for place in one.hit.also]
    return rule_data(one.rule) | _place(one.hit.place) | {"message": message, "seen": one.hit.seen, "also": also}


def _place(place: Place) -> dict[str, Any]:
    return {"host": place.host, "file": place.path, "line": place.line}


def as_text(came: Audit, remarks: Sequence[str] = ()) -> str:
    """One block for each rule, with every place where it was seen; then what was not read, and the sum."""
    lines: list[str] = []
    for rule, several in groupby(came.findings, key=lambda one: one.rule):
        lines += [f"{rule.severity} {rule.name}: {rule.title}", *_reasons(rule)]
        lines += [*_places([one.hit for one in several]), ""]
    lines += [f"ignored: {about(one.hit.place)}: {one.rule.name}: {reason}" for one, reason in came.ignored]
    lines += [f"not read: {about(one.place)}: {one.why}" for one in came.unread]
    lines += [f"remark: {remark}" for remark in remarks]
    counts = [_counted(sum(one.rule.severity == severity for one in came.findings), severity) for severity in Severity]
    hosts = {one.host for one in came.read if one.host}
    of_hosts = f" of {_counted(len(hosts), 'machine')}" if len(hosts) > 1 else ""
    return "\n".join([*lines, f"{_counted(len(came.read), 'file')} read{of_hosts}: {', '.join(counts)}"])


def _places(hits: Iterable[Hit]) -> list[str]:
    """One line for each thing that was seen; the same on another machine is only named."""
    groups: list[list[Hit]] = []
    by_words: dict[tuple[str, int, str], list[Hit]] = {}
    for hit in hits:
        where = (_without_host(hit.place), hit.place.line)
        keys = [(*where, hit.seen), (*where, _without_hosts(hit))]
        group = next((by_words[key] for key in keys if key in by_words), None)
        if group is None:
            groups.append(group := [])
        group.append(hit)
        by_words.update((key, group) for key in keys if key not in by_words)
    lines = []
    for first, *others in groups:
        seen = f": {first.seen}" if first.seen else ""
        also = ", ".join(_beside(place, first.place) for place in first.also)
        hosts = ", ".join(dict.fromkeys(hit.place.host for hit in others))
        too = f"; the same on {hosts}" if hosts else ""
        lines.append(f"  {about(first.place)}{seen}{f' (also {also})' if also else ''}{too}")
    return lines


def _beside(place: Place, first: Place) -> str:
    """Name another place; within the same file, only its line."""
    near = (place.path, place.host) == (first.path, first.host)
    return f"line {place.line}" if near and place.line else about(place)


def _without_host(place: Place) -> str:
    return "/".join("*" if part == place.host else part for part in place.path.split("/"))


def _without_hosts(hit: Hit) -> str:
    host = hit.place.host
    return re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w.-])", "*", hit.seen) if host else hit.seen


def rule_text(rule: Rule) -> str:
    """One rule, for people."""
    source = [f"  source: {rule.source}"] if rule.source else []
    return "\n".join([f"{rule.name} ({rule.severity}): {rule.title}", *_reasons(rule), *source])


def rules_text(rules: Iterable[Rule]) -> str:
    """One line for each rule."""
    return "\n".join(f"{rule.name}  {rule.severity:<7}  {rule.title}" for rule in rules)


_PAGE = """# What an audit looks for

{rules} rules, each with the reason, where that is written, the remedy, and the drill that would prove it. Generated
from the rules by `python -m quorate.cli.reference`; do not edit. How to run it: [quorate audit](../operate/audit.md).

*error*: it does not do what it says, or data or service are lost by a failure that it is there to survive. *warning*:
it does harm under conditions. *note*: better known than not.

## Files that are read
By the end of their path; where that says too little, by what is in them.

| kind | paths |
| --- | --- |
{kinds}
"""


def reference_page(rules: Sequence[Rule], kinds: Sequence[Kind]) -> str:
    """Write the reference page: the kinds of files, then every rule, by its subject."""
    paths: dict[str, list[str]] = {}
    for kind in kinds:
        paths.setdefault(kind.name, []).extend(f"`{path}`" for path in kind.paths)
    rows = "\n".join(f"| {name} | {', '.join(dict.fromkeys(paths[name]))} |" for name in sorted(paths))
    parts = [_PAGE.format(rules=len(rules), kinds=rows)]
    for subject, several in groupby(rules, key=lambda rule: rule.name.rstrip("0123456789")):
        parts.append(f"## {subject}\n")
        parts += [_entry(rule) for rule in several]
    return "\n".join(parts)


def _entry(rule: Rule) -> str:
    proof = f" *Proof*: {rule.drill}." if rule.drill else ""
    head = f"### {rule.name}: {rule.title}\n*{rule.severity}*. {rule.why}\n"
    return f"{head}\n*Remedy*: {rule.remedy}{proof} ({rule.source})\n"


def _reasons(rule: Rule) -> list[str]:
    proof = [f"  proof: {rule.drill}"] if rule.drill else []
    return [f"  why: {rule.why}", f"  remedy: {rule.remedy}", *proof]


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
