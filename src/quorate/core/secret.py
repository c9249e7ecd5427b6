"""Secrets: values that never print. Text holds references to them, resolved at the last moment before sending."""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from quorate.core.keys import numbers

_REFERENCE = re.compile(r"@@secret:([a-z0-9_.-]+)@@")

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 32


@dataclass(frozen=True)
class SecretSpec:
    """A secret that a system needs: its dotted name in `secrets.yaml` and how it is made.

    `password`: 32 letters and digits; `fernet`: a url-safe base64 key of 32 bytes; `hex`: 256 hexadecimal digits;
    `given`: only the operator knows it (a BMC's password).
    `until`: once a key of this stem and a higher number is there, this one has had its time (core/keys.py).
    """

    name: str
    kind: Literal["password", "fernet", "hex", "given"] = "password"
    until: str = ""


def reference(name: str) -> str:
    """Text that stands for the secret of this name in file contents, commands and plans."""
    text = f"@@secret:{name}@@"
    if not _REFERENCE.fullmatch(text):  # it would be written to the controllers as it stands
        raise ValueError(f"{name!r} cannot name a secret: small letters, digits, '_', '.' and '-'")
    return text


def names_in(text: str) -> tuple[str, ...]:
    """Names of the secrets that the text refers to, in order of appearance."""
    return tuple(_REFERENCE.findall(text))


class Secrets:
    """The values, by dotted name. Printing it shows how many there are and nothing else."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __repr__(self) -> str:
        return f"<{len(self._values)} secrets>"

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def names(self) -> frozenset[str]:
        """Which there are."""
        return frozenset(self._values)

    def resolve(self, text: str) -> str:
        """Put the values in place of the references. KeyError names the first secret that is missing."""
        return _REFERENCE.sub(lambda found: self._values[found[1]], text)

    def mask(self, text: str) -> str:
        """Put references in place of every value that occurs in the text: for anything that a person may see."""
        names = {value: name for name, value in self._values.items() if value}
        longest_first = "|".join(re.escape(value) for value in sorted(names, key=len, reverse=True))
        # One pass: the name inside a reference is never taken for a value.
        values = re.compile(f"{_REFERENCE.pattern}|({longest_first})") if names else _REFERENCE
        return values.sub(lambda found: found[0] if found[1] else reference(names[found[0]]), text)


def lacking(specs: Sequence[SecretSpec], have: Mapping[str, str]) -> tuple[SecretSpec, ...]:
    """Those that are needed and not there."""
    return tuple(spec for spec in specs if not have.get(spec.name) and not _outlived(spec, have))


def _outlived(spec: SecretSpec, have: Mapping[str, str]) -> bool:
    if not spec.until:
        return False
    own = numbers(spec.until, [spec.name])
    return max(numbers(spec.until, (name for name, value in have.items() if value)), default=0) > max(own)


def generate(specs: Sequence[SecretSpec], have: Mapping[str, str], random: Callable[[int], bytes]) -> Mapping[str, str]:
    """Make the secrets that are missing, and only those; `given` ones cannot be made, see `not_given`.

    `random(n)` returns n bytes that nobody can guess.
    """
    missing = {spec.name: spec for spec in lacking(specs, have)}
    return {name: made(spec.kind, random) for name, spec in missing.items() if spec.kind != "given"}


def not_given(specs: Sequence[SecretSpec], have: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the missing secrets that only the operator knows."""
    return tuple(dict.fromkeys(s.name for s in specs if s.kind == "given" and not have.get(s.name)))


def made(kind: str, random: Callable[[int], bytes]) -> str:
    """Make one of a kind that can be made."""
    if kind == "fernet":
        return base64.urlsafe_b64encode(random(32)).decode("ascii")
    if kind == "hex":
        return random(128).hex()
    return _password(random)


def _password(random: Callable[[int], bytes]) -> str:
    """Draw letters and digits. A byte beyond the last whole multiple of their number is thrown away: no bias."""
    fair = 256 - 256 % len(_ALPHABET)
    chosen = ""
    for _ in range(64):
        chosen += "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in random(_LENGTH) if byte < fair)
        if len(chosen) >= _LENGTH:
            return chosen[:_LENGTH]
    raise ValueError("the source of randomness is none")
