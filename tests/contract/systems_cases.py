"""Data cases of a system: `cases/*.yaml` in its folder, which a person can review. Three things may stand in a file.

`recordings:` what a controller's daemons really said, by a name of your choice: question → answer. An answer is
`{code: 0, out: "…", err: "…"}` (`file: NAME` takes `out` from `cases/files/NAME`) or `{unknown: "why"}`. The key `like`
takes over another recording first. Recordings are shared by all files of the folder.

`cases:` a list; each has `kind`, `name` and, but for `view`, where it happens:
    cloud: three             one | two (with arbiter) | three | five, or an examples file, or a whole mapping
    os: debian-12            for the built-in clouds; default debian-13
    systems: {galera: {}}    sections of the cloud file; default: only this system, with its defaults
    claims: [{kind: database, name: keystone, secret: keystone.database}]         said by systems that are left out
    endpoints: [{kind: database, address: 10.77.0.10, port: 3306}]

    kind: render   host: controller1, files: {/etc/x.conf: NAME}    exact content, kept in cases/files/NAME
    kind: view     answers: A, view: {field: value}                 fields that are named are compared (see below)
    kind: judge    hosts: {controller1: A, …}, cluster: {level: ok, reason: "part of it"}, members: {controller1: {…}},
                   settling: all of it
    kind: form     hosts: {controller1: A, …}, and either `waves: [{title: part of it, steps: {controller1: ["act", …]},
                   gate: [controller1]}]` (acts as they print; `waves: []` for nothing to do) or
                   `blocked: part of the reason` and perhaps `evidence: [part of a line, …]`
A is a recording's name, or a mapping like one (`{like: healthy, wsrep: {unknown: "timeout"}}`), or `{unseen: "why"}`
for a controller that did not answer at all (not in `view`). A question that is not mentioned was not answered.

Comparing a view: a dataclass compares as a mapping of the fields named, a tuple or set as a list (sets sorted), an enum
by its value; `unknown: "part of why"` in place of a value wants an Unknown, `absent: true` wants None or Absent.

QUORATE_BLESS=1 writes the files of `render` cases instead of comparing: read the difference before you commit it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import systems_clouds
from ruamel.yaml import YAML

from quorate.core.observed import Absent, Answer, Unknown
from quorate.core.resource import File
from quorate.core.system import AnySystem, Blocked, Site
from quorate.core.verdict import Level, Verdict


@dataclasses.dataclass(frozen=True)
class Case:
    """One case, where it was read and the recordings that it may name."""

    system: AnySystem
    folder: Path
    file: str
    data: Mapping[str, Any]
    recordings: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.system.name}/{self.file}: {self.data['name']}"


KEYS = {"kind", "name", "cloud", "os", "systems", "claims", "endpoints"}
KINDS = {
    "render": {"host", "files"},
    "view": {"answers", "view"},
    "judge": {"hosts", "cluster", "members", "settling"},
    "form": {"hosts", "waves", "blocked", "evidence"},
}


def load(system: AnySystem, folder: Path) -> Iterator[Case]:
    """Read every case of a system. A key or kind that means nothing is a mistake in the case."""
    files = {path: YAML(typ="safe").load(path.read_text()) or {} for path in sorted((folder / "cases").glob("*.yaml"))}
    recordings = {name: said for content in files.values() for name, said in content.get("recordings", {}).items()}
    for path, content in files.items():
        stray = set(content) - {"recordings", "cases"}
        if stray:
            raise ValueError(f"{path}: {', '.join(sorted(stray))} means nothing here")
        for data in content.get("cases", []):
            stray = set(data) - KEYS - KINDS[data["kind"]]
            if stray:
                raise ValueError(f"{path}: {data['name']}: {', '.join(sorted(stray))} means nothing here")
            yield Case(system, folder, path.name, data, recordings)


def run(case: Case, systems: Sequence[AnySystem]) -> None:
    """Hold the system to the case; AssertionError says what differs."""
    if case.data["kind"] == "view":
        same("view", case.data["view"], case.system.read(answers(case, case.data["answers"])))
        return
    sections = case.data.get("systems", {case.system.name: {}})
    release = case.data.get("os", "debian-13")
    cloud = systems_clouds.choose(case.data.get("cloud", "three"), sections, systems, release)
    site = systems_clouds.site(cloud, systems, case.data)
    {"render": _render, "judge": _judge, "form": _form}[case.data["kind"]](case, site)


def answers(case: Case, wanted: str | Mapping[str, Any]) -> dict[str, Answer | Unknown]:
    """Spell out the answers of one controller."""
    said = dict(case.recordings[wanted] if isinstance(wanted, str) else wanted)
    base = answers(case, said.pop("like")) if "like" in said else {}
    return {**base, **{question: _answer(case, dict(answer)) for question, answer in said.items()}}


def _answer(case: Case, answer: dict[str, Any]) -> Answer | Unknown:
    if "unknown" in answer:
        return Unknown(why=answer["unknown"])
    if "file" in answer:
        answer["out"] = (case.folder / "cases" / "files" / answer.pop("file")).read_text()
    return Answer.model_validate({"code": 0, "out": "", **answer})


def _views(case: Case) -> dict[str, Any]:
    return {
        host: Unknown(why=said["unseen"])
        if isinstance(said, Mapping) and "unseen" in said
        else case.system.read(answers(case, said))
        for host, said in case.data["hosts"].items()
    }


def _spec(case: Case, site: Site) -> Any:
    return site.cloud.systems[case.system.name]


def _render(case: Case, site: Site) -> None:
    resources = case.system.resources(_spec(case, site), site, case.data["host"])
    files = {resource.path: resource.content for resource in resources if isinstance(resource, File)}
    for path, name in case.data["files"].items():
        assert path in files, f"{path} is no file of {case.data['host']}: {', '.join(files)}"
        kept = case.folder / "cases" / "files" / name
        if os.environ.get("QUORATE_BLESS"):
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(files[path])
        assert files[path] == kept.read_text(), f"{path} differs from {kept}; QUORATE_BLESS=1 rewrites it"


def _judge(case: Case, site: Site) -> None:
    judgement = case.system.judge(_spec(case, site), site, _views(case))
    if "cluster" in case.data:
        _verdict("cluster", case.data["cluster"], judgement.cluster)
    for host, wanted in case.data.get("members", {}).items():
        _verdict(host, wanted, judgement.members[host])
    if "settling" in case.data:
        assert case.system.settling(_spec(case, site), site, _views(case)) == case.data["settling"]


def _verdict(who: str, wanted: Mapping[str, str], found: Verdict) -> None:
    words = f"{who}: wanted {wanted}, found {found.level.word}: {found.reason}"
    assert found.level is Level[wanted["level"].upper()], words
    assert wanted.get("reason", "") in found.reason, words


def _form(case: Case, site: Site) -> None:
    found = case.system.form(_spec(case, site), site, _views(case))
    if "blocked" in case.data:
        assert isinstance(found, Blocked), f"wanted blocked, found {found}"
        assert case.data["blocked"] in found.reason, f"wanted {case.data['blocked']!r} in {found.reason!r}"
        for line in case.data.get("evidence", []):
            assert any(line in said for said in found.evidence), f"wanted {line!r} in {found.evidence}"
        return
    assert not isinstance(found, Blocked), f"blocked: {found}"
    waves = [
        {
            "title": wave.title,
            "steps": {step.host: [str(act) for act in step.acts] for step in wave.steps},
            "gate": list(wave.gate.members) if wave.gate else [],
        }
        for wave in found
    ]
    assert len(waves) == len(case.data["waves"]), f"wanted {len(case.data['waves'])} waves, found {waves}"
    for wanted, wave in zip(case.data["waves"], waves, strict=True):
        assert wanted.get("title", "") in wave["title"], f"wanted title {wanted['title']!r}, found {wave}"
        for key in ("steps", "gate"):
            assert key not in wanted or wanted[key] == wave[key], f"{key}: wanted {wanted[key]}, found {wave[key]}"


def same(where: str, wanted: Any, found: Any) -> None:
    """Compare as a reader of YAML sees it; AssertionError says where it differs."""
    if isinstance(wanted, Mapping) and set(wanted) == {"unknown"}:
        assert isinstance(found, Unknown), f"{where}: wanted unknown ({wanted['unknown']}), found {found!r}"
        assert str(wanted["unknown"]) in found.why, f"{where}: wanted {wanted['unknown']!r} in {found.why!r}"
    elif isinstance(wanted, Mapping) and set(wanted) == {"absent"}:
        assert found is None or isinstance(found, Absent), f"{where}: wanted nothing, found {found!r}"
    elif isinstance(wanted, Mapping):
        get = found.get if isinstance(found, Mapping) else lambda key: getattr(found, key)
        for key, value in wanted.items():
            same(f"{where}.{key}", value, get(key))
    elif isinstance(wanted, list):
        items = sorted(found) if isinstance(found, set | frozenset) else list(found)
        assert len(items) == len(wanted), f"{where}: wanted {wanted}, found {items}"
        for index, (one, other) in enumerate(zip(wanted, items, strict=True)):
            same(f"{where}[{index}]", one, other)
    else:
        value = found.value if isinstance(found, Enum) else found
        assert wanted == value, f"{where}: wanted {wanted!r}, found {found!r}"
