"""A pytest plugin for pylibmc's tests: clients that are made to speak the binary protocol speak text."""

from __future__ import annotations

from typing import Any

from pylibmc import test  # type: ignore[import-untyped]

_make = test.make_test_client


def _text(*arguments: Any, **options: Any) -> Any:
    return _make(*arguments, **{**options, "binary": False})


test.make_test_client = _text
