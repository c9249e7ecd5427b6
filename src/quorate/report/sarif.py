"""An audit as SARIF 2.1.0, which editors and code reviews show beside the lines. (OASIS, SARIF Version 2.1.0, 2020.)"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from quorate.audit.estate import Unread
from quorate.audit.judge import Audit
from quorate.audit.node import Place
from quorate.audit.rule import Finding, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
HOME = "docs/reference/audit.md"


def as_sarif(came: Audit, rules: Sequence[Rule], version: str) -> dict[str, Any]:
    """One run: all rules, what they found, what a file gives a reason for (as suppressed), and what was not read."""
    numbers = {rule.name: number for number, rule in enumerate(rules)}
    results = [_result(one, numbers) for one in came.findings]
    for one, reason in came.ignored:
        suppression = {"kind": "inSource", "justification": reason}
        results.append(_result(one, numbers) | {"suppressions": [suppression]})
    driver = {"name": "Quorate", "version": version, "rules": [_rule(rule) for rule in rules]}
    notifications = [_notification(one) for one in came.unread]
    invocation = {"executionSuccessful": not came.unread, "toolExecutionNotifications": notifications}
    run = {"tool": {"driver": driver}, "invocations": [invocation], "columnKind": "unicodeCodePoints"}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run | {"results": results}]}


def _rule(rule: Rule) -> dict[str, Any]:
    told = {
        "id": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": "\n".join(filter(None, (rule.remedy, f"Source: {rule.source}", rule.drill)))},
        "defaultConfiguration": {"level": str(rule.severity)},
    }
    if address := re.search(r"https?://[^\s,;)]+", rule.source):
        told["helpUri"] = address[0]
    return told


def _result(one: Finding, numbers: dict[str, int]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": one.rule.name,
        "ruleIndex": numbers[one.rule.name],
        "level": str(one.rule.severity),
        "message": {"text": f"{one.rule.title}: {one.hit.seen}" if one.hit.seen else one.rule.title},
        "locations": [_location(one.hit.place)],
    }
    if one.hit.also:
        also = [_location(place) | {"id": number} for number, place in enumerate(one.hit.also, 1)]
        result["relatedLocations"] = also
    return result


def _location(place: Place) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(place)}}
    if place.line:
        physical["region"] = {"startLine": place.line}
    location: dict[str, Any] = {"physicalLocation": physical}
    if place.host:
        location["logicalLocations"] = [{"name": place.host, "kind": "machine"}]
    return location


def _uri(place: Place) -> str:
    """A path is a reference relative to where we run, or a file of that machine."""
    path = quote(place.path, errors="replace")
    if place.path.startswith("ssh://"):
        return place.path
    if place.path.startswith("/"):
        return f"file://{quote(place.host, errors='replace')}{path}" if place.host else f"file://{path}"
    return path


def _notification(one: Unread) -> dict[str, Any]:
    return {"level": "error", "message": {"text": one.why}, "locations": [_location(one.place)]}
