from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from quorate.errors import QuorateError
from quorate.lab import image, recipe
from quorate.lab.spec import Places
from quorate.lab.waiting import lock


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(state=tmp_path / "state", cache=tmp_path / "cache", run=tmp_path / "run")
    found.cache.mkdir()
    return found


def cached(places: Places, name: str, *, version: int = recipe.VERSION, age: float = 0) -> Path:
    path = places.cache / name
    (path / "root").mkdir(parents=True)
    (path / "image.json").write_text(json.dumps({"recipe": version}))
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_the_hash_knows_all_that_determines_an_image() -> None:
    hashes = {
        image.digest("trixie", ()),
        image.digest("bookworm", ()),
        image.digest("trixie", ("haproxy",)),
        image.digest("trixie", (), version=recipe.VERSION + 1),
    }
    assert len(hashes) == 4


def test_the_order_and_number_of_packages_does_not_matter() -> None:
    assert image.digest("trixie", ("a", "b", "a")) == image.digest("trixie", ("b", "a"))
    assert image.digest("trixie", recipe.BASE) == image.digest("trixie", ())


def test_a_complete_image_is_taken_from_the_cache(places: Places) -> None:
    path = cached(places, image.digest("trixie", ("x",)), age=1000)
    found = image.build(places, "trixie", ("x",), lambda _: pytest.fail("it built"))
    assert found.path == path
    assert time.time() - path.stat().st_mtime < 100


def test_half_an_image_is_none(places: Places) -> None:
    (places.cache / "abc" / "root").mkdir(parents=True)
    assert image.find(places, "abc") is None


def test_a_failed_build_leaves_nothing_and_is_explained(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise QuorateError("no mirror")

    monkeypatch.setattr(image, "run", lambda *_: "")
    monkeypatch.setattr(recipe, "make", fail)
    with pytest.raises(QuorateError, match="no mirror"):
        image.build(places, "trixie", (), lambda _: None)
    assert not list(places.cache.glob("*.building"))


def test_old_and_unused_images_are_pruned_and_used_ones_are_not(places: Places) -> None:
    cached(places, "current")
    cached(places, "outdated", version=recipe.VERSION - 1)
    cached(places, "unused", age=40 * 86400)
    cached(places, "needed", version=recipe.VERSION - 1)
    lab = places.state / "lab"
    lab.mkdir(parents=True)
    (lab / "lab.json").write_text('{"image": "needed"}')
    assert sorted(image.prune(places)) == ["outdated", "unused"]
    assert sorted(path.name for path in places.cache.iterdir()) == ["current", "needed"]


def test_an_image_that_is_being_built_is_not_swept(places: Places) -> None:
    for name in ("busy", "stale"):
        (places.cache / f"{name}.building").mkdir()
    with lock(places.run / "image-busy.lock") as got:
        assert got
        image.sweep(places)
    assert [path.name for path in places.cache.iterdir()] == ["busy.building"]


def test_a_lock_has_one_holder_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "x.lock"
    with lock(path, remove=True) as first, lock(path) as second:
        assert (first, second) == (True, False)
    assert not path.exists()
    with lock(path) as again:
        assert again


def test_apts_progress_is_counted_from_what_it_prints() -> None:
    apt = recipe._AptCount()
    assert apt.percent == ""
    for line in ("0 upgraded, 2 newly installed, 0 to remove\n", "Unpacking a (1) ...\n", "Unpacking b (1) ...\n"):
        apt.read(line)
    assert apt.percent == "50 %, "
    apt.read("Setting up a (1) ...\n")
    assert apt.percent == "75 %, "


def test_a_step_that_fails_quotes_its_last_lines(tmp_path: Path) -> None:
    said: list[str] = []
    build = recipe.Build(tmp_path, "trixie", (), tmp_path / "log", said.append)
    with pytest.raises(QuorateError, match=r"'a step' \(3\): last words"):
        recipe._step(build, "a step", ["sh", "-c", "cat; echo last words; exit 3"], 10)
    assert said == ["image trixie: a step"]


def test_the_caller_s_environment_stays_out_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("http_proxy", "http://proxy.example")
    environment = recipe._environment()
    assert "SECRET_TOKEN" not in environment
    assert environment["http_proxy"] == "http://proxy.example"
