from __future__ import annotations

import base64
from collections import Counter
from random import Random

import pytest

from quorate.core.secret import SecretSpec, generate, lacking, not_given

SPECS = [
    SecretSpec("a.password"),
    SecretSpec("a.fernet", "fernet"),
    SecretSpec("a.hex", "hex"),
    SecretSpec("bmc", "given"),
    SecretSpec("a.password"),
]


def counting(length: int) -> bytes:
    return bytes(at % 256 for at in range(length))


def test_kinds() -> None:
    made = generate(SPECS, {}, counting)
    assert set(made) == {"a.password", "a.fernet", "a.hex"}
    assert len(made["a.password"]) == 32
    assert made["a.password"].isalnum()
    assert base64.urlsafe_b64decode(made["a.fernet"]) == counting(32)
    assert len(bytes.fromhex(made["a.hex"])) == 128


def test_only_what_is_missing_is_made() -> None:
    assert set(generate(SPECS, {"a.password": "x", "a.hex": ""}, counting)) == {"a.fernet", "a.hex"}
    assert generate(SPECS, {"a.password": "x", "a.hex": "y", "a.fernet": "z"}, counting) == {}


def test_what_only_the_operator_knows() -> None:
    assert not_given(SPECS, {}) == not_given(SPECS, {"bmc": ""}) == ("bmc",)
    assert not_given(SPECS, {"bmc": "x"}) == ()


def test_passwords_are_unbiased() -> None:
    source = Random(1)
    drawn = Counter("".join(generate([SecretSpec("x")], {}, source.randbytes)["x"] for _ in range(1000)))
    assert len(drawn) == 62
    favoured = sum(drawn[letter] for letter in "abcdefgh")  # the ones that 256 % 62 would favour by a quarter
    assert favoured / 32000 == pytest.approx(8 / 62, rel=0.06)


def test_no_randomness_is_an_error_not_a_hang() -> None:
    with pytest.raises(ValueError, match="randomness"):
        generate([SecretSpec("x")], {}, lambda n: b"\xff" * n)


def test_a_key_that_had_its_time_is_not_made_again() -> None:
    first = [SecretSpec("x.k_0", "fernet"), SecretSpec("x.k_1", "fernet", until="x.k")]
    assert [spec.name for spec in lacking(first, {})] == ["x.k_0", "x.k_1"]
    assert [spec.name for spec in lacking(first, {"x.k_0": "a", "x.k_2": ""})] == ["x.k_1"]
    assert [spec.name for spec in lacking(first, {"x.k_2": "a", "x.k_2_retired": "t"})] == ["x.k_0"]
    assert generate(first, {"x.k_0": "a", "x.k_7": "b"}, counting) == {}
