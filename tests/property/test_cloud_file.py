"""Whatever stands in a cloud file: a Cloud, or InvalidInput; never anything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from quorate.errors import InvalidInput
from quorate.model import secrets_file
from quorate.model.cloud import Cloud, Spec
from quorate.model.load import load
from quorate.model.rules import warnings

EXAMPLES = [
    path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
]
SPECS = {"store": Spec}
SLOW = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

KEYS = st.sampled_from([*Cloud.model_fields, "management", "api", "subnet", "address", "addresses", "port", "x", "c1"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["10.0.0.0/24", "10.0.0.10", "10.0.0.11", "management", "redfish", "debian-13"]),
)
TREES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(KEYS, below, max_size=6)),
    max_leaves=20,
)
PIECES = st.sampled_from(
    [*"{}[]:,-&*!|>'\"%@`#?<\n\t \\ab01.~", "<<: ", "*a", "&a ", "---\n", "!!map", "\\u", "10.0.0.10", "0x", "1e", "\0"]
)


def read(text: str) -> Cloud | None:
    try:
        cloud = load(text, "cloud.yaml", SPECS)
    except InvalidInput as error:
        problems = error.problems
    else:
        warnings(cloud)
        assert cloud.vip
        assert all(cloud.address(name) for name in cloud.names)
        return cloud
    assert problems
    for problem in problems:
        str(problem).encode("utf-8")
        assert 0 <= problem.line <= text.count("\n") + 2
    return None


@SLOW
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    read(text)


@SLOW
@given(st.lists(PIECES, max_size=60).map("".join))
def test_anything_like_yaml(text: str) -> None:
    read(text)


@SLOW
@given(st.dictionaries(KEYS, TREES, max_size=8))
def test_any_tree(tree: dict[str, Any]) -> None:
    read(json.dumps(tree))


@SLOW
@given(st.sampled_from(EXAMPLES), st.data())
def test_examples_with_pieces_cut_out_and_put_in(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(st.lists(PIECES, max_size=3).map("".join)) + text[end:]
    cloud = read(text)
    if cloud is not None:
        assert read(cloud.model_dump_json()) == cloud


@SLOW
@given(st.sampled_from(EXAMPLES), KEYS, TREES)
def test_examples_with_a_section_replaced(text: str, key: str, tree: Any) -> None:
    read(text + f"\n{key}: {json.dumps(tree)}\n")


NAMES = st.lists(st.sampled_from(["a", "b", "c_1"]), min_size=1, max_size=3).map(".".join)


@SLOW
@given(
    st.dictionaries(NAMES, st.text("ab01e'\"#: ", max_size=6)), st.dictionaries(NAMES, st.text("abc019", max_size=9))
)
def test_secrets_that_are_added_are_there_and_nothing_else_changed(have: dict[str, str], more: dict[str, str]) -> None:
    try:
        text = secrets_file.add("", have, "s")
        new = {name: value for name, value in more.items() if not have.get(name)}
        result = secrets_file.parse(secrets_file.add(text, new, "s"), "s")
    except InvalidInput:
        return  # a name below another name's value
    assert result == {name: value for name, value in {**have, **new}.items() if value}


@SLOW
@given(st.lists(PIECES, max_size=40).map("".join))
@example("&a \\<<: &a ")  # the library warns of it, and quotes it
def test_any_secrets_file(text: str) -> None:
    try:
        secrets_file.add(text, {"a.b": "x"}, "s")
    except InvalidInput:
        return
    assert secrets_file.parse(secrets_file.add(text, {"a.b": "x"}, "s"), "s")["a.b"] == "x"
