"""Collects the texts that an audit reads: from folders and files. Reads only."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from quorate.audit.estate import Text
from quorate.errors import InvalidInput, Problem

LARGEST = 4 * 1024 * 1024
"""Bytes of one file: no configuration is larger, and logs and databases are."""


def collect(paths: Sequence[Path]) -> list[Text]:
    """Read every file at or below these. InvalidInput names all that are not there."""
    missing = [Problem(str(path), 0, "", "there is no such file or folder") for path in paths if not path.exists()]
    if missing:
        raise InvalidInput("nothing was read", problems=missing)
    return [text for path in paths for text in _below(path)]


def _below(root: Path) -> Iterator[Text]:
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    for path in files:
        if path.stat().st_size <= LARGEST:
            body = path.read_bytes()
            if b"\0" not in body:
                yield Text(str(path), body.decode(errors="replace"), host_of(path.relative_to(root)), _mode(path))


def host_of(path: Path) -> str:
    """Say which machine a file is from: the folder above `etc`, or the first one, below what was asked for."""
    folders = path.parts[:-1]
    if "etc" in folders:
        return folders[folders.index("etc") - 1] if folders.index("etc") else ""
    return folders[0] if folders else ""


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
