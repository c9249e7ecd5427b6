"""The cloud file as a JSON schema: for editors, and for the reference page that is generated from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, create_model

from quorate.model.cloud import Cloud, Section, Spec


def schema(specs: Mapping[str, type[Spec]]) -> dict[str, Any]:
    """Describe the whole file, with the section of every system."""
    sections: dict[str, Any] = {
        name: (spec | None, Field(default=None, description=_summary(spec))) for name, spec in sorted(specs.items())
    }
    systems: Any = create_model("Systems", __base__=Section, __doc__="The systems, by name.", **sections)
    about = Cloud.model_fields["systems"].description
    file = create_model(
        "CloudFile",
        __base__=Cloud,
        __doc__="A cloud, as `quorate` reads it.",
        systems=(systems | None, Field(default=None, description=about)),
    )
    described = file.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}


def _summary(spec: type[Spec]) -> str:
    return (spec.__doc__ or "").strip().partition("\n")[0]
