"""Ceilometer: what is used, as samples, and what happens, as events. Two agents on every controller.

The central agents ask other services' APIs and divide that among themselves, by what the coordination says of who is
there. The notification agents take what all services send by messages, each the next one, and publish it. It has no API
and no database: where its data goes is the operator's choice (`publishers`). By default that is files, as those take
everything and need nobody: a queue that nobody empties would grow until the message servers stop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from quorate.core.resource import File
from quorate.core.secret import reference
from quorate.core.system import Function, Site
from quorate.openstack.options import coordination, credentials, region
from quorate.openstack.service import Daemon, Sections, Service, ServiceSpec
from quorate.openstack.system import system_of

TELEMETRY_SECRET = "ceilometer.telemetry"  # noqa: S105 - the name of a secret
FOLDER = "/etc/ceilometer"
FILES = "file:///var/lib/ceilometer/{what}.json?json&max_bytes=104857600&backup_count=9"
"""A gigabyte of each, on every controller, of which the oldest tenth is given up for what is new."""
EVENTS = ("file", "gnocchi", "http", "https", "notifier", "zaqar")
SAMPLES = (*EVENTS, "opentelemetryhttp", "prometheus", "tcp", "udp")
"""Who takes what: entry points `ceilometer.event.publisher` and `ceilometer.sample.publisher`."""
METERS = {
    "image": ("image.size",),
    "network": ("ip.floating",),
    "volumev3": ("volume.size", "volume.snapshot.size", "volume.backup.size"),
}
"""What is polled, by whom the catalog must list: others would be missed, and logged, in each round."""


class CeilometerSpec(ServiceSpec):
    """Telemetry. Part of the cloud where the file names it: `ceilometer: {}` will do. It needs a coordination."""

    workers: int = Field(
        default=1, ge=1, le=64, description="Processes of the notification agent; one if it writes files."
    )
    threads: int = Field(default=64, ge=1, le=1024, description="Notifications that a process works on at a time.")
    interval_s: int = Field(default=300, ge=10, le=86400, description="Seconds between two rounds of polling.")
    publishers: tuple[str, ...] = Field(
        default=(FILES,),
        min_length=1,
        description="Where samples and events go, as Ceilometer writes it (`notifier://`, `gnocchi://`, …); `{what}` "
        "stands for `samples` or `events`. Those that take no events (`prometheus`, `opentelemetryhttp`, `tcp`, `udp`) "
        "get samples only.",
    )

    @field_validator("publishers")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if scheme(one) not in SAMPLES or any(letter in one for letter in "\n\r"):
                problem = {"found": one, "allowed": ", ".join(f"{name}://…" for name in sorted(SAMPLES))}
                raise PydanticCustomError("publisher", "{found} is no publisher of Ceilometer", problem)
        return value

    @model_validator(mode="after")
    def _one_writer(self) -> Self:
        """Refuse several processes that move the same file away under each other."""
        if self.workers > 1 and any(scheme(one) == "file" for one in self.publishers):
            problem = {"found": str(self.workers), "allowed": "workers: 1, or publishers that are no files"}
            raise PydanticCustomError("workers", "{found} processes would write the same files", problem)
        return self


def scheme(publisher: str) -> str:
    """Say which publisher an address is for."""
    return publisher.partition("://")[0] if "://" in publisher else ""


def _of_events(spec: CeilometerSpec) -> list[str]:
    return [one.replace("{what}", "events") for one in spec.publishers if scheme(one) in EVENTS]


def _of_samples(spec: CeilometerSpec) -> list[str]:
    return [one.replace("{what}", "samples") for one in spec.publishers]


def _options(spec: CeilometerSpec, site: Site, host: str) -> Sections:
    return {
        "DEFAULT": {"host": host, "http_timeout": "30", "max_parallel_requests": str(spec.threads)},
        "service_credentials": {**credentials(SERVICE, site), "region_name": region(site), "interface": "internal"},
        "coordination": {"backend_url": coordination(site)},
        "notification": {"workers": str(spec.workers), **({} if _of_events(spec) else {"pipelines": "meter"})},
        "publisher": {"telemetry_secret": reference(TELEMETRY_SECRET)},
    }


def _pipeline(what: str, publishers: list[str]) -> dict[str, Any]:
    """Everything of that kind to all publishers."""
    return {
        "sources": [{"name": "all", what: ["*"], "sinks": ["all"]}],
        "sinks": [{"name": "all", "publishers": publishers}],
    }


def _files(spec: CeilometerSpec, site: Site, _host: str) -> tuple[File, ...]:
    """What is asked for, and what becomes of it."""
    listed = {listing.type for claim in site.claims_on("identity") for listing in claim.listings}
    meters = [meter for service, meters in METERS.items() if service in listed for meter in meters]
    source = {"name": "central", "interval": spec.interval_s, "meters": meters}
    polling = {"sources": [source] if meters else []}
    found = [
        File(f"{FOLDER}/polling.yaml", _yaml(polling)),
        File(f"{FOLDER}/pipeline.yaml", _yaml(_pipeline("meters", _of_samples(spec))), 0o640, group="ceilometer"),
    ]
    if events := _of_events(spec):
        pipeline = _yaml(_pipeline("events", events))
        found.append(File(f"{FOLDER}/event_pipeline.yaml", pipeline, 0o640, group="ceilometer"))
    return tuple(found)


def _yaml(content: Mapping[str, Any]) -> str:
    """JSON is YAML, too."""
    return f"# Written by quorate: change cloud.yaml instead.\n{json.dumps(content, indent=2, ensure_ascii=False)}\n"


SERVICE = Service(
    name="ceilometer",
    summary="telemetry: central agents that share the polling, and notification agents, on every controller",
    packages=("ceilometer-agent-central", "ceilometer-agent-notification"),
    config=f"{FOLDER}/ceilometer.conf",
    account="service_credentials",
    options=_options,
    files=_files,
    daemons=(
        Daemon("ceilometer-agent-notification", ("/usr/bin/ceilometer-agent-notification",), kind="telemetry"),
        Daemon(
            "ceilometer-agent-central",
            ("/usr/bin/ceilometer-polling", "--polling-namespaces", "central"),
            group="central-global",
        ),
    ),
    messages=True,
    needs=("coordination",),
    secrets=(TELEMETRY_SECRET,),
    namespaces=("ceilometer", "ceilometer-auth"),
    functions=(Function("metering", "collect measurements"),),
)

SYSTEM = system_of(SERVICE, CeilometerSpec)
