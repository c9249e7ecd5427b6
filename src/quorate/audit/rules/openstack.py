"""What stands in a service's files and does nothing: options that nobody reads, or that are read as something else.

A service reads past what it does not know, without a word. Which options each release knows is in `audit/known/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from quorate.audit.configs import ALL, NO, YES, Config, configs, option_name, section_name
from quorate.audit.estate import Estate
from quorate.audit.near import MISSPELT, nearest
from quorate.audit.node import Node
from quorate.audit.options import ANY, Known, Option, known, logs_in
from quorate.audit.readers.ini import AGENTS, FIRST, PASTE
from quorate.audit.removed import instead
from quorate.audit.rule import Hit, Rule, Severity

_OSLO = "https://docs.openstack.org/oslo.config/latest"
_VALIDATOR = f"{_OSLO}/cli/validator.html"
_ALIKE = 0.9
"""How much alike two names are for one to be the other, misspelt (difflib's ratio): one letter of ten."""


@dataclass(frozen=True)
class Said:
    """An option as it is set, with what is known of it.

    `release`: the one found, "" where that is not known; `login`: its section says who the service is at Keystone.
    """

    known: Known
    section: str
    option: Node
    release: str
    login: bool

    @property
    def name(self) -> str:
        """Its name, as it is compared."""
        return option_name(self.option.name)

    @property
    def found(self) -> tuple[Option, ...]:
        """What is known of it."""
        return self.known.find(self.section, self.name) or (self.known.find(ANY, self.name) if self.login else ())

    @property
    def now(self) -> tuple[Option, ...]:
        """What holds in the release that was found; everything, where none was."""
        return tuple(option for option in self.found if not self.release or option.known(self.release))

    def hit(self, more: str) -> Hit:
        """Say it, without its value, which may be secret."""
        return Hit(self.option.place, f"[{self.section}] {self.option.name}, {more}")


@lru_cache(maxsize=1)
def said(estate: Estate) -> tuple[Said, ...]:
    """Every option in a section that is known. Others are a plugin's, a back end's or a store's: nobody can say."""
    return tuple(_said(estate))


def _said(estate: Estate) -> Iterator[Said]:
    for config in configs(estate, *ALL):
        all_ = known(config.kind)
        if all_ is None:
            continue
        version = estate.version("neutron" if config.kind == AGENTS else config.kind)
        release = all_.release(version[0]) if version else ""
        login: dict[str, bool] = {}
        for section in config.sections:
            name = section_name(section.name)
            if name in all_.sections:
                if name not in login:
                    login[name] = logs_in(config, all_, name)
                yield from (Said(all_, name, option, release, login[name]) for option in section.inside)


@dataclass(frozen=True)
class Stray:
    """An option that nobody is known to read: what came for it, or else the name that it nearly has; "" for neither."""

    said: Said
    now: str
    meant: str

    @property
    def places(self) -> tuple[str, ...]:
        """Where it belongs, if nothing else is known of it."""
        return () if self.now or self.meant else _misplaced(self.said)


@lru_cache(maxsize=1)
def _strays(estate: Estate) -> tuple[Stray, ...]:
    """What nobody is known to read; Neutron's plugins have quotas of their own."""
    found: list[Stray] = []
    for one in said(estate):
        if not one.found and one.section != "quotas":
            now = instead(one.section, one.name)
            names = () if now or len(found) >= MISSPELT else one.known.sections[one.section]
            found.append(Stray(one, now, nearest(one.name, names, _ALIKE)))
    return tuple(found)


def _misplaced(one: Said) -> tuple[str, ...]:
    """The sections that it belongs to. Short names mean too much, and a known plugin's are many."""
    places = one.known.elsewhere(one.name) if len(one.name) >= 10 else ()
    return places if len(places) <= 4 else ()


def unknown(estate: Estate) -> Iterable[Hit]:
    """Options that no release knows, and about which no other rule knows more."""
    for stray in _strays(estate):
        if not (stray.now or stray.meant or stray.places):
            yield stray.said.hit(f"no release from {stray.said.known.span} knows it")


def removed(estate: Estate) -> Iterable[Hit]:
    """Options that are gone, and what came for them."""
    for stray in _strays(estate):
        if stray.now:
            yield stray.said.hit(f"today: {stray.now}")
    for document in estate.of(PASTE):
        for section in document.root.inside:
            for option in section.inside:
                if section.name == "filter:authtoken" and (now := instead(section.name, option_name(option.name))):
                    yield Hit(option.place, f"[{section.name}] {option.name}, today: {now}")


def misspelt(estate: Estate) -> Iterable[Hit]:
    """Names that nearly are one that is read."""
    for stray in _strays(estate):
        if stray.meant:
            yield stray.said.hit(f"nobody reads it; there is {stray.meant}")


def misplaced(estate: Estate) -> Iterable[Hit]:
    """Options of another section."""
    for stray in _strays(estate):
        if stray.places:
            yield stray.said.hit(f"it is read in {', '.join(f'[{place}]' for place in stray.places)}")


def not_in_release(estate: Estate) -> Iterable[Hit]:
    """Options that other releases know, and the installed one does not."""
    for one in said(estate):
        if one.found and not one.now:
            option = one.found[-1]
            when = f"known from {option.since} on" if option.since > one.release else f"known up to {option.until}"
            now = instead(one.section, one.name) or (option.to and _written(option.to))
            yield one.hit(f"{when}, this is {one.release}" + (f"; today: {now}" if now else ""))


def renamed(estate: Estate) -> Iterable[Hit]:
    """Former names, which are still read."""
    for one in said(estate):
        if one.now and all(option.to for option in one.now):
            today = " and ".join(sorted({_written(option.to, one.section) for option in one.now}))
            until = max(option.until or "for now" for option in one.now)
            yield one.hit(f"today: {today}" + (f"; read up to {until}" if until != "for now" else ""))


def leaving(estate: Estate) -> Iterable[Hit]:
    """Options that are said to go."""
    for one in said(estate):
        since = max((option.leaving for option in one.now), default="")
        going = since and all(option.leaving and not option.to for option in one.now)
        if going and (not one.release or since <= one.release):
            yield one.hit(
                f"deprecated for removal in {since}" + (" or before" if since == min(one.known.releases) else "")
            )


def _written(name: str, section: str = "") -> str:
    where, _, option = name.rpartition(".")
    return f"[{section if where == '*' else where}] {option}"


def section_misspelt(estate: Estate) -> Iterable[Hit]:
    """Sections that nearly are one that is read, with options in them that are known there."""
    compared = 0
    for config in configs(estate, *ALL):
        all_ = known(config.kind)
        for section in config.sections if all_ else ():
            name = section_name(section.name)
            if all_ is None or name in all_.sections or len(name) < 6 or not section.inside:
                continue
            compared += 1
            meant = nearest(name, all_.sections if compared <= MISSPELT else (), _ALIKE)
            theirs = meant and all(all_.find(meant, one.name) or all_.at_login(one.name) for one in section.inside)
            if theirs and not _referred(config, section.name):
                yield Hit(section.place, f"[{section.name}]: nobody reads it; there is [{meant}]")


def _referred(config: Config, name: str) -> bool:
    """Whether an option speaks of a section of that name: a back end's, a store's, an account's."""
    pattern = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])")
    return any(pattern.search(option.value) for section in config.sections for option in section.inside)


_FORMS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "b": ("true or false", lambda value: value.lower() in YES | NO),
    "i": ("a whole number", lambda value: bool(re.fullmatch(r"[+-]?\s*[\d_]+", value))),
    "f": (
        "a number",
        lambda value: bool(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf|nan", value, re.IGNORECASE)),
    ),
}


def bad_values(estate: Estate) -> Iterable[Hit]:
    """Values that oslo.config refuses."""
    for one in said(estate):
        value = one.option.value
        forms = {option.values for option in one.now if not option.to}
        if len(forms) != 1 or "$" in value or not value or "{{" in value or one.option.inside:
            continue
        if (form := forms.pop()) in _FORMS:
            wanted, fits = _FORMS[form]
            if not fits(value):
                yield one.hit(f"{value!r} is not {wanted}")
        elif "|" in form and not _chosen(value, form):
            yield one.hit(f"{value!r} is none of {', '.join(form.strip('|').split('|'))}")


def _chosen(value: str, form: str) -> bool:
    words = form.removesuffix("|").split("|")
    return value.lower() in {word.lower() for word in words} if form.endswith("|") else value in words


def before_sections(estate: Estate) -> Iterable[Hit]:
    """Options above the first section."""
    for document in estate.of(*ALL):
        for section in document.root.all(FIRST):
            if not section.place.line and section.inside:
                yield Hit(section.inside[0].place, f"{section.inside[0].name} stands before the first [section]")


def swallowed(estate: Estate) -> Iterable[Hit]:
    """Indented lines that were meant as something else than the rest of the value above."""
    for config in configs(estate, *ALL):
        all_ = known(config.kind)
        for section in config.sections:
            for option in section.inside:
                for line in option.inside:
                    name = re.match(r"([\w-]+)\s*=", line.value)
                    is_option = name and all_ and all_.find(section.name, name[1])
                    if line.value.startswith("#") or is_option:
                        yield Hit(line.place, f"it is a part of the value of {option.name}", (option.place,))


def twice(estate: Estate) -> Iterable[Hit]:
    """Options with two different values in one file."""
    for document in estate.of(*ALL):
        all_ = known(document.kind)
        if all_ is None:
            continue
        seen: dict[tuple[str, str], Node] = {}
        for section in document.root.inside:
            for option in section.inside:
                key = (section_name(section.name), option_name(option.name))
                before = seen.get(key)
                one_only = any(one.values not in {"m", ""} for one in all_.find(*key)) or key[1] in _SINGLE
                if before and before.value != option.value and one_only:
                    yield Hit(option.place, f"[{section.name}] {option.name} a second time", (before.place,))
                seen[key] = option


_SINGLE = frozenset(("transport_url", "connection", "memcached_servers", "memcache_servers", "auth_url", "backend"))
"""Texts of which only one can be meant."""

RULES = (
    Rule(
        "OSO001",
        Severity.WARNING,
        "nobody reads this option",
        "The service reads past what it does not know, without a word: whatever was meant does not happen.",
        _VALIDATOR,
        "Look the option up in the release's configuration reference, and take it out, or write its right name. If a "
        "plugin that is not part of the release reads it, say so: # quorate: ignore=OSO001 REASON.",
        "",
        unknown,
    ),
    Rule(
        "OSO002",
        Severity.ERROR,
        "an option that was removed long ago",
        "It comes from an old guide. The service reads past it, without a word, and does what it does by default.",
        _VALIDATOR,
        "Take it out, and write what stands beside the finding.",
        "",
        removed,
    ),
    Rule(
        "OSO003",
        Severity.ERROR,
        "the installed release does not know this option",
        "It belongs to another release. The service reads past it, without a word.",
        _VALIDATOR,
        "Take it out, or write what this release has for it.",
        "",
        not_in_release,
    ),
    Rule(
        "OSO004",
        Severity.NOTE,
        "a former name of an option",
        "It is read as another option for now, or up to the release that is named; later ones read past it without a "
        "word.",
        f"{_OSLO}/reference/deprecations.html",
        "Write today's name.",
        "",
        renamed,
    ),
    Rule(
        "OSO005",
        Severity.NOTE,
        "an option that is to be removed",
        "It does what it says, until a release reads past it without a word.",
        f"{_OSLO}/reference/deprecations.html",
        "See the release notes for what comes in its place, before the next upgrade.",
        "",
        leaving,
    ),
    Rule(
        "OSO006",
        Severity.ERROR,
        "an option with a wrong name",
        "The service reads past it, without a word, and goes on with the default of the one that was meant.",
        _VALIDATOR,
        "Write the name as the service has it.",
        "",
        misspelt,
    ),
    Rule(
        "OSO007",
        Severity.ERROR,
        "an option in a wrong section",
        "It is read in another section only: here it does nothing.",
        _VALIDATOR,
        "Move it to the section that is named.",
        "",
        misplaced,
    ),
    Rule(
        "OSO008",
        Severity.ERROR,
        "a value that the option does not take",
        "The service ends with an error when it reads it: at its start, or at the first request that needs it.",
        f"{_OSLO}/reference/types.html",
        "Write one of the values that are named.",
        "",
        bad_values,
    ),
    Rule(
        "OSO009",
        Severity.ERROR,
        "an option before the first section",
        "oslo.config refuses the whole file, and the service does not start.",
        "oslo.config, cfg.ConfigParser.assignment: an option needs a section",
        "Write [DEFAULT] above it.",
        "",
        before_sections,
    ),
    Rule(
        "OSO010",
        Severity.ERROR,
        "an indented line that is taken for the rest of a value",
        "oslo.config joins an indented line to the value above, even if it is a comment or looks like an option: that "
        "value is wrong now, and what stands on this line is not read.",
        "oslo.config, iniparser.BaseParser.parse: a line that begins with a space continues the previous one",
        "Begin the line in the first column.",
        "",
        swallowed,
    ),
    Rule(
        "OSO011",
        Severity.ERROR,
        "a section with a wrong name",
        "Nobody reads what is in it.",
        _VALIDATOR,
        "Write the section's name as it is read.",
        "",
        section_misspelt,
    ),
    Rule(
        "OSO012",
        Severity.WARNING,
        "an option that is set twice, to different values",
        "Only the last one counts; whoever changes the first one changes nothing.",
        "https://docs.openstack.org/oslo.config/latest/reference/cfg.html",
        "Leave one of them.",
        "",
        twice,
    ),
)
