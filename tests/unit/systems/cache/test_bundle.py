"""The balancer as one file: what runs is what stands in the sources, with nothing but a bare Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import quorate.balancer
from quorate.systems.cache.bundle import BALANCER, bundle, bundled, digest, sources, version

PYTHONS = sorted({sys.executable, *filter(None, [shutil.which("python3", path="/usr/bin")])})
"""This one, and the distribution's, which is what controllers have."""
PARTS = {
    "quorate": '"""All."""\n',
    BALANCER: '"""The package."""\n',
    f"{BALANCER}.__main__": (
        '"""Runs."""\n\nfrom __future__ import annotations\n\nimport sys\n\n'
        "import quorate.balancer\nfrom quorate.balancer import words\n\n"
        'if __name__ == "__main__":\n    print(words.said(sys.argv[1]), quorate.balancer.BUNDLE, sys.flags.isolated)\n'
    ),
    f"{BALANCER}.words": (
        '"""Says \\\\ and "this"."""\n\nfrom __future__ import annotations\n\n\n'
        'def said(what: str) -> str:\n    if what == "fail":\n        raise ValueError(what)\n'
        '    return f"said {what}" + "\\t\\\\"\n'
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Keep the file away from the repository, so that nothing of it can be imported by chance."""
    return tmp_path


def run(folder: Path, text: str, *words: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    file = folder / "quorate-balancer"
    file.write_text(text, encoding="utf-8")
    argv = [python, "-I", "-S", str(file), *words]
    return subprocess.run(argv, capture_output=True, text=True, cwd=folder, timeout=60, check=False)


@pytest.mark.parametrize("python", PYTHONS)
def test_modules_import_each_other(folder: Path, python: str) -> None:
    done = run(folder, bundled(PARTS), "this", python=python)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"said this\t\\ {digest(PARTS)} 1\n"


def test_a_traceback_names_the_module_and_the_line(folder: Path) -> None:
    done = run(folder, bundled(PARTS), "fail")
    assert done.returncode == 1
    assert f'quorate-balancer/{BALANCER}.words", line 8, in said' in done.stderr
    assert "ValueError: fail" in done.stderr


def test_every_module_stands_in_it_as_it_is() -> None:
    text, found = bundle(), sources()
    names = {path.stem for path in Path(str(quorate.balancer.__path__[0])).glob("*.py")} - {"__init__"}
    assert set(found) == {"quorate", BALANCER, *(f"{BALANCER}.{name}" for name in names)}
    assert all(source in text for source in found.values())
    assert text.startswith("#!/usr/bin/python3 -IS\n")
    assert f'VERSION = "{version()}"\n' in text


def test_the_same_sources_give_the_same_text_and_others_another_version() -> None:
    assert bundled(sources()) == bundle()
    assert digest(PARTS) != digest({**PARTS, BALANCER: '"""The package"""\n'})
    assert digest({"a": "b\n", "c": "d\n"}) != digest({"a": "b\nc", "d": "\n"})


@pytest.mark.parametrize("source", ["x = '''y'''\n", "x = 1"])
def test_what_cannot_stand_in_it_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"quorate\.balancer\.odd"):
        bundled({**PARTS, f"{BALANCER}.odd": source})


@pytest.mark.parametrize("python", PYTHONS)
def test_the_balancer_runs_from_it(folder: Path, python: str) -> None:
    config = folder / "balancer.toml"
    config.write_text('name = "c1"\n[[servers]]\nname = "c1"\naddress = "127.0.0.1:11211"\n', encoding="utf-8")
    done = run(folder, bundle(), "--config", str(config), "--check", python=python)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    config.write_text('name = "c1"\ncopies = 0\n', encoding="utf-8")
    done = run(folder, bundle(), "--config", str(config), "--check", python=python)
    assert done.returncode == 2
    assert "balancer.toml:2: copies: " in done.stderr
