from __future__ import annotations

import pytest

from quorate.cli.session import enabled_ones
from quorate.errors import InvalidInput
from worlds.clouds import site
from worlds.systems import Word, made

ALPHA, BETA, OFF = made("alpha"), made("beta"), made("off")


def test_a_system_that_the_cloud_does_not_have_is_named_with_those_that_it_has() -> None:
    systems = (BETA, ALPHA, OFF)
    where = site(*systems, off=Word(enabled=False))
    enabled_ones(where, systems, ("alpha", "beta"))
    with pytest.raises(InvalidInput) as refused:
        enabled_ones(where, systems, ("alpha", "gamma", "off"))
    assert refused.value.message == "the cloud has no such system: gamma, off"
    assert refused.value.hint == "It has: alpha, beta."
