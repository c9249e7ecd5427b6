"""The cloud file's text → a Cloud, or InvalidInput with everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from quorate.errors import InvalidInput, Problem
from quorate.model.cloud import Cloud, Spec
from quorate.model.draft import draft
from quorate.model.explain import explain
from quorate.model.rules import Finding, findings
from quorate.model.source import Document, read
from quorate.model.words import Path, choice, closest, did_you_mean, found


def load(
    text: str, file: str, specs: Mapping[str, type[Spec]], beyond: Callable[[Cloud], Iterable[Finding]] = lambda _: ()
) -> Cloud:
    """Read the cloud. `specs` are the sections that may stand below `systems:`, by the system's name.

    `beyond`: what only somebody finds who knows the systems, in a cloud that is right otherwise.
    """
    document = read(text, file)
    data = document.data
    if not isinstance(data, dict):
        message = "the file is empty" if data is None else f"{found(data)} is not a mapping of keys and values"
        raise _invalid(file, [*document.problems, document.problem((), message)])
    systems, wrong = _systems(data.get("systems"), specs)
    problems = list(document.problems)
    problems += [_located(document, f) for f in (*wrong, *findings(draft(data)))]
    cloud: Cloud | None = None
    try:
        cloud = Cloud.model_validate({**data, "systems": systems})
    except ValidationError as error:
        problems += [_located(document, f) for f in _explained(error, Cloud)]
    if cloud is not None and not problems:
        problems += [_located(document, f) for f in beyond(cloud)]
    if cloud is None or problems:
        raise _invalid(file, problems)
    return cloud


def _systems(section: Any, specs: Mapping[str, type[Spec]]) -> tuple[dict[str, Spec], list[Finding]]:
    """Read what differs from the defaults; a system that is not mentioned has all of them, or is none if optional."""
    known = choice(sorted(specs))
    if section is not None and not isinstance(section, dict):
        return {}, [Finding(("systems",), f"{found(section)} is not a mapping", f"a mapping of {known}")]
    given = section or {}
    systems: dict[str, Spec] = {}
    wrong = [
        Finding(("systems", name), f"unknown system {found(name)}{did_you_mean(name, specs)}", known)
        for name in given
        if name not in specs
    ]
    for name, spec in sorted(specs.items()):
        try:
            own = given.get(name, {"enabled": not spec.optional})
            systems[name] = spec.model_validate({} if own is None else own)
        except ValidationError as error:
            wrong += [Finding(("systems", name, *f.path), f.message, f.allowed) for f in _explained(error, spec)]
    return systems, wrong


def _explained(error: ValidationError, model: type[BaseModel]) -> Iterator[Finding]:
    """Explain every error; a key that is missing only because it is misspelt is one mistake, not two."""
    errors = error.errors(include_url=False)
    strange: dict[Path, list[str]] = {}
    for one in errors:
        if one["type"] == "extra_forbidden":
            strange.setdefault(one["loc"][:-1], []).append(str(one["loc"][-1]))
    for one in errors:
        misspelt = strange.get(one["loc"][:-1], ()) if one["type"] == "missing" else ()
        if not closest(str(one["loc"][-1]) if one["loc"] else "", misspelt):
            yield explain(one, model)


def _located(document: Document, finding: Finding) -> Problem:
    """Give the finding its line. Where a short form hides a part of the path, the path ends where the file's does."""
    return document.problem(document.known(finding.path), finding.message, finding.allowed)


def _invalid(file: str, problems: list[Problem]) -> InvalidInput:
    """All at once, in the file's order, each once."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem.line)
    many = f"{len(ordered)} mistakes" if len(ordered) > 1 else "one mistake"
    return InvalidInput(f"{file}: {many}; nothing was contacted, nothing was changed", problems=ordered)
