from __future__ import annotations

import pytest

from quorate.errors import InvalidInput
from quorate.model.secrets_file import add, change, line_of, parse, stands

TEXT = """\
# mine
galera:
  sst: 'abc'  # by hand
other.flat: x
fencing: {controller1: '', controller2: "y"}
"""


def test_names_are_dotted_and_empty_is_absent() -> None:
    assert parse(TEXT, "s") == {"galera.sst": "abc", "other.flat": "x", "fencing.controller2": "y"}
    assert parse("", "s") == parse("# nothing\n", "s") == {}
    assert stands(TEXT, "fencing.controller1", "s")
    assert not stands(TEXT, "fencing.controller3", "s")
    assert (line_of(TEXT, "fencing.controller1", "s"), line_of(TEXT, "galera.health", "s")) == (5, 2)


def test_adding_keeps_everything_else() -> None:
    new = add(TEXT, {"galera.health": "123", "fencing.controller1": "z", "a.b.c": "", "other.more": "true"}, "s")
    assert parse(new, "s") == {
        **parse(TEXT, "s"),
        "galera.health": "123",
        "fencing.controller1": "z",
        "other.more": "true",
    }
    assert "# mine" in new
    assert "# by hand" in new
    assert stands(new, "a.b.c", "s")
    assert add(new, {}, "s") == new


def test_adding_to_nothing() -> None:
    assert parse(add("", {"a.b": "x"}, "s"), "s") == {"a.b": "x"}
    assert add("# only this\n", {"a.b": "x"}, "s").startswith("# only this\n")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: [S3CRET", 1, "is not valid YAML"),
        ("a: 1\nb: *S3CRET", 2, "is not valid YAML"),
        ("a: !S3CRET x", 1, "is not understood; put secrets in quotes"),
        ("- S3CRET", 1, "is not a mapping of names and secrets"),
        ("a:\n  b: 0123\n", 2, "is not text; put it in quotes"),
        ("a:\n  b: [S3CRET]\n", 2, "is not text; put it in quotes"),
        ("a: S3CRET\na: S3CRET2\n", 2, "stands twice, the first time in line 1"),
        ("a: {b: S3CRET}\na.b: S3CRET2\n", 2, "a.b is said twice, in different ways"),
    ],
)
def test_problems_never_quote_values(text: str, line: int, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text, "s")
    (problem,) = caught.value.problems
    assert (problem.line, problem.message) == (line, message)
    assert "S3CRET" not in f"{problem} {caught.value} {caught.value.hint}"


@pytest.mark.parametrize("text", ["galera: S3CRET\n", "x: &x {a: b}\ngalera: *x\n"])
def test_refuses_where_there_is_no_room(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        add(text, {"galera.sst": "x"}, "s")
    assert "S3CRET" not in f"{caught.value} {caught.value.problems}"


def test_changing_keeps_comments_and_order_and_takes_out_whole_lines() -> None:
    text = (
        "keystone:\n  fernet_0: s  # staged\n  fernet_2: p\n  fernet_1: o  # old\n"
        "  fernet_1_retired: 'then'\n\n# the database\ngalera:\n  sst: x\n"
    )
    after = {
        "keystone.fernet_3": "s",
        "keystone.fernet_0": "n",
        "keystone.fernet_2_retired": "2026-11-30T12:00:00+00:00",
    }
    assert change(text, after, ["keystone.fernet_1", "keystone.fernet_1_retired", "not.there"], "s") == (
        "keystone:\n  fernet_0: n  # staged\n  fernet_3: s\n  fernet_2_retired: '2026-11-30T12:00:00+00:00'\n"
        "  fernet_2: p\n\n# the database\ngalera:\n  sst: x\n"
    )


@pytest.mark.parametrize("text", ["k: {a_0: S3CRET, a_1: y}\n", "k:\n  a_0: S3CRET\n  a_1:\n    S3CRET\n"])
def test_what_shares_its_lines_is_not_taken_out(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        change(text, {}, ["k.a_1"], "s")
    assert "S3CRET" not in f"{caught.value} {caught.value.problems}"
