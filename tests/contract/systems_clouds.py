"""Clouds for the contract suite of systems: built-in ones by name, examples by file name, or a mapping in a case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from quorate.core.system import AnySystem, Claim, Endpoint, Frontend, Site, site_of
from quorate.model.cloud import Cloud

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZES = {"one": 1, "two": 2, "three": 3, "five": 5}
"""Built-in clouds: so many controllers on 10.77.0.0/24 with fenceable machines; `two` has an arbiter."""


def builtin(name: str, systems: Mapping[str, Any], os: str = "debian-13") -> dict[str, Any]:
    """Say the mapping of a built-in cloud: controller1 is 10.77.0.11, the VIP 10.77.0.10."""
    controllers = {
        f"controller{n}": {
            "addresses": {"management": f"10.77.0.{10 + n}"},
            "fencing": {"address": "10.77.0.1", "port": 8000 + n, "system": f"controller{n}"},
        }
        for n in range(1, SIZES[name] + 1)
    }
    cloud = {
        "cloud": "lab",
        "os": os,
        "networks": {"management": {"subnet": "10.77.0.0/24", "interface": "eth0"}},
        "vips": {"api": {"address": "10.77.0.10"}},
        "controllers": controllers,
        "systems": dict(systems),
    }
    if name == "two":
        cloud["arbiter"] = {"address": "10.77.0.9"}
    return cloud


def build(mapping: Mapping[str, Any], systems: Sequence[AnySystem]) -> Cloud:
    """Make the typed cloud: each section below `systems` becomes the Spec of its system."""
    specs = {system.name: system.spec for system in systems}
    sections = {name: specs[name].model_validate(section or {}) for name, section in mapping["systems"].items()}
    return Cloud.model_validate({**mapping, "systems": sections})


def choose(
    wanted: str | Mapping[str, Any], sections: Mapping[str, Any] | None, systems: Sequence[AnySystem], os: str
) -> Cloud:
    """Build the cloud that a case asks for: a built-in name, `NAME.yaml` of examples/, or a mapping."""
    if isinstance(wanted, str) and wanted in SIZES:
        return build(builtin(wanted, sections or {}, os), systems)
    mapping = YAML(typ="safe").load((EXAMPLES / wanted).read_text()) if isinstance(wanted, str) else wanted
    return build({**mapping, "systems": {**mapping.get("systems", {}), **(sections or {})}}, systems)


def every_cloud(systems: Sequence[AnySystem]) -> Iterable[tuple[str, Cloud]]:
    """Built-in clouds of every size and release with all systems at their defaults, and every example."""
    for os in ("debian-13", "debian-12"):
        for size in SIZES:
            yield f"{size}-{os}", build(builtin(size, {system.name: {} for system in systems}, os), systems)
    for path in sorted(EXAMPLES.glob("*.yaml")):
        mapping = YAML(typ="safe").load(path.read_text())
        if isinstance(mapping, dict) and "controllers" in mapping:
            yield path.name, choose(mapping, None, systems, "")


def site(cloud: Cloud, systems: Sequence[AnySystem], extra: Mapping[str, Any]) -> Site:
    """Put together what the enabled systems say, and what a case adds in place of systems that it leaves out."""
    made = site_of(cloud, systems)
    endpoints = [
        Endpoint(**{**entry, "frontend": Frontend(**entry["frontend"]) if entry.get("frontend") else None})
        for entry in extra.get("endpoints", ())
    ]
    claims = [Claim(**entry) for entry in extra.get("claims", ())]
    return Site(cloud, (*made.endpoints, *endpoints), (*made.claims, *claims))
