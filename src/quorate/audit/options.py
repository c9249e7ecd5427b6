"""Which options a release of OpenStack knows: a registry that reads `known/`.

A file there is a service's (or what all read: `libraries`, `login`), written by `tools/known_options.py`:

    releases 2022.2=22 2023.1=23            its major version in each release
    [section]
    name [SINCE..UNTIL] [>section.name] [!RELEASE] [=VALUES]

`SINCE..UNTIL`: which releases know it, where not all do; `>`: a former name, with today's; `!`: since when it is said
to be removed one day; `=`: `b` yes or no, `i` and `f` figures, `m` may be said several times, or words with `|` between
them, and one at the end where capitals do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from quorate.audit.configs import Config, option_name, section_name
from quorate.audit.readers.ini import AGENTS, SERVICES

ANY = "*"
_COMMON = ("libraries", "login")


@dataclass(frozen=True)
class Option:
    """What is known of an option; see above. `since` and `until`: "" where no covered release differs."""

    since: str = ""
    until: str = ""
    to: str = ""
    leaving: str = ""
    values: str = ""

    def known(self, release: str) -> bool:
        """Whether that release reads it."""
        return (not self.since or self.since <= release) and (not self.until or release <= self.until)


Sections = Mapping[str, Mapping[str, tuple[Option, ...]]]


@dataclass(frozen=True)
class Known:
    """Everything that a service reads. `releases`: the service's major version in each."""

    releases: Mapping[str, int]
    sections: Sections

    def find(self, section: str, name: str) -> tuple[Option, ...]:
        """Look an option up: several where a service and a library both have it, none where nobody does."""
        return self.sections.get(section_name(section), {}).get(option_name(name), ())

    def at_login(self, name: str) -> bool:
        """Whether a section that logs in at Keystone may hold it."""
        return bool(self.find(ANY, name))

    def elsewhere(self, name: str) -> tuple[str, ...]:
        """The sections that have an option of that name, as one of today."""
        return tuple(
            section
            for section, names in self.sections.items()
            if section != ANY and any(not option.to for option in names.get(option_name(name), ()))
        )

    def release(self, major: int) -> str:
        """Which release a version is of; "" where it is none that is covered."""
        return next((name for name, version in self.releases.items() if version == major), "")

    @property
    def span(self) -> str:
        """From which release to which."""
        names = sorted(self.releases)
        return f"{names[0]} to {names[-1]}"


def known(kind: str) -> Known | None:
    """Everything that is known of a kind; None where its options are not."""
    kind = "neutron" if kind == AGENTS else kind
    return _known(kind) if kind in SERVICES else None


@cache
def _known(kind: str) -> Known:
    releases, own = _read(kind)
    sections: dict[str, dict[str, tuple[Option, ...]]] = {}
    for part in (own, *(_read(name)[1] for name in _COMMON)):
        for section, options in part.items():
            names = sections.setdefault(section, {})
            for name, found in options.items():
                names[name] = (*names.get(name, ()), *found)
    return Known(releases, sections)


@cache
def _read(name: str) -> tuple[Mapping[str, int], Sections]:
    text = (files("quorate.audit") / "known" / f"{name}.txt").read_text(encoding="utf-8")
    first, *lines = text.splitlines()
    releases = {release: int(major) for release, _, major in (one.partition("=") for one in first.split()[1:])}
    sections: dict[str, dict[str, tuple[Option, ...]]] = {}
    inside: dict[str, tuple[Option, ...]] = {}
    for line in lines:
        if line.startswith("["):
            inside = sections.setdefault(line[1:-1], {})
        else:
            option, *words = line.split(" ")
            inside[option] = (*inside.get(option, ()), _option(words))
    return releases, sections


def _option(words: list[str]) -> Option:
    since = until = to = leaving = values = ""
    for word in words:
        match word[0]:
            case ">":
                to = word[1:]
            case "!":
                leaving = word[1:]
            case "=":
                values = word[1:]
            case _:
                since, _, until = word.partition("..")
    return Option(since, until, to, leaving, values)


def logs_in(config: Config, known_: Known, section: str) -> bool:
    """Whether a section says who somebody is at Keystone."""
    names = {option_name(one.name) for one in config.options(section)}
    return bool(names & {"auth_type", "auth_section", "auth_plugin"}) or bool(known_.find(section, "auth_type"))
