from __future__ import annotations

import pytest
from click.testing import CliRunner

from quorate.cli.lab import lab, lines, packages
from quorate.errors import InvalidInput, Refused
from quorate.lab.spec import RELEASES

_NOBODY = "no-such-lab-anywhere"


@pytest.mark.parametrize("verb", ["status", "heal"])
def test_a_lab_that_is_not_there_is_named(verb: str) -> None:
    done = CliRunner().invoke(lab, [verb, "--name", _NOBODY])
    assert isinstance(done.exception, Refused)
    assert _NOBODY in str(done.exception)


@pytest.mark.parametrize("verb", ["kill", "start", "freeze", "thaw", "cut"])
def test_what_breaks_a_machine_wants_its_name(verb: str) -> None:
    assert CliRunner().invoke(lab, [verb, "--name", _NOBODY]).exit_code == 2
    done = CliRunner().invoke(lab, [verb, "one", "--name", _NOBODY])
    assert isinstance(done.exception, Refused)


def test_a_strange_name_is_refused() -> None:
    done = CliRunner().invoke(lab, ["down", "--name", "../etc"])
    assert isinstance(done.exception, InvalidInput)


def test_machines_are_counted_or_named_not_both() -> None:
    assert CliRunner().invoke(lab, ["up", "--machines", "2", "--host", "a", "--name", _NOBODY]).exit_code == 2


@pytest.mark.parametrize("release", RELEASES)
def test_the_image_has_an_agent_for_fencing_on_every_release(release: str) -> None:
    assert any(package.startswith("fence-agents") for package in packages(release))
    assert len(set(packages(release))) == len(packages(release))


def test_what_an_optional_system_needs_comes_with_it() -> None:
    assert lines(["placement"]) == ('placement: {"workers": 1}',)
    named = [line.partition(":")[0] for line in lines(["cinder"])]
    assert named == ["cinder", "etcd", "glance", "rabbitmq"]
