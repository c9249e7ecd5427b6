"""What an OpenStack service is made of, as values. Everything else in this room follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import Field

from quorate.core.resource import File
from quorate.core.system import Frontend, Function, Listing, Site
from quorate.model.cloud import Spec

Sections = Mapping[str, Mapping[str, str]]
"""Options of oslo.config: section → name → value."""


class ServiceSpec(Spec):
    """The section of a service. It is part of the cloud where the file names it."""

    optional: ClassVar[bool] = True
    # Three machines of a lab share what one has.
    in_lab: ClassVar[dict[str, Any]] = {"workers": 1}

    workers: int = Field(default=2, ge=1, le=64, description="Processes of each API on a controller.")
    threads: int = Field(default=4, ge=1, le=64, description="Requests that one process of an API serves at a time.")


S = TypeVar("S", bound=ServiceSpec)


@dataclass(frozen=True)
class Api:
    """An API behind the proxy on the VIP, served by uWSGI.

    `kind`: of its endpoint. `type` and `path`: what the catalog says of it; empty: it is not listed. `wsgi`: the file
    that holds the application. `argv`: in place of uWSGI, a server of its own, which tells systemd when it serves, says
    no to health checks while `drain` is there, and lets running requests end at SIGHUP. `private`: a path that wants a
    token, by which it is seen that tokens are validated (`{project}`: the services' own); empty: none does. `granted`:
    what it answers there to a good one. `health`: where the application says without a token that it serves. `forks`:
    it may be loaded before the processes are forked. `threaded`: one process may serve several requests at a time;
    those that eventlet has patched may not. `streams`: requests of unknown length (chunked), as uploads are. `more`:
    lines of uWSGI's settings that only this one needs; `%(address)` in them is the controller's own. `tells`: what
    others may know of it.
    """

    name: str
    kind: str
    port: int
    wsgi: str = ""
    argv: tuple[str, ...] = ()
    type: str = ""
    path: str = ""
    private: str = ""
    granted: int = 200
    health: str = "/healthcheck"
    forks: bool = False
    threaded: bool = True
    streams: bool = False
    more: tuple[str, ...] = ()
    tells: Mapping[str, str] = field(default_factory=dict)

    @property
    def drain(self) -> str:
        """The file that is there while it takes its leave."""
        return f"/run/{self.name}/drain"

    def url(self, vip: str) -> str:
        """Where clients find it; `%(project_id)s` in it is theirs to fill in."""
        return f"http://{vip}:{self.port}{self.path}"


@dataclass(frozen=True)
class Daemon:
    """A process that is no API; most talk by messages only. `wanted`: whether the cloud has it.

    `kind`: what it offers. `frontend`: where clients come to it through the VIP all the same. `group`: in the
    coordination, whose members, one of each controller, divide the work. `leaves`: what it started goes on without it.
    """

    name: str
    argv: tuple[str, ...]
    packages: tuple[str, ...] = ()
    wanted: Callable[[Any], bool] = lambda _spec: True
    kind: str = ""
    frontend: Frontend | None = None
    group: str = ""
    leaves: bool = False


@dataclass(frozen=True)
class Schema:
    """A database with its tables. The account has the database's name.

    `section`: where the service's configuration says how to reach it. `migrations`: below the distribution's Python
    packages, the folder of alembic's versions, or those of Django's migrations, one for each of its applications.
    `sync`: brings it to the installed version. `brings`: table → condition (SQL) that holds of rows which somebody
    made, where the schema brings rows of its own.
    """

    database: str
    section: str
    migrations: str | tuple[str, ...]
    sync: tuple[str, ...]
    brings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Once:
    """Something to be done once for the whole cloud. `query`, in `database`: its first value is 0 until it is done."""

    title: str
    database: str
    query: str
    argv: Callable[[Site], tuple[str, ...]]


@dataclass(frozen=True)
class Service(Generic[S]):
    """A service. `config`: the file that its options go to. `options`: what only this service needs.

    `oslo`: it is read by oslo.config; else `options` are all that stands in it. `account`: the section of it that says
    who the service is at Keystone. `files`: what it reads beside `config`; `readers`: whose options those hold that
    oslo.config reads, by path. `reading`: a path, below the first API's, whose answer holds a list under
    `reading_key`; empty: drills have no client for it. `messages`: it talks to others by messages. `shared`: a folder
    that every controller must see the same of. `functions`: what it is there for, beside reading. `brought`: files that
    the operator brings, the same ones to every controller, without which nothing of it can start; `bring`: what to do
    where they are missing.
    `secrets`: what it shares with others, by name. `namespaces`: whose options it reads, beside `NAMESPACES`;
    `own_groups`: those that its options give a name to, or that its lists leave out. `unwanted`: units that its
    packages bring and switch on, and nobody asked for.
    """

    name: str
    summary: str
    packages: tuple[str, ...]
    config: str
    options: Callable[[S, Site, str], Sections]
    oslo: bool = True
    apis: tuple[Api, ...] = ()
    daemons: tuple[Daemon, ...] = ()
    schemas: tuple[Schema, ...] = ()
    once: tuple[Once, ...] = ()
    account: str = "keystone_authtoken"
    files: Callable[[S, Site, str], tuple[File, ...]] = lambda _spec, _site, _host: ()
    readers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reading: str = ""
    reading_key: str = ""
    messages: bool = False
    shared: Callable[[S], str] = lambda _spec: ""
    functions: tuple[Function, ...] = ()
    brought: Callable[[S], tuple[str, ...]] = lambda _spec: ()
    bring: str = ""
    needs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    own_groups: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        """Who its processes run as, whose files they read, and its account at Keystone."""
        return self.name

    def daemons_of(self, spec: S) -> tuple[Daemon, ...]:
        """Those that the cloud has."""
        return tuple(daemon for daemon in self.daemons if daemon.wanted(spec))

    def units(self, spec: S) -> tuple[str, ...]:
        """All units, APIs first."""
        processes: tuple[Api | Daemon, ...] = (*self.apis, *self.daemons_of(spec))
        return tuple(f"{one.name}.service" for one in processes)

    def secret(self, what: str) -> str:
        """Name a secret of its own: `database`, `identity`, `messaging` or `cache`."""
        return f"{self.name}.{what}"

    def listings(self, vip: str) -> tuple[Listing, ...]:
        """What the catalog is to say of it."""
        named = ((self.name if api is self.apis[0] else api.name, api) for api in self.apis if api.type)
        return tuple(Listing(api.type, name, api.url(vip)) for name, api in named)


AnyService = Service[Any]
