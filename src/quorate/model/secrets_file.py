"""`secrets.yaml`: nested mappings, named by dotted paths (`galera: {sst: …}` is `galera.sst`). Text in, text out.

No message here ever quotes a value: problems name the key and the line. An empty value counts as not there, so that a
file can hold places to fill in.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from quorate.errors import InvalidInput, Problem
from quorate.model.source import Document, read
from quorate.model.words import Path

HEADER = (
    "# The secrets of the cloud described beside this file. Keep it to yourself (0600) and out of version control.\n"
)
_TO_FILL = "only you know it: fill it in"


def parse(text: str, file: str) -> dict[str, str]:
    """Read the secrets by dotted name. InvalidInput where the file is no mapping of texts."""
    document = _read(text, file)
    if document.data is None:
        return {}
    if not isinstance(document.data, dict):
        raise _invalid(file, Problem(file, 1, "", "is not a mapping of names and secrets"))
    problems = list(document.problems)
    values: dict[str, str] = {}
    for path, value in _leaves(document.data, ()):
        name = ".".join(str(part) for part in path)
        if not isinstance(value, str):
            problems.append(document.problem(path, "is not text; put it in quotes"))
        elif values.setdefault(name, value) != value:
            problems.append(document.problem(path, f"{name} is said twice, in different ways"))
    if problems:
        raise _invalid(file, *problems)
    return values


def add(text: str, values: Mapping[str, str], file: str) -> str:
    """Put these values into the file's text and keep everything else in it. Empty values become places to fill in.

    Only names that are not there (or empty) may be added. InvalidInput where the text leaves no room for a name.
    """
    return change(text, values, (), file) if values else text


def change(text: str, values: Mapping[str, str], gone: Collection[str], file: str) -> str:
    """Put these values into the file's text, take the `gone` ones out, and keep everything else in it, comments too.

    InvalidInput where that cannot be done without a change to others.
    """
    have = parse(text, file)
    text = _without(text, [name for name in gone if name in have], file)
    parse(text, file)
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.width = 4096
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote the text
        tree = yaml.load(text) if text.strip() else None
    lead = "" if tree is not None else text or HEADER
    tree = CommentedMap() if tree is None else tree
    for name, value in values.items():
        _put(tree, name, value, file)
    out = io.StringIO()
    yaml.dump(tree, out)
    added = lead + out.getvalue()
    kept = {name: value for name, value in have.items() if name not in gone}
    if parse(added, file) != {**kept, **{name: value for name, value in values.items() if value}}:
        raise InvalidInput(f"{file}: secrets cannot be changed without changing others", hint="Write one in each line.")
    return added


def _without(text: str, names: Sequence[str], file: str) -> str:
    """Take out the lines of these secrets: YAML's own tree would lose a comment that stands below one of them."""
    document = _read(text, file)
    places = [path for path in document.lines if ".".join(map(str, path)) in names]
    out = {document.lines[path] - 1 for path in places}
    return "".join(line for at, line in enumerate(text.splitlines(keepends=True)) if at not in out)


def line_of(text: str, name: str, file: str) -> int:
    """The line in which the secret stands or should stand, for a problem with it."""
    return _read(text, file).line(tuple(name.split(".")))


def stands(text: str, name: str, file: str) -> bool:
    """Whether the file has a place for the secret, be it empty."""
    data = _read(text, file).data
    return isinstance(data, dict) and any(".".join(map(str, path)) == name for path, _ in _leaves(data, (), empty=True))


def _put(tree: CommentedMap, name: str, value: str, file: str) -> None:
    """Find the mapping that the name belongs in, as deep as it exists, and set the value there."""
    first, _, rest = name.partition(".")
    if not rest or name in tree:
        if name in tree:
            tree[name] = value
        else:
            tree.insert(_place(tree, name), name, value)
        if not value:
            tree.yaml_add_eol_comment(_TO_FILL, name)
        return
    if tree.get(first) is None:
        tree[first] = CommentedMap()
    if not isinstance(tree[first], CommentedMap):
        raise _invalid(file, Problem(file, 0, first, f"is no mapping, so {name} cannot be put below it"))
    _put(tree[first], rest, value, file)


def _place(tree: CommentedMap, name: str) -> int:
    """Where a new name goes: a numbered key before those of its series, a word about a key before it, else the end.

    At the end it would stand below a comment on what follows.
    """
    names = [str(one) for one in tree]
    key = name.removesuffix("_retired")
    series = rf"{re.escape(key.rpartition('_')[0])}_[1-9][0-9]*"
    if key in names:
        return names.index(key)
    return next((at for at, one in enumerate(names) if re.fullmatch(series, one)), len(names))


def _read(text: str, file: str) -> Document:
    """Read the YAML; the parser's own words may quote the text and are left out."""
    try:
        document = read(text, file)
    except InvalidInput as error:
        raise _invalid(file, *(Problem(file, p.line, "", "is not valid YAML") for p in error.problems)) from None
    quiet = tuple(p if p.message.startswith("stands twice") else _silenced(p) for p in document.problems)
    return Document(document.file, document.data, document.lines, quiet)


def _silenced(problem: Problem) -> Problem:
    return Problem(problem.file, problem.line, "", "is not understood; put secrets in quotes")


def _leaves(data: Mapping[str, Any], path: Path, *, empty: bool = False) -> Iterator[tuple[Path, Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key), empty=empty)
        elif empty or value not in (None, ""):
            yield (*path, key), value


def _invalid(file: str, *problems: Problem) -> InvalidInput:
    return InvalidInput(f"{file} does not hold secrets as it should", problems=problems)
