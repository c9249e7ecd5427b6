from __future__ import annotations

import pytest

from quorate.core.secret import Secrets, names_in, reference

A, B = reference("a.one"), reference("b")


@pytest.mark.parametrize(
    ("values", "text", "masked"),
    [
        ({"a.one": "hunter2"}, "pw=hunter2;hunter2", f"pw={A};{A}"),
        ({"a.one": "hunter2", "b": "hunter22"}, "hunter22 hunter2", f"{B} {A}"),
        ({"a.one": "", "b": "x1"}, "empty values hide nothing: x1", f"empty values hide nothing: {B}"),
        ({"a.one": "secret", "b": "one"}, f"{A} secret one", f"{A} {A} {B}"),
        ({"a.one": "a.b*(c"}, "aXb*(c a.b*(c", f"aXb*(c {A}"),
        ({}, f"{A} stays", f"{A} stays"),
    ],
)
def test_mask(values: dict[str, str], text: str, masked: str) -> None:
    assert Secrets(values).mask(text) == masked


def test_resolving_is_the_reverse_of_masking() -> None:
    secrets = Secrets({"a.one": "hunter2", "b": "x(1)"})
    assert secrets.resolve(f"{A}:{B}") == "hunter2:x(1)"
    assert secrets.mask(secrets.resolve(f"{A}:{B}")) == f"{A}:{B}"
    assert names_in(f"{B} {A} {B}") == ("b", "a.one", "b")


def test_a_value_that_looks_like_a_reference_is_not_resolved_again() -> None:
    assert Secrets({"a.one": B, "b": "deep"}).resolve(A) == B


def test_a_missing_secret_is_named() -> None:
    with pytest.raises(KeyError, match=r"a\.one"):
        Secrets({}).resolve(A)


def test_printing_shows_how_many_there_are() -> None:
    secrets = Secrets({"a.one": "hunter2"})
    assert f"{secrets} {secrets!r} {[secrets]}" == "<1 secrets> <1 secrets> [<1 secrets>]"
    assert "a.one" in secrets
    assert "b" not in secrets


@pytest.mark.parametrize("name", ["", "Galera.sst", "a b", "a@@b"])
def test_a_name_that_no_reference_can_hold_is_a_mistake(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a secret"):
        reference(name)
