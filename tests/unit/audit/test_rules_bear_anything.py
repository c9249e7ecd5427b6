"""Rules look at files of strangers: whatever is in one, and whatever it lacks, none of them breaks down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

import quorate.audit
from quorate.audit.estate import Text
from quorate.audit.judge import audit

CASES = Path(quorate.audit.__file__).parent / "cases"
ODD = ("", "²", "-1", "x", "0", "{", "}", "\n", "9" * 30, ":", "=", "::1", "@a", "$a", "1.2.3", "1/2", '"', "\\")


def files() -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for path in sorted(CASES.glob("*.yaml")):
        content: dict[str, list[dict[str, Any]]] = YAML(typ="safe").load(path)
        found += [case["files"] for cases in content.values() for case in cases]
    return found


FILES = files()


@st.composite
def spoilt(draw: st.DrawFn) -> list[Text]:
    """The files of a case, some of whose words are others, or gone."""
    texts = []
    for path, body in draw(st.sampled_from(FILES)).items():
        words = body.split(" ")
        for place in draw(st.lists(st.integers(0, len(words) - 1), max_size=4)):
            words[place] = draw(st.sampled_from(ODD))
        texts.append(Text(path, " ".join(words), path.partition("/")[0] if "/" in path else ""))
    return texts


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spoilt())
def test_no_rule_breaks_down(texts: list[Text]) -> None:
    audit(texts, {})
