"""The SARIF that an audit writes, held to what the published schema requires of what it uses."""

from __future__ import annotations

import json
from typing import Any

from quorate.audit.estate import Text, Unread
from quorate.audit.judge import audit, rules
from quorate.audit.node import Place
from quorate.report.sarif import as_sarif

WRONG = "listen a\n  server x 10.0.0.2.42:80\n  # quorate: ignore=HAP001 it is a name here\n  server y 10.0.0.1.2:80\n"

REQUIRED = {
    "": {"version", "runs"},
    "runs": {"tool", "results"},
    "tool": {"driver"},
    "driver": {"name"},
    "rules": {"id"},
    "results": {"message"},
    "invocations": {"executionSuccessful"},
    "toolExecutionNotifications": {"message"},
    "suppressions": {"kind"},
}
"""Required properties, by the property that holds the object. (sarif-schema-2.1.0.json, `required` of each definition;
ruleId or rule.id of a result by section 3.27.5.)"""
ALLOWED = {
    "": {"$schema", "version", "runs", "inlineExternalProperties", "properties"},
    "runs": {"tool", "results", "invocations", "columnKind", "artifacts", "properties"},
    "driver": {"name", "version", "semanticVersion", "informationUri", "rules", "properties"},
    "rules": {"id", "shortDescription", "fullDescription", "help", "helpUri", "defaultConfiguration", "properties"},
    "results": {"ruleId", "ruleIndex", "level", "message", "locations", "relatedLocations", "suppressions"},
    "locations": {"id", "physicalLocation", "logicalLocations", "message"},
    "relatedLocations": {"id", "physicalLocation", "logicalLocations", "message"},
    "physicalLocation": {"artifactLocation", "region", "contextRegion"},
    "artifactLocation": {"uri", "uriBaseId", "index", "description"},
    "region": {"startLine", "endLine", "startColumn", "endColumn", "snippet"},
    "suppressions": {"guid", "kind", "justification", "location"},
    "toolExecutionNotifications": {"level", "message", "locations", "descriptor", "timeUtc"},
}


def written() -> dict[str, Any]:
    texts = [Text("/etc/haproxy/haproxy.cfg", WRONG, "c1"), Text("with blanks/haproxy.cfg", WRONG)]
    unread = [Unread(Place("/etc/nova/nova.conf", 0, "c1"), "Permission denied")]
    return as_sarif(audit(texts, {}, unread), rules(), "0.1.0")


def objects(value: Any, name: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every object, with the property that holds it."""
    if isinstance(value, list):
        return [found for one in value for found in objects(one, name)]
    if not isinstance(value, dict):
        return []
    return [(name, value), *(found for key, one in value.items() for found in objects(one, key))]


def test_every_object_has_what_the_schema_requires_and_nothing_that_it_does_not_know() -> None:
    told = json.loads(json.dumps(written()))
    assert told["version"] == "2.1.0"
    for name, value in objects(told):
        assert REQUIRED.get(name, set()) <= value.keys(), name
        assert value.keys() <= ALLOWED.get(name, value.keys()), name


def test_results_name_their_rule_and_place() -> None:
    (run,) = written()["runs"]
    driver = run["tool"]["driver"]
    own = [one for one in run["results"] if one["ruleId"] == "HAP001"]
    assert {driver["rules"][one["ruleIndex"]]["id"] for one in own} == {"HAP001"}
    places = [one["locations"][0]["physicalLocation"] for one in own if "suppressions" not in one]
    assert sorted((one["artifactLocation"]["uri"], one["region"]["startLine"]) for one in places) == [
        ("file://c1/etc/haproxy/haproxy.cfg", 2),
        ("with%20blanks/haproxy.cfg", 2),
    ]
    assert {one["level"] for one in own} <= {"error", "warning", "note"}


def test_what_a_file_gives_a_reason_for_is_suppressed() -> None:
    (run,) = written()["runs"]
    suppressed = [one["suppressions"] for one in run["results"] if "suppressions" in one]
    assert [one[0]["justification"] for one in suppressed] == ["it is a name here"] * 2


def test_what_was_not_read_is_told() -> None:
    (invocation,) = written()["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [one["message"]["text"] for one in invocation["toolExecutionNotifications"]] == ["Permission denied"]
