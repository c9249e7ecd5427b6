"""The key file of backups: made once, kept where no backup of it is needed to read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from secrets import token_bytes

import click

from quorate.cli import files
from quorate.engine.sealed import KEY, key_of, new_key
from quorate.errors import InvalidInput, Refused

key_option = click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The key of the backups.  [default: backup.key beside the cloud file]",
)
_LONGEST = 4096


def path_of(key_file: Path | None, cloud_file: Path) -> Path:
    """Where the key lies."""
    return key_file or cloud_file.with_name("backup.key")


def make(path: Path) -> None:
    """Write a new key (0600). Refused where a file is: backups may need it."""
    if path.exists():
        raise Refused(f"{path} exists and is not overwritten", hint="Older backups can be opened with their key only.")
    files.write_private(path, new_key(token_bytes(KEY)) + "\n")


def read(path: Path) -> bytes:
    """Read a key, if nobody else can."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            raw = file.read(_LONGEST)
    except FileNotFoundError:
        hint = "`quorate backup key` makes one, once. Keep a copy of it away from this machine and from the backups."
        raise InvalidInput(f"{path}: there is no key for backups", hint=hint) from None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None
    if mode & 0o077:
        raise InvalidInput(f"{path} can be read by others (mode {mode:04o})", hint=f"chmod 600 {path}")
    try:
        return key_of(raw.decode("ascii"))
    except ValueError as error:
        raise InvalidInput(f"{path} is no key of backups: {error}") from None


def refuse_inside(path: Path, key: bytes, contents: Mapping[str, bytes], destination: str) -> None:
    """Raise Refused where the key would be in the backup, or lies with the backups: who lost it could open none."""
    text = new_key(key).encode()
    inside = [name for name, data in contents.items() if text in data]
    if inside:
        hint = "Take it out there: whoever has lost the file needs the key that is in it to get it back."
        raise Refused(f"the key would be in the backup that it closes: it stands in {', '.join(inside)}", hint=hint)
    folder = Path(destination)
    if "://" not in destination and path.resolve().is_relative_to(folder.resolve()):
        hint = "Keep it elsewhere, and say where with --key: who takes the backups would have the key as well."
        raise Refused(f"the key {path} lies with the backups, in {folder}", hint=hint)
