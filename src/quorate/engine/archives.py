"""Reads configuration out of archives, without unpacking them onto a disk. Nothing that one says of itself is believed.

Its members are only names to be read: one that leads outside is not read, links are followed inside of it only, and so
many bytes are unpacked and no more, whatever it says (`gather.py` chooses, as it does for folders).
"""

from __future__ import annotations

import gzip
import posixpath
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from quorate.transport.remote import gather

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".zip")
UNPACKED = 1 << 30
"""Bytes that are unpacked of one archive, at most."""
AT_ONCE = 64 << 20
TOTAL = 256 << 20
BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # an encrypted zip
    OverflowError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


@dataclass(frozen=True)
class Member:
    """What an archive holds under one name. `order`: where in the archive; `mode`: None where nobody knows it."""

    order: int
    link: str | None
    mode: int | None
    read: Callable[[int], bytes]


def is_archive(path: Path) -> bool:
    """Whether its name says so."""
    return path.name.endswith(SUFFIXES)


def gathered(archive: Path, names: str) -> dict[str, Any]:
    """Give what `gather.gather` gives of a folder, of an archive. One that is broken gives what was read before."""
    unread: list[dict[str, Any]] = []
    files: list[dict[str, Any]] = []
    try:
        with ExitStack() as stack:
            members = _members(archive, stack, unread)
            links = {path: member.link for path, member in members.items()}
            chosen = list(gather.pick(links, names, str(archive), unread))
            left = TOTAL
            for path, target in sorted(chosen, key=lambda one: members[one[1]].order):
                member = members[target]
                try:
                    text = gather.text_of(member.read(min(left, gather.LARGEST) + 1), left)
                except BROKEN as error:
                    unread.append({"path": f"{archive}/{path}", "why": _why(error)})
                    continue
                left -= len(text)
                files.append({"path": f"{archive}/{path}", "mode": member.mode, "text": text})
    except BROKEN as error:
        unread.append({"path": str(archive), "why": f"the archive cannot be read: {_why(error)}"})
    return {"files": files, "unread": unread}


def _why(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def _members(archive: Path, stack: ExitStack, unread: list[dict[str, Any]]) -> dict[str, Member]:
    """Everything in it, by its path; of the same path twice, the last, which is what unpacking would leave."""
    found: dict[str, Member] = {}
    several = _of_zip(archive, stack) if archive.suffix == ".zip" else _of_tar(archive, stack)
    for name, member in several:
        path = posixpath.normpath(name.lstrip("/"))
        if path.split("/")[0] == "..":
            unread.append({"path": f"{archive}/{name}", "why": "its path leads outside of the archive"})
            continue
        found[path] = member
        if len(found) > gather.ENTRIES:
            why = f"it holds more than {gather.ENTRIES} files: the rest was not looked at"
            unread.append({"path": str(archive), "why": why})
            break
    return found


def _of_tar(archive: Path, stack: ExitStack) -> Iterator[tuple[str, Member]]:
    raw = stack.enter_context(archive.open("rb"))
    packed = archive.suffix in {".gz", ".tgz"}
    file = _Bounded(stack.enter_context(gzip.GzipFile(fileobj=raw)) if packed else raw)
    tar = stack.enter_context(tarfile.TarFile(fileobj=file))  # type: ignore[arg-type]
    for number, info in enumerate(tar):
        link = info.linkname if info.issym() else None
        if info.islnk():
            link = posixpath.relpath(f"/{info.linkname}", posixpath.dirname(f"/{info.name}"))
        if info.isreg() or link is not None:
            mode = info.mode & 0o7777 if info.uid == 0 else None
            yield info.name, Member(number, link, mode, _tar_reader(tar, info))


def _tar_reader(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[int], bytes]:
    """Files that do not belong to root were copied by somebody: their permissions say nothing of the machine."""

    def read(largest: int) -> bytes:
        file = tar.extractfile(info)
        return file.read(largest) if file is not None else b""

    return read


def _of_zip(archive: Path, stack: ExitStack) -> Iterator[tuple[str, Member]]:
    packed = stack.enter_context(zipfile.ZipFile(archive))
    for number, info in enumerate(packed.infolist()):
        if info.filename.endswith("/"):
            continue
        read = _zip_reader(packed, info)
        is_link = info.create_system == 3 and stat.S_ISLNK(info.external_attr >> 16)
        yield info.filename, Member(number, read(4096).decode(errors="replace") if is_link else None, None, read)


def _zip_reader(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[int], bytes]:
    def read(largest: int) -> bytes:
        with packed.open(info) as file:
            return file.read(largest)

    return read


class _Bounded:
    """A file of which so much may be read and no more, and so much at once."""

    def __init__(self, file: BinaryIO | gzip.GzipFile) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= AT_ONCE:
            raise tarfile.ReadError(f"a part of it says that it is {size} bytes long")
        self._allow(self._file.tell() + size)
        return self._file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        self._allow(place)
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _allow(self, place: int) -> None:
        if place > UNPACKED + AT_ONCE:
            raise tarfile.ReadError(f"it is longer than {UNPACKED >> 30} GiB once it is unpacked")
