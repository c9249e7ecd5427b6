"""The options that every verb has, said once."""

from __future__ import annotations

from pathlib import Path

import click

cloud_option = click.option(
    "--cloud",
    "-c",
    "cloud_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("cloud.yaml"),
    show_default=True,
    help="The file that describes the cloud; secrets.yaml lies beside it.",
)
output_option = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="For people or programs."
)
