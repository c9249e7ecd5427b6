"""No token is ever invalid before its time, whatever interrupts rotations and whoever is away meanwhile.

Real keys, and tokens made and taken as Keystone does it: the files of a folder by number, the highest first, into
cryptography's MultiFernet, which makes with the first and takes what any of them made. The controllers' files change
one at a time, in the order in which an apply would change them, and only when a rule of this machine says so: between
any two of them anything may happen.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from systems_clouds import build, builtin

from quorate.core.keys import Next, Rings, astray, decide, digest_of, read, retired, written
from quorate.core.observed import Unknown
from quorate.core.resource import File, Gone
from quorate.core.secret import names_in
from quorate.core.system import Site
from quorate.systems.keystone.config import ROTATED, key_files

HOSTS = ("controller1", "controller2", "controller3")
CLOUD = build(builtin("three", {}), ())
TOKENS = ROTATED[0]
SKEW = timedelta(minutes=29)
"""How far a controller's clock is from the operator's: two of them are less than the margin apart."""
ALL = 99
ACTS = st.just((ALL,) * 3) | st.tuples(*[st.sampled_from((ALL, 0, 1, 2, 3))] * 3)
"""How many files are written on each controller: all on all, as a rule."""
HOURS = st.sampled_from((0, 0.1, 24, 49, 50))


@dataclass
class Controller:
    """The keys on its disk, by path, and whether it can be reached. It serves its own clients in any case."""

    skew: timedelta
    files: dict[str, str] = field(default_factory=dict)
    up: bool = True

    def ring(self) -> MultiFernet:
        """As keystone.common.fernet_utils.load_keys and the token formatter have it."""
        return MultiFernet([Fernet(key) for key in self._keys()])

    def primary(self) -> str:
        """The key that makes tokens."""
        return self._keys()[0]

    def _keys(self) -> list[str]:
        folder = f"{TOKENS.folder}/"
        numbered = {int(path.removeprefix(folder)): key for path, key in self.files.items() if path.startswith(folder)}
        return [numbered[number] for number in sorted(numbered, reverse=True)]


class Rotations(RuleBasedStateMachine):
    """Three controllers, one secrets.yaml, and tokens of any age."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 11, 30, tzinfo=UTC)
        self.made = 0
        self.values: dict[str, str] = {}
        self._keep(written({one: read(one, self._first(one.stem)) for one in ROTATED}))
        self.hosts: dict[str, Controller] = {}
        self.tokens: dict[str, tuple[bytes, datetime]] = {}

    @initialize(skews=st.tuples(*[st.sampled_from((-SKEW, timedelta(), SKEW)) for _ in HOSTS]))
    def formed(self, skews: tuple[timedelta, ...]) -> None:
        self.hosts = {host: Controller(skew) for host, skew in zip(HOSTS, skews, strict=True)}
        for controller in self.hosts.values():
            controller.files = {
                one.path(n): key for one, keys in self._rings().items() for n, key in keys.values.items()
            }

    @rule(begins=st.booleans(), acts=ACTS, notes=st.booleans(), hours=HOURS)
    def an_operator_works(self, *, begins: bool, acts: tuple[int, ...], notes: bool, hours: float) -> None:
        """A rotation, or an apply, which may end after any file of any controller; and then time passes."""
        if begins:
            follows = decide(self._rings(), self._seen(), self.now, self._fresh)
            if isinstance(follows, Next):
                self._keep(written(follows.rings))
        for host, how_many in zip(HOSTS, acts, strict=True):
            if self.hosts[host].up:
                self._write(host, how_many)
        if notes and not astray(self._rings(), self._seen()):
            self._keep(written(retired(self._rings(), self.now)))
        self.now += timedelta(hours=hours)

    @rule(host=st.sampled_from(HOSTS))
    def a_controller_goes(self, host: str) -> None:
        self.hosts[host].up = False

    @rule()
    def all_come_back(self) -> None:
        for host in self.hosts.values():
            host.up = True

    # --- what must hold ---

    @invariant()
    def every_token_is_good_everywhere_until_it_expires(self) -> None:
        """All that were ever made: for each key the youngest one speaks for the older ones, which expire before it."""
        for controller in self.hosts.values():
            made = self.now + controller.skew
            key = controller.primary()
            if key not in self.tokens or self.tokens[key][1] < made:
                self.tokens[key] = controller.ring().encrypt_at_time(b"who", int(made.timestamp())), made
        for host, controller in self.hosts.items():
            ring = controller.ring()
            for token, made in self.tokens.values():
                if self.now + controller.skew < made + TOKENS.lifetime:
                    try:
                        assert ring.decrypt(token) == b"who"
                    except InvalidToken:
                        raise AssertionError(f"{host} does not take a token of {made} at {self.now}") from None

    def _first(self, stem: str) -> Mapping[str, str]:
        return {f"{stem}_0": self._fresh(), f"{stem}_1": self._fresh()}

    def _fresh(self) -> str:
        self.made += 1
        return base64.urlsafe_b64encode(2 * self.made.to_bytes(16, "big")).decode()  # half of it signs, half encrypts

    def _rings(self) -> Rings:
        return {one: read(one, self.values) for one in ROTATED}

    def _keep(self, rings: Mapping[str, str]) -> None:
        self.values = dict(rings)

    def _seen(self) -> dict[str, Mapping[str, str] | Unknown]:
        return {
            host: {path: digest_of(key) for path, key in one.files.items()} if one.up else Unknown(why="off")
            for host, one in self.hosts.items()
        }

    def _write(self, host: str, how_many: int) -> None:
        """Do the first few acts of those that an apply would do now."""
        files = self.hosts[host].files
        folders = {one.folder for one in ROTATED}
        for resource in key_files(Site(CLOUD, held=frozenset(self.values))):
            if not isinstance(resource, File | Gone) or resource.path.rpartition("/")[0] not in folders or not how_many:
                continue
            if isinstance(resource, File):
                (name,) = names_in(resource.content)
                if files.get(resource.path) == self.values[name]:
                    continue
                files[resource.path] = self.values[name]
            elif files.pop(resource.path, None) is None:
                continue
            how_many -= 1
            self.every_token_is_good_everywhere_until_it_expires()


TestRotations = Rotations.TestCase
TestRotations.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
