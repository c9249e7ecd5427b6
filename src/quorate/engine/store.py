"""Where backups lie: a folder of this machine, or of one that ssh reaches. Files go in under a name that is not final.

Both kinds take and give pieces, never a whole file. What they raise is QuorateError in words of the place.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from quorate.core.backup import PARTIAL, PROVED, SEALED
from quorate.errors import InvalidInput, QuorateError, Refused
from quorate.transport.contract import Streams
from quorate.transport.ssh import SshTransport

PIECE = 1 << 20
Put = Callable[[bytes], Awaitable[None]]
LONG = 24 * 3600.0
"""Seconds for one file, whatever its size."""
SHORT = 60.0


class Store(Protocol):
    """A folder that holds backups, each in a folder of its own."""

    @property
    def where(self) -> str:
        """The place, for people."""
        ...

    async def backups(self) -> Mapping[str, bool]:
        """Every folder that is there, and whether it holds the proof of a restore."""
        ...

    async def files(self, backup: str) -> Mapping[str, int]:
        """The files of one, with their sizes in bytes. QuorateError where there is no such backup."""
        ...

    def write(self, backup: str, file: str) -> contextlib.AbstractAsyncContextManager[Put]:
        """Write a new file, which is safely on disk at the end; makes the backup's folder."""
        ...

    def read(self, backup: str, file: str) -> AsyncGenerator[bytes, None]:
        """Read it, piece by piece."""
        ...

    async def finish(self, partial: str, backup: str) -> None:
        """Give a whole backup its final name."""
        ...

    async def remove(self, backup: str) -> None:
        """Remove a backup; its name goes first, so that half of one is never taken for a backup."""
        ...


def open_store(text: str) -> Store:
    """Read a destination: a folder, or `ssh://user@host:port/path`. InvalidInput where it is something else."""
    scheme = re.match(r"([a-z][a-z0-9+.-]*)://", text)
    if scheme is None:
        return Folder(Path(text))
    if scheme[1] != "ssh":
        hint = "A directory, or ssh://user@host/path. Other places: back up to a directory and copy it there."
        raise InvalidInput(f"{text}: {scheme[1]} is not supported", hint=hint)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"{text}: {error}") from None
    path = unquote(parts.path)
    if not host or path in {"", "/"} or parts.password or parts.query or parts.fragment:
        raise InvalidInput(f"{text}: wanted is ssh://user@host/path", hint="Passwords: use a key, see ~/.ssh/config.")
    return Elsewhere(SshTransport(host, host, user=parts.username, port=port), path, text)


class Folder:
    """A folder of this machine. Files are the user's alone (0600)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def where(self) -> str:
        """The folder."""
        return str(self._folder)

    async def backups(self) -> Mapping[str, bool]:
        """Every folder in it; none where it is not there yet."""
        with _explained(self._folder):
            found = [one for one in self._folder.iterdir() if one.is_dir()] if self._folder.exists() else []
            return {one.name: (one / f"{PROVED}{SEALED}").exists() for one in found}

    async def files(self, backup: str) -> Mapping[str, int]:
        """The regular files of it."""
        with _explained(self._folder / backup):
            return {one.name: one.stat().st_size for one in (self._folder / backup).iterdir() if one.is_file()}

    @contextlib.asynccontextmanager
    async def write(self, backup: str, file: str) -> AsyncIterator[Put]:
        """Write a new file."""
        path = self._folder / backup / file
        with _explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as out:

            async def put(data: bytes) -> None:
                with _explained(path):
                    await asyncio.to_thread(out.write, data)

            yield put
            with _explained(path):
                out.flush()
                await asyncio.to_thread(os.fsync, handle)

    async def read(self, backup: str, file: str) -> AsyncGenerator[bytes, None]:
        """Read a file."""
        path = self._folder / backup / file
        with _explained(path), path.open("rb") as source:
            while piece := await asyncio.to_thread(source.read, PIECE):
                yield piece

    async def finish(self, partial: str, backup: str) -> None:
        """Rename it, and have that on disk."""
        with _explained(self._folder / backup):
            (self._folder / partial).rename(self._folder / backup)
            handle = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    async def remove(self, backup: str) -> None:
        """Rename it out of the way, then remove it."""
        gone = self._folder / f".{backup}{PARTIAL}"
        with _explained(self._folder / backup):
            if not backup.endswith(PARTIAL):
                (self._folder / backup).rename(gone)
            await asyncio.to_thread(shutil.rmtree, gone if gone.exists() else self._folder / backup)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise QuorateError(f"{path}: {error.strerror}") from None


class Elsewhere:
    """A folder of another machine. It needs a shell and coreutils there, and an ssh login without a question."""

    def __init__(self, way: Streams, path: str, text: str) -> None:
        self._way = way
        self._path = path
        self._text = text

    @property
    def where(self) -> str:
        """As the operator wrote it."""
        return self._text

    async def backups(self) -> Mapping[str, bool]:
        """Every folder in it; none where it is not there yet."""
        script = (
            '[ -e "$1" ] || exit 0; cd "$1" && for d in * .[!.]*; do [ -d "$d" ] || continue; '
            f'[ -e "$d/{PROVED}{SEALED}" ] && echo "1/$d" || echo "0/$d"; done'
        )
        said = await self._shell(script, self._path)
        return {line[2:]: line[0] == "1" for line in said.splitlines()}

    async def files(self, backup: str) -> Mapping[str, int]:
        """The regular files of it."""
        script = (
            'ls -d "$1" >/dev/null && cd "$1" || exit 1; '
            'for f in *; do [ -f "$f" ] && echo "$(stat -c %s "$f")/$f"; done; true'
        )
        said = await self._shell(script, f"{self._path}/{backup}")
        return {name: int(size) for size, _, name in (line.partition("/") for line in said.splitlines())}

    @contextlib.asynccontextmanager
    async def write(self, backup: str, file: str) -> AsyncIterator[Put]:
        """Write a new file: `cat`, and then `sync` of it."""
        script = 'umask 077 && mkdir -p "$1" && cat >"$1/$2" && sync "$1/$2"'
        waiting: asyncio.Queue[bytes] = asyncio.Queue(maxsize=2)

        async def feed() -> AsyncIterator[bytes]:
            while data := await waiting.get():
                yield data

        writing = asyncio.create_task(self._run(script, f"{self._path}/{backup}", file, feed=feed()))

        async def put(data: bytes) -> None:
            if data:
                await _unless_ended(waiting.put(data), writing)

        try:
            yield put
            await _unless_ended(waiting.put(b""), writing)
            await writing
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def read(self, backup: str, file: str) -> AsyncGenerator[bytes, None]:
        """Read a file: `cat`."""
        waiting: asyncio.Queue[bytes] = asyncio.Queue(maxsize=2)
        reading = asyncio.create_task(self._run('cat "$1/$2"', f"{self._path}/{backup}", file, take=waiting.put))
        reading.add_done_callback(lambda _: None)
        try:
            while True:
                getting = asyncio.create_task(waiting.get())
                await asyncio.wait({getting, reading}, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():
                    getting.cancel()
                    break
                yield getting.result()
            while not waiting.empty():
                yield waiting.get_nowait()
            await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def finish(self, partial: str, backup: str) -> None:
        """Rename it, and have that on disk."""
        await self._shell('cd "$1" && mv -T "$2" "$3" && sync .', self._path, partial, backup)

    async def remove(self, backup: str) -> None:
        """Rename it out of the way, then remove it."""
        gone = f".{backup.lstrip('.').removesuffix(PARTIAL)}{PARTIAL}"
        script = 'cd "$1" && { [ "$2" = "$3" ] || mv -T "$2" "$3"; } && rm -r "$3"'
        await self._shell(script, self._path, backup, gone)

    async def _shell(self, script: str, *words: str) -> str:
        said = bytearray()

        async def take(data: bytes) -> None:
            said.extend(data)

        await self._run(script, *words, take=take, timeout=SHORT)
        return said.decode(errors="replace")

    async def _run(
        self,
        script: str,
        *words: str,
        feed: AsyncIterator[bytes] | None = None,
        take: Put | None = None,
        timeout: float = LONG,
    ) -> None:
        argv: Sequence[str] = ("sh", "-c", script, "sh", *words)
        done = await self._way.stream(argv, timeout=timeout, feed=feed, take=take)
        if done.code:
            why = done.err.decode(errors="replace").strip() or f"exit code {done.code}"
            raise QuorateError(f"{self._text}: {why}")


async def _unless_ended(doing: Awaitable[None], other: asyncio.Task[None]) -> None:
    """Do it, unless the other side ends first, which then says why."""
    task = asyncio.ensure_future(doing)
    try:
        await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            other.result()
            raise QuorateError("the file was closed before it was whole")
    finally:
        task.cancel()


def split(text: str) -> tuple[Store, str]:
    """Read where one backup is: its store and its name. Refused: it is one that never became whole."""
    place, _, name = text.rstrip("/").rpartition("/")
    if name.startswith(".") and name.endswith(PARTIAL):
        raise Refused(f"{text} is a backup that was not finished: it is no backup")
    return open_store(place or "."), name
