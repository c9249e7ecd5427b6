"""Templates of configuration files: Jinja2 with strict undefined, found beside the package that renders them."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
    )


def render(package: str, template: str, /, **values: object) -> str:
    """Render `templates/TEMPLATE` of the package. A value that the template names and nobody gave is an error."""
    return _environment(package).get_template(template).render(**values)
