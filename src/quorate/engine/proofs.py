"""What this machine knows of backups that were restored successfully: `.quorate/proved.json` beside the cloud file.

`status` tells its age. It holds the newest backup that was proved from here; what others proved lies sealed beside
the backups, where `status` does not look.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from quorate.core.backup import Proved
from quorate.core.observed import Unknown

_FILE = "proved.json"


class Known(BaseModel):
    """A backup that was restored with success, and where it lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    where: str
    proved: Proved


def note(base: Path, known: Known) -> None:
    """Keep it, unless a newer backup was proved before. `base`: the folder of the cloud file."""
    have = last(base)
    if isinstance(have, Known) and have.proved.taken > known.proved.taken:
        return
    folder = base / ".quorate"
    folder.mkdir(mode=0o700, exist_ok=True)
    fresh = folder / f"{_FILE}.{os.getpid()}"
    try:
        fresh.write_text(known.model_dump_json(indent=2) + "\n", encoding="utf-8")
        fresh.replace(folder / _FILE)
    finally:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()


def last(base: Path) -> Known | Unknown | None:
    """The newest one. None: none was proved from here; Unknown: what is noted cannot be read."""
    try:
        return Known.model_validate_json((base / ".quorate" / _FILE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        return Unknown(why=f"what is noted of backups cannot be read: {type(error).__name__}")
