"""What must hold of keystone's files, programs and steps, whatever the cloud."""

import ast
import json
from collections.abc import Sequence

import pytest

from quorate.core.act import Run
from quorate.core.observed import Answer
from quorate.core.resource import Directory, File, Unit
from quorate.core.secret import names_in
from quorate.core.system import Blocked, Endpoint, Site
from quorate.model.cloud import Cloud
from quorate.systems.keystone import SYSTEM, programs
from quorate.systems.keystone.config import KEYS
from quorate.systems.keystone.probe import KeystoneView

CLOUD = Cloud.model_validate(
    {
        "cloud": "lab",
        "networks": {"management": {"subnet": "10.77.0.0/24"}},
        "vips": {"api": {"address": "10.77.0.10"}},
        "controllers": {f"c{n}": {"addresses": {"management": f"10.77.0.1{n}"}} for n in (1, 2, 3)},
    }
)
SPEC = SYSTEM.spec()
SITE = Site(
    CLOUD,
    (Endpoint("database", "10.77.0.10", 3306), Endpoint("cache", "127.0.0.1", 22122), *SYSTEM.endpoints(SPEC, CLOUD)),
)


def fresh() -> dict[str, KeystoneView]:
    return dict.fromkeys(CLOUD.names, SYSTEM.read({"unit": Answer(code=0, out="inactive\n")}))


def runs() -> Sequence[Run]:
    waves = SYSTEM.form(SPEC, SITE, fresh())
    assert not isinstance(waves, Blocked)
    return [act for wave in waves for step in wave.steps for act in step.acts if isinstance(act, Run)]


def test_no_file_with_a_secret_is_readable_by_others() -> None:
    files = [r for r in SYSTEM.resources(SPEC, SITE, "c1") if isinstance(r, File) and names_in(r.content)]
    assert len(files) == 8
    assert all(file.mode & 0o007 == 0 for file in files)
    assert all(file.mode == 0o600 or file.group == "keystone" for file in files)


def test_every_secret_in_use_is_declared_and_every_declared_one_is_used() -> None:
    used = {name for r in SYSTEM.resources(SPEC, SITE, "c1") if isinstance(r, File) for name in names_in(r.content)}
    used |= {name for act in runs() for value in act.environment.values() for name in names_in(value)}
    assert used == {secret.name for secret in SYSTEM.secrets(SPEC, CLOUD)}


def test_no_secret_is_an_argument() -> None:
    assert runs()
    assert not [word for act in runs() for word in act.argv if names_in(word)]


def test_keys_lie_in_folders_of_their_own_that_only_keystone_enters() -> None:
    resources = SYSTEM.resources(SPEC, SITE, "c1")
    for folder, stem in KEYS.items():
        assert Directory(f"/etc/keystone/{folder}", 0o700, "keystone", "keystone") in resources
        found = [r for r in resources if isinstance(r, File) and r.path.startswith(f"/etc/keystone/{folder}/")]
        keys = sorted(found, key=lambda key: key.path)
        assert [key.path[-1] for key in keys] == ["0", "1"]
        assert [names_in(key.content) for key in keys] == [(f"{stem}_0",), (f"{stem}_1",)]
        assert not any(key.content.endswith("\n") for key in keys)


def test_a_change_of_keys_restarts_nothing() -> None:
    unit = next(r for r in SYSTEM.resources(SPEC, SITE, "c1") if isinstance(r, Unit))
    assert not [path for path in unit.inputs if "-keys/" in path]
    assert "/etc/keystone/keystone.conf" in unit.inputs


def test_controllers_differ_in_their_address_only() -> None:
    texts = [
        "".join(r.content for r in SYSTEM.resources(SPEC, SITE, host) if isinstance(r, File)).replace(
            CLOUD.address(host), "HERE"
        )
        for host in CLOUD.names
    ]
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.parametrize("program", [programs.API])
def test_programs_are_python(program: str) -> None:
    ast.parse(program)


@pytest.mark.parametrize("out", ["", "null", "7", '{"health": "x"}', '{"down": null}', '{"wanted": [1], "schema": 2}'])
def test_reading_never_raises(out: str) -> None:
    for code in (0, 1):
        answer = Answer(code=code, out=out)
        view = SYSTEM.read(dict.fromkeys(("unit", "api", "database", "keys"), answer))
        SYSTEM.judge(SPEC, SITE, dict.fromkeys(CLOUD.names, view))
        SYSTEM.form(SPEC, SITE, dict.fromkeys(CLOUD.names, view))


def test_a_key_never_travels() -> None:
    question = next(q for q in SYSTEM.questions(SPEC, SITE, "c1") if q.name == "keys")
    assert "sha256sum" in " ".join(question.argv)
    assert "cat" not in json.dumps(question.argv).split()


def test_the_client_of_the_cache_that_waits_without_end_is_warned_of() -> None:
    other = SYSTEM.spec(cache_backend="dogpile.cache.pymemcache")
    (extra,) = set(SYSTEM.warnings(other, CLOUD)) - set(SYSTEM.warnings(SPEC, CLOUD))
    assert "no time limit" in extra
