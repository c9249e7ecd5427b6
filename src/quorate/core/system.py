"""What a system is: a frozen record of pure functions. systems/ holds one folder for each; core never names one.

A site is the cloud together with what the systems say to each other: endpoints (where clients find something) and
claims (what one system needs made at another). Systems know kinds of endpoints and claims, never other systems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from quorate.core.act import Run
from quorate.core.backup import Saving
from quorate.core.drill import Drills, Roles
from quorate.core.fault import Hit
from quorate.core.keys import Keyring
from quorate.core.migration import Moving
from quorate.core.observed import Answers, Unknown
from quorate.core.plan import Wave
from quorate.core.resource import Resource
from quorate.core.secret import SecretSpec
from quorate.core.tree import Formula
from quorate.core.verdict import Judgement
from quorate.model.cloud import Cloud, Spec
from quorate.model.rules import Finding

S = TypeVar("S", bound=Spec)
V = TypeVar("V")


@dataclass(frozen=True)
class Frontend:
    """How the proxy on the VIP serves an endpoint from the controllers' own servers (each at its management address).

    Times in milliseconds: a server is checked every `inter`, every `fast_inter` while its state is changing.
    `one_active`: the first healthy server, in the cloud's order, gets everything (a database with one writer).
    """

    mode: Literal["http", "tcp"]
    backend_port: int
    check_port: int
    check_path: str
    one_active: bool = False
    inter: int = 1000
    fast_inter: int = 250
    fall: int = 2
    rise: int = 2
    client_timeout: str = "60s"
    server_timeout: str = "60s"


@dataclass(frozen=True)
class Endpoint:
    """Where clients find something. `kind` is what others ask for: database, identity, cache, proxy, membership …

    `agent`: the OCF agent, `ocf:provider:type`, by which a cluster manager sees on a controller that it really answers.
    `addresses`: where clients themselves choose among several, all of them, in an order that is the same everywhere.
    `path`: which part of what is there is meant (a virtual host). `options`: what clients are to set, by name.
    Port 0: nobody connects to it; that it is there is what others want to know.
    """

    kind: str
    address: str
    port: int
    frontend: Frontend | None = None
    agent: str = ""
    addresses: tuple[str, ...] = ()
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def places(self) -> tuple[str, ...]:
        """Every `address:port` that a client is to know."""
        return tuple(f"{address}:{self.port}" for address in self.addresses or (self.address,))


@dataclass(frozen=True)
class Listing:
    """What the catalog is to say of a service: its type, its name and where it is."""

    type: str
    name: str
    url: str


@dataclass(frozen=True)
class Claim:
    """What a system needs to exist at whoever offers `kind`: a database and its account, say."""

    kind: str
    name: str
    secret: str
    listings: tuple[Listing, ...] = ()


@dataclass(frozen=True)
class Site:
    """The cloud, and what its enabled systems offer to and need of each other.

    `held`: the names of the secrets that there are, where how many is not fixed (core/keys.py).
    `drained`: controllers that are to serve nobody, as somebody ordered (core/draining.py).
    """

    cloud: Cloud
    endpoints: tuple[Endpoint, ...] = ()
    claims: tuple[Claim, ...] = ()
    held: frozenset[str] = frozenset()
    drained: frozenset[str] = frozenset()

    def endpoint(self, kind: str) -> Endpoint:
        """The one endpoint of this kind. KeyError where no enabled system offers it."""
        for endpoint in self.endpoints:
            if endpoint.kind == kind:
                return endpoint
        raise KeyError(kind)

    def has(self, kind: str) -> bool:
        """Whether an enabled system offers this kind."""
        return any(endpoint.kind == kind for endpoint in self.endpoints)

    def claims_on(self, kind: str) -> tuple[Claim, ...]:
        """All that is needed of the system that offers this kind."""
        return tuple(claim for claim in self.claims if claim.kind == kind)


@dataclass(frozen=True)
class Question:
    """A read-only command for one controller. What takes longer than `timeout` seconds is Unknown."""

    name: str
    argv: tuple[str, ...]
    timeout: float = 2.0


@dataclass(frozen=True)
class Trial:
    """How the programs that a controller has installed are asked about a file before it is written.

    `argv`, with `{file}` where the file is. It says on stderr what is wrong, each in a line of its own that begins with
    `marks`, and ends with 1; with 0 where nothing is.
    """

    path: str
    argv: tuple[str, ...]
    marks: str


@dataclass(frozen=True)
class Blocked:
    """A system cannot be formed from this evidence; doing so could lose data or split the cluster.

    `passing`: what stands against it is on its way to something else, so that another look may find it gone.
    """

    reason: str
    evidence: tuple[str, ...] = ()
    passing: bool = False


Formation = Sequence[Wave] | Blocked


@dataclass(frozen=True)
class Terms:
    """On what terms a cloud is recovered. `given`: controllers whose data the operator gives up, seen or not.

    `waited`: seconds in which nothing came back by itself.
    """

    given: frozenset[str] = frozenset()
    waited: float = 0.0


@dataclass(frozen=True)
class Withdrawal:
    """A wave that takes clients away from drained controllers, or lets them come back. `hits`: what clients notice."""

    wave: Wave
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True)
class Kept:
    """Something that is acknowledged only when it lies on the disks of so many members: all that serve, a majority.

    `on` keys: it lies nowhere, and is good while the system's keys are on any disk, or in `secrets.yaml`.
    """

    what: str
    on: Literal["all", "majority", "keys"]


@dataclass(frozen=True)
class Function:
    """Something that people, or services for them, do with the cloud: what an outage is an outage of.

    `name`: what drills call it, who has a client for most. `does`: the same in users' words. `units`: the processes of
    the system that it needs, each on any controller, with these kinds of endpoints (`needs`); none: it needs all that
    the system is and needs. It also needs the functions that it rests on (`Drills.uses`), and `beyond`. `lingers`:
    kinds of endpoints without which it goes on for a while, by what is cached: a drill may see it work.
    """

    name: str
    does: str
    units: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    beyond: tuple[Formula, ...] = ()
    lingers: tuple[str, ...] = ()

    @property
    def verb(self) -> str:
        """What it does as one word, for programs: `validate_token`."""
        return "_".join(word for word in self.does.lower().split() if word not in {"a", "an", "the"})


@dataclass(frozen=True)
class System(Generic[S, V]):
    """A system: what should be, how to look at it, how to judge and form it. All functions are pure.

    `offers` and `needs` are kinds of endpoints; what is needed is formed and changed first. `after`: kinds that come
    first where there are any, and can be done without.
    `quorum`: how many healthy members must be left while one is disturbed (`majority` of all, or `one`).
    `settle`: seconds within which a member must be well again after a disturbance, else apply stops.
    `settling`: what is well and yet not as redundant as it soon will be, in words; empty: nothing.
    `evidence`: what is asked besides when a cloud is to be recovered, which may take long. `recover`: as `form`, from
    all of that and on these terms; None: it comes back as it is formed.
    `impact`: what people should know about the change from what the views show to the site, and no diff shows.
    `roles`: who plays which part now, by what the views show; what they do not show is left out.
    `drills`: what of it can be hit, how it reacts, and its clients; None: drills know nothing of it.
    `spares`: kinds of `needs` without which it works on, slower. `stands`: whether its own processes on all controllers
    together do what they are for (core/tree.py), where that is not a majority of them, nor each of them somewhere.
    `functions`: what it is there for. `keeps`: what its members hold for others.
    `keys`: what of it can be rotated; a member without them does not do what it is for.
    `drained`: who is drained, of the one system that keeps that. `drain`: what is left to do so that nobody depends on
    `Site.drained`, and all others may serve.
    `occupied`: why an empty machine cannot take a controller's place, in words: it holds data, or another one is seen
    in its place; empty: it can, or has.
    `backups`: what of it only a backup brings back. `holders`: controllers that hold, or may hold, such data of their
    own, so that nothing is restored over it: name → what was seen.
    `moves`: how what others claim from it is taken over from a single server of before. `inherits`: folders of keys
    that a controller of before may hold → the stem of the secrets that they become. `unusable`: why its programs cannot
    go on from data of before that has these tables, in words. `answers`: what a controller does as its client, through
    the virtual IP, and waits for until it succeeds. `strays`: what in its data names another place.
    `trials`: of files that its resources hold. `lacks`: release of the operating system → why it cannot be there.
    """

    name: str
    summary: str
    spec: type[S]
    resources: Callable[[S, Site, str], Sequence[Resource]]
    questions: Callable[[S, Site, str], Sequence[Question]]
    read: Callable[[Answers], V]
    judge: Callable[[S, Site, Mapping[str, V | Unknown]], Judgement]
    form: Callable[[S, Site, Mapping[str, V | Unknown]], Formation] = lambda _spec, _site, _views: ()
    evidence: Callable[[S, Site, str], Sequence[Question]] = lambda _spec, _site, _host: ()
    recover: Callable[[S, Site, Mapping[str, V | Unknown], Terms], Formation] | None = None
    endpoints: Callable[[S, Cloud], Sequence[Endpoint]] = lambda _spec, _cloud: ()
    claims: Callable[[S, Cloud], Sequence[Claim]] = lambda _spec, _cloud: ()
    secrets: Callable[[S, Cloud], Sequence[SecretSpec]] = lambda _spec, _cloud: ()
    offers: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    quorum: Literal["majority", "one"] = "one"
    settle: float = 60.0
    warnings: Callable[[S, Cloud], Sequence[str]] = field(default=lambda _spec, _cloud: ())
    settling: Callable[[S, Site, Mapping[str, V | Unknown]], str] = lambda _spec, _site, _views: ""
    impact: Callable[[S, Site, Mapping[str, V | Unknown]], Sequence[str]] = lambda _spec, _site, _views: ()
    roles: Callable[[S, Site, Mapping[str, V | Unknown]], Roles] = lambda _spec, _site, _views: {}
    drills: Drills[S] | None = None
    spares: tuple[str, ...] = ()
    stands: Callable[[S, Site], Formula] | None = None
    functions: Callable[[S, Site], Sequence[Function]] = lambda _spec, _site: ()
    keeps: tuple[Kept, ...] = ()
    keys: Keyring[V] | None = None
    drained: Callable[[S, Site, Mapping[str, V | Unknown]], frozenset[str] | Unknown] | None = None
    drain: Callable[[S, Site, Mapping[str, V | Unknown]], Sequence[Withdrawal]] = lambda _spec, _site, _views: ()
    occupied: Callable[[S, Site, Mapping[str, V | Unknown], str], str] = lambda _spec, _site, _views, _host: ""
    trials: tuple[Trial, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    backups: Callable[[S, Site], Sequence[Saving]] = lambda _spec, _site: ()
    holders: Callable[[S, Site, Mapping[str, V | Unknown]], Mapping[str, str]] = lambda _spec, _site, _views: {}
    moves: Callable[[S, Site], Moving | None] = lambda _spec, _site: None
    inherits: Mapping[str, str] = field(default_factory=dict)
    answers: Callable[[S, Site], Sequence[Run]] = lambda _spec, _site: ()
    unusable: Callable[[S, Mapping[str, frozenset[str]]], Sequence[str]] = lambda _spec, _tables: ()
    strays: Callable[[S, Site, Mapping[str, V | Unknown]], Sequence[str]] = lambda _spec, _site, _views: ()


AnySystem = System[Any, Any]


def site_of(cloud: Cloud, systems: Sequence[AnySystem], held: Iterable[str] = ()) -> Site:
    """Collect what the enabled systems say to each other. `held`: the names of the secrets that there are."""
    chosen = enabled(cloud, systems)
    return Site(
        cloud=cloud,
        endpoints=tuple(e for system in chosen for e in system.endpoints(cloud.systems[system.name], cloud)),
        claims=tuple(c for system in chosen for c in system.claims(cloud.systems[system.name], cloud)),
        held=frozenset(held),
    )


def enabled(cloud: Cloud, systems: Sequence[AnySystem]) -> tuple[AnySystem, ...]:
    """The systems that the cloud wants, in the order in which they are formed."""
    return in_order([s for s in systems if s.name in cloud.systems and cloud.systems[s.name].enabled])


def misfits(cloud: Cloud, systems: Sequence[AnySystem]) -> tuple[Finding, ...]:
    """Tell which enabled systems this release cannot have, and what they need and no enabled one offers."""
    chosen = enabled(cloud, systems)
    offered = {kind for system in chosen for kind in system.offers}
    too_old = tuple(
        Finding(("systems", system.name), f"{system.name} cannot be set up on {cloud.os}: {why}")
        for system in chosen
        if (why := system.lacks.get(cloud.os))
    )
    return too_old + tuple(
        Finding(
            ("systems", system.name),
            f"{system.name} needs {kind!r}, which {other.name} offers, and that is no part of this cloud",
            f"`{other.name}: {{}}` beside it",
        )
        for system in chosen
        for kind in system.needs
        if kind not in offered
        for other in systems
        if kind in other.offers
    )


def in_order(systems: Sequence[AnySystem]) -> tuple[AnySystem, ...]:
    """Put every system behind all that offer what it needs or comes after; ties go by name. ValueError: a cycle."""
    waiting = sorted(systems, key=lambda system: system.name)
    ordered: list[AnySystem] = []
    while waiting:
        offered_later = {kind for system in waiting for kind in system.offers}
        ready = [s for s in waiting if not ({*s.needs, *s.after} - set(s.offers)) & offered_later]
        if not ready:
            raise ValueError(f"systems need each other in a circle: {', '.join(s.name for s in waiting)}")
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return tuple(ordered)
