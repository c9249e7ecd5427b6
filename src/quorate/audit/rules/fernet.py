"""Fernet keys that are thrown away while tokens of theirs are good: how many are kept, and how often they are rotated.

A key makes tokens while it is the primary one, and is dropped by the rotation at which max_active_keys - 2 younger ones
were primary before it. So it takes two keys more than there are rotations in the time that a token is good for: token
lifetime / time between rotations + 2, rounded up, as Keystone's documentation has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from quorate.audit.configs import Config, configs
from quorate.audit.estate import Document, Estate
from quorate.audit.node import Place
from quorate.audit.readers import shell
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.schedules import Schedule, calendar, cron, most

_FAQ = "https://docs.openstack.org/keystone/latest/admin/fernet-token-faq.html"
_WINDOW = "https://docs.openstack.org/keystone/latest/configuration/config-options.html#token.allow_expired_window"
_ROTATES = re.compile(r"\bkeystone-manage\b[^;&|\n]{0,500}\bfernet_rotate\b")
_PERHAPS = re.compile(r"&&|\|\||\(\)|(?:^|[;\s])(?:if|case|while|until|for|exit|function|test|\[\[?)\s", re.MULTILINE)
"""What lets a script do what follows it or not: how often it does, nobody knows."""
_COMMENT = re.compile(r"(?<!\S)#.*")
_USER = re.compile(r"^[ \t]*(?:el)?if\s+\[+\s+\"?\$\((?:id -un?|whoami)\)[^\n&|]*\bthen\b", re.MULTILINE)
"""A question whose answer is the same each time: cron runs a script as one user."""
_FUNCTION = re.compile(
    r"^[ \t]*(?:function[ \t]+([\w-]+)(?:[ \t]*\(\))?|([\w-]+)[ \t]*\(\))\s*\{[ \t]*\n(.{0,4000}?)^[ \t]*\}",
    re.MULTILINE | re.DOTALL,
)
_HANDS_ON = re.compile(r"\b(?:rsync|scp)\b[^\n]{0,500}\bfernet-keys\b")
_DEEP = 3
"""Scripts that call each other."""
_LONGEST = 50_000
"""Characters of a script: a longer one is no wrapper around a rotation, and takes seconds to take apart."""
_MORE = 2
"""The staged key and the primary one."""
_KEYS, _EXPIRATION, _EXPIRED_WINDOW = 3, 3600, 172800
"""Keystone's defaults: of max_active_keys, and in seconds of expiration and allow_expired_window."""


@dataclass(frozen=True)
class _Rotation:
    """A job that rotates the keys. `handed_on`: and copies them to other machines."""

    place: Place
    when: tuple[Schedule, ...]
    handed_on: bool


def dropped_in_use(estate: Estate) -> Iterable[Hit]:
    """Keys that are gone before the tokens that they made expire."""
    for one in _fernet(estate):
        lifetime = _lifetime(one)
        if hit := _too_few(estate, one, lifetime, f"in the {lifetime:g} s for which a token is good"):
            yield hit


def dropped_in_the_window(estate: Estate) -> Iterable[Hit]:
    """Keys that outlive their tokens, but not the time after it in which services may still use these."""
    for one in _fernet(estate):
        said = one.number("token", "allow_expired_window")
        lifetime, window = _lifetime(one), _EXPIRED_WINDOW if said is None else said
        within = f"in the {lifetime:g} s for which a token is good, and {window:g} s (allow_expired_window) more"
        if not _too_few(estate, one, lifetime, "") and (hit := _too_few(estate, one, lifetime + window, within)):
            yield hit


def _fernet(estate: Estate) -> Iterator[Config]:
    return (one for one in configs(estate, "keystone") if one.value("token", "provider") in {"", "fernet"})


def _lifetime(one: Config) -> float:
    return one.number("token", "expiration") or _EXPIRATION


def _too_few(estate: Estate, one: Config, seconds: float, within: str) -> Hit | None:
    """Hold the keys that a Keystone keeps to the rotations that reach it within so many seconds."""
    said = one.option("fernet_tokens", "max_active_keys")
    keys = one.number("fernet_tokens", "max_active_keys") if said else _KEYS
    rotations = _reaching(estate, one)
    needed = most((when for each in rotations for when in each.when), seconds) + _MORE
    if keys is None or not rotations or needed <= keys:
        return None
    places = [*([said.place] if said else []), *(each.place for each in rotations)]
    kept = f"max_active_keys = {keys:g}" if said else f"max_active_keys is not set: {keys:g}"
    seen = f"[fernet_tokens] {kept}, and up to {needed - _MORE} rotations {within}: {needed} are needed"
    return Hit(places[0], seen, tuple(places[1:]))


def _reaching(estate: Estate, one: Config) -> list[_Rotation]:
    """The rotations on its machine, and those elsewhere whose keys are copied to every Keystone of its database."""
    database = one.value("database", "connection")
    others = {each.host for each in configs(estate, "keystone") if each.value("database", "connection") == database}
    elsewhere = sorted(others - {one.host}) if database else []
    copied = [each for host in elsewhere for each in _rotations(estate, host) if each.handed_on]
    return [*_rotations(estate, one.host), *copied]


@lru_cache(maxsize=64)
def _rotations(estate: Estate, host: str) -> tuple[_Rotation, ...]:
    """Every job of a machine that is certain to rotate the keys, and of which it is known when."""
    tables = (one for one in estate.of("cron") if one.host == host)
    jobs = [
        (job.place, [cron(job.name)], [job.value])
        for table in tables
        for job in table.root.inside
        if _runs(estate, host, job.value)
    ]
    jobs += _timers(estate, host)
    return tuple(
        _Rotation(place, tuple(one for one in when if one), any(_hands_on(estate, host, one) for one in commands))
        for place, when, commands in jobs
        if any(when)
    )


def _timers(estate: Estate, host: str) -> Iterator[tuple[Place, list[Schedule | None], list[str]]]:
    """The times of systemd's timers whose service rotates the keys, and what it runs."""
    units = {PurePosixPath(one.text.path).name: one for one in estate.of("unit") if one.host == host}
    for name, unit in units.items():
        found = units.get(unit.root.get("Timer", "Unit", default=f"{name.removesuffix('.timer')}.service"))
        if name.endswith(".timer") and found and any(_runs(estate, host, one) for one in _started(found)):
            times = [time for timer in unit.root.all("Timer") for time in timer.all("OnCalendar")]
            if times:
                yield times[-1].place, [calendar(time.value) for time in times], list(_started(found))


def _started(unit: Document) -> Iterator[str]:
    return (start.value for service in unit.root.all("Service") for start in service.all("ExecStart"))


def _runs(estate: Estate, host: str, command: str) -> bool:
    """Whether this, or a script of the machine that it calls, rotates the keys whatever happens."""
    certain = _PERHAPS.split(command, maxsplit=1)[0]
    return _rotates(command) or any(_rotates(one) for one in _called(estate, host, certain))


def _hands_on(estate: Estate, host: str, command: str) -> bool:
    """Whether this, or what it calls, copies keys to other machines."""
    texts = [command]
    for _ in range(_DEEP):
        if any(_HANDS_ON.search(line) for text in texts for _, line in shell.lines(text)):
            return True
        texts = [script for text in texts for script in _called(estate, host, text)]
    return False


def _called(estate: Estate, host: str, text: str) -> list[str]:
    """The scripts of a machine that are named among these commands."""
    words = {PurePosixPath(word).name for _, line in shell.lines(text) for word in shell.words(line)}
    scripts = (one.text for one in estate.of("shell") if one.host == host)
    return [script.body for script in scripts if PurePosixPath(script.path).name in words]


def _rotates(text: str) -> bool:
    """Whether it is certain that commands rotate the keys, directly or in a function that they call."""
    if len(text) > _LONGEST or not _ROTATES.search(text):
        return False
    commands = _USER.sub("", _COMMENT.sub("", text))
    outside = _FUNCTION.sub("", commands)
    inside = [one[1] or one[2] for one in _FUNCTION.finditer(commands) if _certain(_ROTATES, one[3])]
    calls = (re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])") for name in inside)
    return any(_certain(each, outside) for each in (_ROTATES, *calls))


def _certain(what: re.Pattern[str], text: str) -> bool:
    match = what.search(text)
    return match is not None and not _PERHAPS.search(text[: match.end()])


RULES = (
    Rule(
        "KEY009",
        Severity.ERROR,
        "Fernet keys are dropped before the tokens that they made expire",
        "A token whose key is gone is refused, though it has not expired: whoever holds it is logged out, and what a "
        "service was doing for him fails.",
        f"{_FAQ}: I rotated keys and now tokens are invalidating early",
        "Write a max_active_keys of at least token lifetime / time between rotations + 2, rounded up, or rotate less "
        "often.",
        "",
        dropped_in_use,
    ),
    Rule(
        "KEY010",
        Severity.WARNING,
        "Fernet keys are dropped while services may still use the tokens that they made",
        "Services may finish what a token began after it expired, for allow_expired_window (two days by default). "
        "Without the token's key Keystone cannot read it: long snapshots and migrations fail in the middle.",
        f"{_WINDOW}; {_FAQ}",
        "Write a max_active_keys of at least (expiration + allow_expired_window) / time between rotations + 2, rounded "
        "up, or rotate less often.",
        "",
        dropped_in_the_window,
    ),
)
