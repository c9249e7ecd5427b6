"""The picture of what rests on what: well-formed, the same each time, legible, and true about the weak places."""

from __future__ import annotations

from itertools import combinations
from random import Random
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from systems_clouds import build, builtin, site

from quorate import systems
from quorate.core.availability import expected
from quorate.core.foresight import foresee
from quorate.report.dependencies import ALONE, RED, picture
from quorate.report.layers import Box, placed

SYSTEMS = systems.discover()
SVG = "{http://www.w3.org/2000/svg}"


def drawn(kind: str, title: str = "west", **more: Any) -> str:
    cloud = build(builtin(kind, {system.name: {} for system in SYSTEMS}) | more, SYSTEMS)
    made = site(cloud, SYSTEMS, {})
    foresight = foresee(made, SYSTEMS)
    return picture(title, foresight, expected(made, SYSTEMS, foresight, Random(1))[0])


def texts(svg: str) -> list[tuple[str, str]]:
    """Each text with its colour."""
    return [(one.text or "", one.get("fill", "")) for one in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - ours


def test_three_controllers_with_everything_have_all_in_it_and_nothing_in_red() -> None:
    svg = drawn("three", '<west> & "more"')
    assert svg == drawn("three", '<west> & "more"')
    found = texts(svg)
    words = [text for text, _ in found]
    assert '<west> & "more"' in words
    assert words.count("mariadb") == words.count("nova-conductor") == 3
    assert any(text.startswith("boot a server: ") for text in words)
    assert "survives any 1 of 3" in words
    assert any(text.startswith("BMC: would spare ") for text in words)
    assert RED not in {colour for _, colour in found}


def test_what_falls_alone_is_red_and_says_so_and_so_is_what_falls_with_it() -> None:
    found = texts(drawn("three", failure_domains={"rack-a": ["controller1", "controller2"], "rack-b": ["controller3"]}))
    assert found.count((ALONE, RED)) == 1
    assert ("falls with rack-a", RED) in found
    assert any(text.startswith("write a row: ") and colour == RED for text, colour in found)


@pytest.mark.parametrize("kind", ["one", "two", "five"])
def test_other_clouds_can_be_drawn(kind: str) -> None:
    words = [text for text, _ in texts(drawn(kind))]
    assert ("arbiter" in words) == (kind == "two")
    assert f"disk: {ALONE}" in words or kind != "one"


BOXES = st.lists(st.lists(st.text("abc", min_size=1, max_size=30), min_size=1, max_size=4), max_size=12)


@given(st.lists(BOXES, max_size=4))
def test_no_box_covers_another_and_none_leaves_the_page(rows: list[list[list[str]]]) -> None:
    named = [
        [Box(f"{number}.{place}", tuple(lines)) for place, lines in enumerate(row)] for number, row in enumerate(rows)
    ]
    found = placed(named, {box.name: ["0.0"] for row in named for box in row}, 600.0, 50.0)
    assert len(found) == sum(map(len, named))
    for box in found:
        assert box.x - box.width / 2 >= 0
        assert box.x + box.width / 2 <= 600
        assert box.y >= 50
    for one, other in combinations(found, 2):
        beside = abs(one.x - other.x) >= (one.width + other.width) / 2
        assert beside or one.y + one.height < other.y or other.y + other.height < one.y
