"""Writes the generated pages of docs/reference: `python -m quorate.cli.reference` in the repository.

The cloud file's, from its types; the audit's, from its rules. A test fails while one is not what this would write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quorate.audit.judge import rules
from quorate.audit.kinds import kinds
from quorate.cli import files, render
from quorate.model.schema import schema
from quorate.report.audit import reference_page

FOLDER = Path("docs/reference")
_NAMES = {"networks": "NETWORK", "vips": "VIP", "controllers": "CONTROLLER", "addresses": "NETWORK"}
_FORMATS = {"ipv4": "address", "ipv4network": "subnet"}
_HEAD = """# The cloud file

Every key of `cloud.yaml`. Generated from the types by `python -m quorate.cli.reference`; do not edit.

Words in capitals stand for names that you choose. A network, a VIP, an arbiter, a controller and a controller's
`fencing` may be written as the one value that they cannot do without (*short form*): `api: 10.0.0.10` is
`api: {address: 10.0.0.10}`. What `fencing:` says at the top holds for every controller that has fencing. A system that
is not mentioned below `systems:` has its defaults. Editors complete and check the file with
[cloud.schema.json](cloud.schema.json); `quorate check` also finds what no schema can say.
"""


@dataclass(frozen=True)
class Row:
    """A key of the file."""

    path: str
    kind: str
    default: str
    meaning: str


def main() -> None:
    """Write every file."""
    for name, text in written().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        render.page(f"wrote {FOLDER / name}")


def written() -> dict[str, str]:
    """The text of each generated file, by its name below docs/reference."""
    described = schema(files.specs())
    return {
        "cloud.md": page(described),
        "cloud.schema.json": json.dumps(described, indent=2, ensure_ascii=False) + "\n",
        "audit.md": reference_page(rules(), kinds()),
    }


def page(described: Mapping[str, Any]) -> str:
    """The reference page: a table for the file itself, then one for each system."""
    rows = list(_rows(described, described, ()))
    parts = [_HEAD, _table(row for row in rows if not row.path.startswith("systems."))]
    systems = _described(described, described["properties"]["systems"])
    for name, section in systems.get("properties", {}).items():
        own = [row for row in rows if row.path.startswith(f"systems.{name}.")]
        parts += [f"## systems.{name}\n\n{_about(section)}\n", _table(own)]
    return "\n".join(parts)


def _about(section: Mapping[str, Any]) -> str:
    return " ".join(str(section.get("description", "")).split())


def _table(rows: Iterator[Row] | list[Row]) -> str:
    lines = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [f"| `{row.path}` | {row.kind} | {row.default} | {row.meaning} |" for row in rows]
    return "\n".join(lines) + "\n"


def _rows(root: Mapping[str, Any], section: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Row]:
    """One row for each key of the section, with the rows of what stands below it."""
    required = section.get("required", ())
    for key, entry in section.get("properties", {}).items():
        value = _described(root, entry)
        here = (*path, key)
        meaning = entry.get("description") or value.get("description", "")
        yield Row(".".join(here), _kind(root, entry), _default(entry, key in required), _cell(meaning))
        yield from _rows(root, value, here)
        for below in _below(value):
            name = (*here, _NAMES.get(key, "NAME"))
            named = _described(root, below)
            yield Row(".".join(name), _kind(root, below), "", _cell(str(named.get("description", ""))))
            yield from _rows(root, named, name)


def _below(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What stands below names that the operator chooses."""
    yield from value.get("patternProperties", {}).values()
    if isinstance(value.get("additionalProperties"), dict):
        yield value["additionalProperties"]


def _described(root: Mapping[str, Any], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and take the mapping among alternatives: the long form."""
    if "$ref" in entry:
        return _described(root, root["$defs"][entry["$ref"].rpartition("/")[2]])
    options = [_described(root, option) for option in entry.get("anyOf", ())]
    long = [option for option in options if option.get("type") == "object"]
    return long[0] if long else entry


def _kind(root: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """The type in words; alternatives are joined by `or`, and null, which is the same as leaving a key out, is not."""
    if "$ref" in entry:
        return _kind(root, root["$defs"][entry["$ref"].rpartition("/")[2]])
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(_kind(root, o) for o in entry["anyOf"] if o.get("type") != "null"))
    if "enum" in entry or "const" in entry:
        return ", ".join(f"`{value}`" for value in entry.get("enum", [entry.get("const")]))
    kind = str(entry.get("type", "any"))
    if kind == "array":
        return f"list of {_kind(root, entry.get('items', {}))}"
    if kind == "object":
        return "mapping"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    return _FORMATS.get(str(entry.get("format")), words.get(kind, kind)) + _bounds(entry)


def _bounds(entry: Mapping[str, Any]) -> str:
    """The range of a number."""
    low, high, above = entry.get("minimum"), entry.get("maximum"), entry.get("exclusiveMinimum")
    if low is not None and high is not None:
        return f" {low:g} to {high:g}"
    if low is not None:
        return f", at least {low:g}"
    if above is not None:
        return f", more than {above:g}"
    return f", at most {high:g}" if high is not None else ""


def _default(entry: Mapping[str, Any], required: bool) -> str:
    default = entry.get("default")
    if required:
        return "**required**"
    return "" if default is None or isinstance(default, dict) else f"`{json.dumps(default)}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
