"""Each rule's cases: the red ones are found at exactly these places, in the green ones the rule finds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import quorate.audit
from quorate.audit.estate import Text
from quorate.audit.judge import audit, rules
from quorate.audit.rule import Rule

CASES = Path(quorate.audit.__file__).parent / "cases"


def cases(colour: str) -> Iterator[Any]:
    for rule in rules():
        path = CASES / f"{rule.name}.yaml"
        content = YAML(typ="safe").load(path) if path.exists() else {}
        rows = content.get(colour, [])
        for number, case in enumerate(rows):
            yield pytest.param(rule, case, id=f"{rule.name}-{colour}{number}")
        if not rows:
            yield pytest.param(rule, {}, id=f"{rule.name}-{colour}")


def found(rule: Rule, case: dict[str, Any]) -> list[str]:
    assert case, f"{rule.name} has no such case: cases/{rule.name}.yaml wants at least one red and one green"
    modes = {path: int(mode, 8) for path, mode in case.get("modes", {}).items()}
    texts = [
        Text(path, body, path.partition("/")[0] if "/" in path else "", modes.get(path))
        for path, body in case["files"].items()
    ]
    came = audit(texts, case.get("versions", {}))
    assert not came.unread
    return sorted(str(finding.hit.place) for finding in came.findings if finding.rule == rule)


@pytest.mark.parametrize(("rule", "case"), tuple(cases("red")))
def test_what_is_wrong_is_found_where_it_is(rule: Rule, case: dict[str, Any]) -> None:
    assert found(rule, case) == sorted(case["found"])


@pytest.mark.parametrize(("rule", "case"), tuple(cases("green")))
def test_what_is_right_is_left_alone(rule: Rule, case: dict[str, Any]) -> None:
    assert found(rule, case) == []


def test_every_case_belongs_to_a_rule() -> None:
    assert {path.stem for path in CASES.glob("*.yaml")} == {rule.name for rule in rules()}


def test_names_are_given_once() -> None:
    names = [rule.name for rule in rules()]
    assert len(set(names)) == len(names)
