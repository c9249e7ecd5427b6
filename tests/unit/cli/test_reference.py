from __future__ import annotations

from pathlib import Path

import pytest

from quorate.cli import files, reference
from quorate.model import cloud

FOLDER = Path(__file__).parents[3] / "docs" / "reference"
SECTIONS = [kind for kind in vars(cloud).values() if isinstance(kind, type) and issubclass(kind, cloud.Section)]


@pytest.mark.parametrize("name", ["audit.md", "cloud.md", "cloud.schema.json"])
def test_the_reference_is_current(name: str) -> None:
    current = (FOLDER / name).read_text(encoding="utf-8") == reference.written()[name]
    assert current, "run: python -m quorate.cli.reference"


@pytest.mark.parametrize("section", [*SECTIONS, *files.specs().values()], ids=lambda kind: str(kind.__qualname__))
def test_every_key_says_what_it_means(section: type[cloud.Section]) -> None:
    assert [name for name, field in section.model_fields.items() if not field.description] == []
