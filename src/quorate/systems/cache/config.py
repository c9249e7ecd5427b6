"""The cache: its section of cloud.yaml, the endpoint that it offers, and what one should know of the engine."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from quorate.core.system import Endpoint
from quorate.model.cloud import Cloud, Section, Spec

PORT = 22122
SERVER_PORT = 11211
"""Where memcached listens. Endpoints are collected before systems know of each other; a test holds this to be so."""

Engine = Literal["quorate", "twemproxy", "memcached-proxy", "direct", "localhost"]
PROXIES: tuple[Engine, ...] = ("quorate", "twemproxy", "memcached-proxy")
"""The engines that are daemons of their own, at 127.0.0.1:PORT."""


class RingSection(Section):
    """How keys find their servers. Another ring finds them elsewhere: `quorate plan` says how much is lost by it."""

    kind: Literal["quorate", "ketama", "modula", "random", "libmemcached", "python-memcached", "pymemcache"] = Field(
        default="quorate",
        description="The balancer's own; to keep what is cached twemproxy's (ketama, modula, random) or a client's.",
    )
    hash: Literal[
        "one_at_a_time", "md5", "crc16", "crc32", "crc32a", "fnv1_64", "fnv1a_64", "fnv1_32", "fnv1a_32",
        "hsieh", "murmur", "jenkins",
    ] = Field(default="fnv1a_64", description="For twemproxy's kinds: its `hash`.")  # fmt: skip
    hash_tag: str = Field(
        default="",
        pattern=r"^([!#-\[\]-~]{2})?$",
        description="For twemproxy's kinds: its `hash_tag`, two characters.",
    )


class TimingSection(Section):
    """How soon a server is given up, and when it is used again. Milliseconds."""

    probe: int = Field(default=100, ge=10, le=10000, description="Interval of probes, ms.")
    suspect: int = Field(
        default=60, ge=5, le=10000, description="A change answered later than this, ms: the server is given up."
    )
    hedge: int = Field(
        default=15,
        ge=1,
        le=10000,
        description="A read answered later than this, ms, is asked of another copy, until it is known what is usual.",
    )
    deadline: int = Field(
        default=300, ge=10, le=900, description="No request takes longer, ms. Below the clients' own 1 s."
    )
    lease: int = Field(
        default=500, ge=20, le=60000, description="How long what the balancers told each other is trusted, ms."
    )
    settle: int = Field(
        default=1000,
        ge=10,
        le=600000,
        description="After so long, ms, of good probes a server has executed whatever reached it before.",
    )
    dead: int = Field(
        default=10000, ge=100, le=3600000, description="A balancer that was not heard of for so long, ms, is dead."
    )
    fill: int = Field(
        default=60000, ge=0, le=86400000, description="How long an emptied server is filled from the others, ms."
    )
    rise: int = Field(default=2, ge=1, le=100, description="Good probes before a server is used again.")

    @model_validator(mode="after")
    def _fits_together(self) -> TimingSection:
        """Hold the rules that the balancer itself holds."""
        for holds, rule in (
            (self.hedge < self.suspect, "hedge must be less than suspect"),
            (self.suspect < self.deadline, "suspect must be less than deadline"),
            (self.lease >= 2 * self.probe, "lease must be at least twice probe"),
            (self.dead > 2 * self.lease, "dead must be more than twice lease"),
        ):
            if not holds:
                raise ValueError(rule)
        return self


class QuorateSection(Section):
    """The engine `quorate`: our own balancer."""

    copies: int = Field(
        default=2,
        ge=1,
        le=9,
        description="Servers that hold each key; as many as there are controllers where those are fewer.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=16,
        description="Processes on each controller; each uses one core at most.",
    )
    max_connections: int = Field(
        default=10000,
        ge=16,
        le=100000,
        description="Clients at a time, for each worker; further ones are told so and closed.",
    )
    max_item_mb: int = Field(default=1, ge=1, le=128, description="Largest item, MiB: what memcached's own is.")
    memory_mb: int = Field(
        default=512, ge=64, description="Memory that the balancer may use, MiB; it is started again beyond that."
    )
    metrics_port: int = Field(
        default=22123,
        ge=0,
        le=65535,
        description="Where, on the loopback, Prometheus finds /metrics and anybody /health; 0: nowhere.",
    )
    ring: RingSection = Field(default=RingSection(), description="How keys find their servers.")
    timing: TimingSection = Field(
        default=TimingSection(), description="How soon a server is given up, and when it is used again."
    )


class TwemproxySection(Section):
    """The engine `twemproxy`: how soon a server that stops answering is left out, and for how long."""

    timeout_ms: int = Field(
        default=400,
        ge=50,
        le=900,
        description="Wait for a server, ms. Below the clients' own 1 s, else they give up on the proxy as a whole.",
    )
    failure_limit: int = Field(default=2, ge=1, le=10, description="Failures in a row that take a server out.")
    retry_ms: int = Field(
        default=30000, ge=1000, description="After this time, ms, a server that was taken out is tried again."
    )


class MemcachedProxySection(Section):
    """The engine `memcached-proxy`: memcached's own proxy, of Debian 13."""

    timeout_ms: int = Field(
        default=400,
        ge=50,
        le=900,
        description="Wait for a server, ms. Below the clients' own 1 s; the proxy's own is 3 s.",
    )
    failure_limit: int = Field(default=2, ge=1, le=10, description="Failures in a row that take a server out.")
    retry_ms: int = Field(
        default=1000, ge=100, description="After this time, ms, a server that was taken out is tried again."
    )
    threads: int = Field(default=4, ge=1, le=64, description="Its threads (`-t`).")


class CacheSpec(Spec):
    """The section `cache`: through what services reach the memcached servers."""

    engine: Engine = Field(
        default="quorate",
        description="What stands between services and servers. `direct`: nothing, they know all servers; `localhost`: "
        "nothing, each knows only its own controller's.",
    )
    quorate: QuorateSection = Field(default=QuorateSection(), description="How the engine `quorate` works.")
    twemproxy: TwemproxySection = Field(default=TwemproxySection(), description="How the engine `twemproxy` works.")
    memcached_proxy: MemcachedProxySection = Field(
        default=MemcachedProxySection(), description="How the engine `memcached-proxy` works."
    )


def endpoints(spec: CacheSpec, cloud: Cloud) -> tuple[Endpoint, ...]:
    """The cache, on every controller at a loopback address of its own; with `direct` all servers, equal everywhere."""
    if spec.engine == "direct":
        addresses = tuple(cloud.address(name) for name in cloud.names)
        return (Endpoint("cache", addresses[0], SERVER_PORT, addresses=addresses),)
    return (Endpoint("cache", "127.0.0.1", SERVER_PORT if spec.engine == "localhost" else PORT),)


_OLD = "a server that was cut off and comes back holds what was deleted or overwritten meanwhile, and it is believed"
_KNOWN = {
    "quorate": (),
    "twemproxy": (f"with the engine twemproxy {_OLD}",),
    "memcached-proxy": (f"with the engine memcached-proxy {_OLD}",),
    "direct": (
        f"with the engine direct {_OLD}; while a server is silent every client finds out for itself, and waits",
    ),
    "localhost": (
        (
            "with the engine localhost each controller caches for itself: what was changed through another one (a "
            "token revoked, say) it still has until it expires"
        ),
    ),
}


def no_such_engine(spec: CacheSpec, cloud: Cloud) -> str:
    """Why this engine cannot run on these controllers; empty where it can."""
    if spec.engine == "memcached-proxy" and cloud.os == "debian-12":
        return "memcached of Debian 12 is built without its proxy: choose another engine, or Debian 13"
    return ""


def warnings(spec: CacheSpec, cloud: Cloud) -> tuple[str, ...]:
    """What is known to go wrong with the engine, with two servers, or with the whole choice."""
    found = list(_KNOWN[spec.engine])
    if reason := no_such_engine(spec, cloud):
        found.append(f"{reason}; plan and apply refuse it")
    if spec.engine == "quorate" and len(cloud.names) == 2:
        found.append("of two servers none can tell whether the other was lost or cut off: old values may be believed")
    return tuple(found)
