"""Secrets: values that never print. Text holds references to them, resolved at the last moment before sending."""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

_REFERENCE = re.compile(r"\u27e6secret:([a-z0-9_.-]+)\u27e7")

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 32


@dataclass(frozen=True)
class SecretSpec:
    """A secret that a system needs: its dotted name in `secrets.yaml` and how it is made.

    `password`: 32 letters and digits; `fernet`: a url-safe base64 key of 32 bytes; `hex`: 256 hexadecimal digits;
    `given`: only the operator knows it (a BMC's password).
    """

    name: str
    kind: Literal["password", "fernet", "hex", "given"] = "password"


def reference(name: str) -> str:
    """Text that stands for the secret of this name in file contents, commands and plans."""
    return f"\u27e6secret:{name}\u27e7"


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
