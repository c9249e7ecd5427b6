# ruff: noqa: INP001 - a program, not a package
"""Write `src/quorate/audit/known/`: which options each release of OpenStack knows, by what its packages say themselves.

    known_options.py list >RELEASE.json                 with the Python of an environment that has that release
    known_options.py join FOLDER src/quorate/audit/known  of all RELEASE.json in FOLDER, oldest first by name

`known_options.sh` makes the environments and runs both. Source: the packages' entry points `oslo.config.opts`, as
oslo-config-generator reads them; keystoneauth1's plugins for what any section may hold that logs in at Keystone.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

SERVICES = {
    "ceilometer": "ceilometer",
    "cinder": "cinder",
    "glance": "glance",
    "glance-store": "glance",
    "keystone": "keystone",
    "neutron": "neutron",
    "nova": "nova",
    "openstack-heat": "heat",
    "openstack-placement": "placement",
}
"""Whose options are whose; those of everything else, oslo's libraries above all, are any service's."""
LIBRARIES = "libraries"
LOGIN = "login"
"""What any section may hold that logs in at Keystone. Its options stand below the section `*`."""
NOT_FOR_CONTROLLERS = ("heat_integrationtests", "castellan.tests", "manilaclient", "openstack.")
_TYPES = {"boolean value": "b", "integer value": "i", "floating point value": "f"}


@dataclass
class Option:
    """An option through the releases. `gone`: since when it is to be removed; `to`: what a former name became."""

    releases: set[str] = field(default_factory=set)
    gone: str = ""
    to: str = ""
    values: set[str] = field(default_factory=set)


def listed() -> dict[str, Any]:
    """Everything that the installed packages read: versions by kind, and options by kind, section and name.

    Each kind is asked in a process of its own, since services register different options of one name.
    """
    kinds = sorted({*SERVICES.values(), LIBRARIES, LOGIN})
    ask = (sys.executable, "-W", "ignore", __file__, "list")
    options = {
        kind: json.loads(subprocess.run((*ask, kind), check=True, stdout=subprocess.PIPE).stdout) for kind in kinds
    }
    versions = {kind: importlib.metadata.version(name) for name, kind in SERVICES.items() if name != "glance-store"}
    return {"versions": versions, "options": options}


def listed_of(kind: str) -> Iterator[Any]:
    """Return what one kind reads: section, name, what it became, whether it is to be removed, and its values."""
    if kind == LOGIN:
        yield from _login()
        return
    for point in importlib.metadata.entry_points(group="oslo.config.opts"):
        distribution = point.dist.name.lower() if point.dist else ""
        if point.name.startswith(NOT_FOR_CONTROLLERS) or SERVICES.get(distribution, LIBRARIES) != kind:
            continue
        try:
            groups = list(point.load()())
        except AttributeError as error:  # an entry point that was left behind: its options are gone
            sys.stderr.write(f"{point.name}: {error}\n")
            continue
        for group, opts in groups:
            for opt in opts:
                yield from _told(str(getattr(group, "name", group) or "DEFAULT"), opt)


def _told(section: str, opt: Any) -> Iterator[Any]:
    yield section, opt.dest, "", bool(opt.deprecated_for_removal), _values(opt)
    for old in opt.deprecated_opts:
        yield old.group or section, old.name or opt.dest, f"{section}.{opt.dest}", False, ""


def _values(opt: Any) -> str:
    """Say which values it takes: one of some words, figures, yes and no, or several of any. "" where it is not said."""
    kind = opt.type
    if opt.multi:
        return "m"
    choices = getattr(kind, "choices", None)
    name = type(kind).__name__
    if not choices:
        return {"Boolean": "b", "Integer": "i", "Port": "i", "Float": "f"}.get(name, "")
    simple = name == "String" and all(isinstance(word, str) and re.fullmatch(r"[\w.:-]+", word) for word in choices)
    return "|".join(choices) + ("|" if kind.ignore_case else "") if simple and not kind.regex else ""


def _login() -> Iterator[Any]:
    from keystoneauth1 import loading  # noqa: PLC0415 - only in the environment of a release

    plugins = (loading.get_auth_plugin_conf_options(name) for name in loading.get_available_plugin_names())
    common = (
        loading.get_auth_common_conf_options(),
        loading.get_session_conf_options(),
        loading.get_adapter_conf_options(),
    )
    return chain.from_iterable(_told("*", opt) for opt in chain(*plugins, *common))


def joined(releases: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the files: name and text. An option that became another's former name has a line for both."""
    names = sorted(releases)
    for kind in sorted({kind for one in releases.values() for kind in one["options"]}):
        own: dict[tuple[str, str], Option] = defaultdict(Option)
        former: dict[tuple[str, str], Option] = defaultdict(Option)
        for release in names:
            for section, name, to, gone, values in releases[release]["options"].get(kind, ()):
                key = (section if section == "DEFAULT" else section.lower(), name.replace("-", "_"))
                _note(former[key] if to else own[key], release, to, gone=gone, values=values)
        for key, option in former.items():
            option.releases -= own[key].releases if key in own else set()
        majors = (f"{release}={releases[release]['versions'].get(kind, '0').partition('.')[0]}" for release in names)
        lines = [f"releases {' '.join(majors)}"]
        for section in sorted({section for section, _ in (*own, *former)}):
            both = [
                (name, option) for part in (own, former) for (where, name), option in part.items() if where == section
            ]
            both.sort(key=lambda one: one[0])
            lines += [f"[{section}]", *(_line(name, option, names) for name, option in both if option.releases)]
        yield kind, "\n".join(lines) + "\n"


def _note(option: Option, release: str, to: str, *, gone: bool, values: str) -> None:
    option.releases.add(release)
    option.to = to
    option.values.add(values)
    if gone and not option.gone:
        option.gone = release


def _line(name: str, option: Option, names: Sequence[str]) -> str:
    known = sorted(option.releases)
    since = known[0] if known[0] != names[0] else ""
    until = known[-1] if known[-1] != names[-1] else ""
    words = [name]
    words += [f"{since}..{until}"] if since or until else []
    words += [f">{option.to}"] if option.to else []
    words += [f"!{option.gone}"] if option.gone else []
    words += [f"={value}" for value in option.values if value] if len(option.values) == 1 else []
    return " ".join(words)


def main(arguments: Sequence[str]) -> None:
    """Do what the first argument says."""
    if arguments[0] == "list":
        sys.stdout.write(json.dumps(list(listed_of(arguments[1])) if arguments[1:] else listed()))
        return
    releases = {path.stem: json.loads(path.read_text()) for path in Path(arguments[1]).glob("*.json")}
    for kind, text in joined(releases):
        Path(arguments[2], f"{kind}.txt").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
