"""What Quorate itself writes, on clouds of every size with every system, is found to be well by Quorate's own audit."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from systems_clouds import every_cloud, site

from quorate.audit.estate import Text
from quorate.audit.judge import audit
from quorate.audit.versions import of_os
from quorate.cli import files
from quorate.core.resource import File, Resource, Sysctl
from quorate.core.system import enabled
from quorate.model.cloud import Cloud
from quorate.systems import discover

SYSTEMS = discover()
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
CLOUDS = [
    *((name, cloud) for name, cloud in every_cloud(SYSTEMS) if not name.endswith(".yaml")),
    *((path.name, files.load_cloud(path)[0]) for path in EXAMPLES),
]
ACCEPTED: dict[str, str] = {
    "MEM003": "controllers trust their network with the cache; who must not, keeps others off port 11211",
    "RMQ007": "of two controllers neither has a majority, whatever is written",
    "SEC008": "Quorate does not set up TLS for APIs on the management network",
    "SVC007": "the operator brings the folder that all controllers share; `quorate status` looks",
}
"""Findings that are true and that stay, by rule and file name, each with its reason."""


def texts_of(cloud: Cloud) -> Iterator[Text]:
    """Every file of every controller; where a secret is referred to stands one that nobody can guess."""
    about = site(cloud, SYSTEMS, {})
    for host in cloud.names:
        for system in enabled(cloud, SYSTEMS):
            if cloud.os in system.lacks:
                continue
            for resource in system.resources(cloud.systems[system.name], about, host):
                yield from text_of(resource, host)


def text_of(resource: Resource, host: str) -> Iterator[Text]:
    match resource:
        case File(path=path, content=content, mode=mode):
            yield Text(path, re.sub(r"@@secret:[^@]+@@", made_up, content), host, mode)
        case Sysctl(name=name, value=value):
            yield Text(f"/etc/sysctl.d/60-quorate-{name}.conf", f"{name} = {value}\n", host, 0o644)


def made_up(reference: re.Match[str]) -> str:
    return hashlib.sha512(reference[0].encode()).hexdigest() * 2


@pytest.mark.parametrize(("name", "cloud"), CLOUDS, ids=[name for name, _ in CLOUDS])
def test_nothing_is_wrong_with_what_quorate_writes(name: str, cloud: Cloud) -> None:
    came = audit(texts_of(cloud), of_os(cloud.os))
    assert [f"{one.place}: {one.why}" for one in came.unread] == []
    assert {one.kind for one in came.read} >= {"haproxy", "corosync", "mariadb", "keystone"}, name
    found = [
        f"{one.hit.place.host}:{one.hit.place}: {one.rule.name} {one.rule.title}: {one.hit.seen}"
        for one in came.findings
        if one.rule.name not in ACCEPTED
    ]
    assert found == []


def test_what_is_accepted_still_happens() -> None:
    seen = {one.rule.name for _, cloud in CLOUDS for one in audit(texts_of(cloud), of_os(cloud.os)).findings}
    assert set(ACCEPTED) <= seen
