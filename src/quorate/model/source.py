"""YAML text → plain data and the line of every key, with no way to make a program out of a file.

The node tree is walked here rather than by a YAML constructor: so tags make no objects, a key that stands twice is
found with both of its lines, and anchors can neither nest without end nor multiply without bound.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from quorate.errors import InvalidInput, Problem
from quorate.model.words import Path, dotted, found

LONGEST = 1024 * 1024
"""Characters: a cloud file has a few thousand."""

_DEEPEST = 40
_MOST = 100_000
_YAML = "tag:yaml.org,2002:"
_FLOATS = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}


@dataclass(frozen=True)
class Document:
    """What stands in the file, where, and what is wrong with it as YAML."""

    file: str
    data: Any
    lines: Mapping[Path, int]
    problems: tuple[Problem, ...] = ()

    def known(self, path: Path) -> Path:
        """The part of the path that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return path

    def line(self, path: Path) -> int:
        """The line of the path or, where that is not in the file, of the mapping it should be in."""
        return self.lines.get(self.known(path), 1)

    def problem(self, path: Path, message: str, allowed: str = "") -> Problem:
        """Say what is wrong at the path."""
        return Problem(self.file, self.line(path), dotted(path), message, allowed)


def read(text: str, file: str) -> Document:
    """Read the text. InvalidInput where it is no YAML at all; what can be skipped over is in `problems`."""
    if len(text) > LONGEST:
        raise _unreadable(file, 0, f"has {len(text)} characters, a cloud needs a few thousand", f"at most {LONGEST}")
    walk = _Walk(file)
    root = _compose(text, file)
    data = walk.value(root, (), frozenset()) if root is not None else None
    walk.lines.setdefault((), 1)
    return Document(file, data, walk.lines, tuple(walk.problems))


def _compose(text: str, file: str) -> Node | None:
    """Let the library parse; whatever it raises for odd input becomes one problem with its line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise _unreadable(file, mark.line + 1 if mark else 0, f"is not valid YAML: {said}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _unreadable(file, line, "is not valid YAML: a character that text must not contain") from None
    except RecursionError:
        raise _unreadable(file, 0, "is nested too deeply") from None
    except Exception:  # noqa: BLE001 - the parser raises what it likes (OverflowError for \UFFFFFFFF …)
        raise _unreadable(file, 0, "is not valid YAML") from None
    return root if isinstance(root, Node) else None


def _unreadable(file: str, line: int, message: str, allowed: str = "") -> InvalidInput:
    return InvalidInput(f"{file} cannot be read", problems=[Problem(file, line, "", message, allowed)])


class _Walk:
    """One walk over the node tree of a file, collecting lines and problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._count = 0

    def value(self, node: Node, path: Path, above: frozenset[int]) -> Any:
        """Turn the node into plain data. `above` holds the nodes that it lies in."""
        self._count += 1
        if id(node) in above:
            raise _unreadable(self.file, _line(node), "an alias stands inside what it stands for")
        if len(above) > _DEEPEST:
            raise _unreadable(self.file, _line(node), "is nested too deeply")
        if self._count > _MOST:
            raise _unreadable(self.file, _line(node), "holds too much, counting what aliases repeat", f"{_MOST} values")
        self.lines.setdefault(path, _line(node))
        within = above | {id(node)}
        if isinstance(node, MappingNode):
            return self._mapping(node, path, within)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, at), within) for at, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path, within: frozenset[int]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: list[Node] = []
        own: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if key_node.tag == f"{_YAML}merge":
                merged.append(value_node)
            elif not isinstance(key_node, ScalarNode):
                self._problem(line, path, "a key must be a word, not a mapping or a list")
            elif key_node.value in own:
                self._problem(
                    line, (*path, key_node.value), f"stands twice, the first time in line {own[key_node.value]}"
                )
            else:
                own[key_node.value] = line
                self.lines.setdefault((*path, key_node.value), line)
                data[key_node.value] = self.value(value_node, (*path, key_node.value), within)
        for source in merged:
            for brought in self._merged(source, path, within):
                data = {**brought, **data}
        return data

    def _merged(self, node: Node, path: Path, within: frozenset[int]) -> Iterator[dict[str, Any]]:
        """Read what `<<` brings in; earlier mappings win over later ones, the mapping's own keys over all."""
        for source in node.value if isinstance(node, SequenceNode) else [node]:
            if isinstance(source, MappingNode):
                yield self.value(source, path, within)
            else:
                self._problem(_line(source), path, "'<<' takes an alias of a mapping")

    def _scalar(self, node: Node, path: Path) -> Any:
        tag = str(node.tag)
        text = str(node.value)
        if tag == f"{_YAML}null":
            return None
        if tag == f"{_YAML}bool":
            return text.lower() in {"true", "yes", "on"}
        if tag == f"{_YAML}int":
            return _number(text)
        if tag == f"{_YAML}float":
            return _float(text)
        if tag not in {f"{_YAML}str", f"{_YAML}timestamp", f"{_YAML}value"}:
            self._problem(_line(node), path, f"the tag {found(tag)} is not allowed here")
        return text

    def _problem(self, line: int, path: Path, message: str) -> None:
        self.problems.append(Problem(self.file, line, dotted(path), message))


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _number(text: str) -> int | str:
    """Read a whole number; what only YAML 1.1 took for one stays text."""
    plain = text.replace("_", "")
    for base in (10, 0):
        try:
            return int(plain, base)
        except ValueError:
            continue
    return text


def _float(text: str) -> float | str:
    plain = text.replace("_", "").lower()
    try:
        return float(_FLOATS.get(plain, plain))
    except ValueError:
        return text
