"""What every example puts on its controllers, as a person reviews it: `trees/EXAMPLE.txt`.

The first controller's files in full, then how each other controller's differ. After a wanted change, write them again
with `QUORATE_BLESS=1 pytest tests/golden` and read the difference.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from quorate.cli import files
from quorate.core.resource import Directory, File, Package, Resource, Sysctl, Unit
from quorate.core.system import enabled, site_of

ROOT = Path(__file__).resolve().parents[2]
TREES = Path(__file__).parent / "trees"
PROGRAM_LINES = 400
"""A script that is longer is no configuration that a person reviews."""
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def lines_of(resource: Resource) -> Iterator[str]:
    match resource:
        case File(path=path, content=content, mode=mode, owner=owner, group=group):
            yield f"file {path} {mode:04o} {owner}:{group}"
            if content.startswith("#!") and content.count("\n") > PROGRAM_LINES:
                yield "    (a program, which is made of sources that have tests of their own)"
                return
            yield from (f"    {line}".rstrip() for line in content.splitlines())
        case Directory(path=path, mode=mode, owner=owner, group=group):
            yield f"directory {path} {mode:04o} {owner}:{group}"
        case Package(name=name):
            yield f"package {name}"
        case Sysctl(name=name, value=value):
            yield f"sysctl {name} = {value}"
        case Unit(name=name, state=state, enabled=on, on_change=on_change, inputs=inputs, reloads=reloads):
            yield f"unit {name} {state}, {'enabled' if on else 'disabled'}, {on_change} on change of:"
            yield from (f"    {path}{' (reload)' if path in reloads else ''}" for path in inputs)


def tree(example: Path) -> str:
    cloud, systems = files.load_cloud(example)
    site = site_of(cloud, systems)
    hosts = {
        host: [
            line
            for system in enabled(cloud, systems)
            for resource in system.resources(cloud.systems[system.name], site, host)
            for line in lines_of(resource)
        ]
        for host in cloud.names
    }
    first, *others = cloud.names
    text = [f"== {first}", *hosts[first]]
    for other in others:
        difference = difflib.unified_diff(hosts[first], hosts[other], first, other, lineterm="", n=0)
        text += ["", f"== {other}", *difference]
    return "\n".join(text) + "\n"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_puts_on_its_controllers_what_was_reviewed(example: Path) -> None:
    golden = TREES / f"{example.stem}.txt"
    if os.environ.get("QUORATE_BLESS"):
        golden.write_text(tree(example), encoding="utf-8")
    assert tree(example) == golden.read_text(encoding="utf-8")


def test_every_tree_has_its_example() -> None:
    assert {path.stem for path in TREES.glob("*.txt")} == {path.stem for path in EXAMPLES}
