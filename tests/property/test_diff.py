"""No secret is ever in a plan: neither one that we know nor an older one where the wanted file has a secret."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.plan import Plan
from quorate.core.planner import make_plan
from quorate.core.resource import File
from quorate.core.secret import Secrets, reference
from worlds.clouds import file_seen, host_seen, site
from worlds.systems import made

NAMES = ("db.password", "db.peer", "cluster.key")
PLAIN = st.text("ab =:#[]\"'\t-_.", max_size=8)
VALUE = st.text("ABCXYZ0123456789$(*\\+?^|", min_size=6, max_size=24)
"""Nothing of a value is in the alphabet of plain text: what is found in a plan came from a secret."""


@dataclass(frozen=True)
class Line:
    """Plain texts with the names of secrets between them."""

    texts: tuple[str, ...]
    names: tuple[str, ...]

    def filled(self, values: tuple[str, ...]) -> str:
        between = (*values, "")
        return "".join(text + value for text, value in zip(self.texts, between, strict=True))


@st.composite
def a_line(draw: st.DrawFn) -> Line:
    names = tuple(draw(st.lists(st.sampled_from(NAMES), max_size=3)))
    return Line(tuple(draw(PLAIN) for _ in range(len(names) + 1)), names)


@st.composite
def lying(draw: st.DrawFn, line: Line, now: dict[str, str], older: list[str]) -> str:
    """What lies on the controller where the line should be: some secrets right, some older, blanks as they may be."""
    values = tuple(draw(st.sampled_from([now[name], *older])) for name in line.names)
    blanks = draw(st.sampled_from(["", " ", "  "]))
    texts = tuple(text.replace(" ", blanks) for text in line.texts)
    behind = draw(PLAIN) if draw(st.booleans()) else texts[-1]
    return Line((*texts[:-1], behind), line.names).filled(values)


def planned(wanted: str, lies: str, secrets: Secrets) -> Plan:
    file = File("/etc/x.conf", wanted)
    system = made("x", resources=lambda *_: (file,))
    seen = host_seen({file.id: file_seen(file, text=lies)}, x="well")
    return make_plan(site(system, count=1), (system,), secrets, {"c1": seen}, made="now")


@settings(deadline=None)
@given(st.data())
def test_no_secret_is_in_a_plan(data: st.DataObject) -> None:
    now = {name: data.draw(VALUE, label=name) for name in NAMES}
    older = data.draw(st.lists(VALUE, min_size=1, max_size=2), label="older")
    wanted = data.draw(st.lists(a_line(), min_size=1, max_size=5), label="wanted")
    on_disk = [data.draw(lying(line, now, older)) for line in wanted]
    stray = st.sampled_from([*now.values()]).map("left {} behind".format)
    on_disk += data.draw(st.lists(PLAIN | stray, max_size=2), label="more")
    content = "".join(line.filled(tuple(map(reference, line.names))) + "\n" for line in wanted)
    order = data.draw(st.permutations(on_disk))
    found = planned(content, "\n".join(order) + "\n", Secrets(now))
    shown = found.model_dump(mode="json")
    for value in (*now.values(), *older):
        assert value not in str(shown)
        assert value not in "\n".join(line for step in found.steps for line in step.diff)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), VALUE, min_size=1), st.lists(PLAIN | st.sampled_from(NAMES)))
def test_masking_loses_nothing(values: dict[str, str], parts: list[str]) -> None:
    secrets = Secrets(values)
    text = "".join(values.get(part, part) for part in parts)
    assert secrets.resolve(secrets.mask(text)) == text
    assert not any(value in secrets.mask(text) for value in values.values())
