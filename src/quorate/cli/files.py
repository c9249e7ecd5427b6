"""Reads and writes the operator's two files: `cloud.yaml`, and `secrets.yaml` beside it (0600, replaced atomically)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from secrets import token_bytes, token_hex

from quorate.core.availability import strangers
from quorate.core.secret import Secrets, SecretSpec, generate, lacking, not_given
from quorate.core.system import AnySystem, enabled, misfits
from quorate.errors import InvalidInput, Problem, QuorateError, Refused
from quorate.model import secrets_file
from quorate.model.cloud import Cloud, Spec
from quorate.model.load import load
from quorate.model.source import LONGEST
from quorate.systems import discover

_START = "Start with `quorate init`, or name another file with --cloud."
_COMPLETE = "`quorate init` beside the cloud file makes those that can be made; fill in those that only you know."


def specs() -> dict[str, type[Spec]]:
    """The sections that may stand below `systems:`."""
    return {system.name: system.spec for system in discover()}


def load_cloud(cloud_file: Path) -> tuple[Cloud, tuple[AnySystem, ...]]:
    """Read and check the cloud file; say which systems there are. InvalidInput has every mistake."""
    return parsed(text_of(cloud_file), str(cloud_file))


def text_of(cloud_file: Path) -> str:
    """Read the file, as far as a cloud file can be long."""
    try:
        with cloud_file.open("rb") as file:
            raw = file.read(4 * LONGEST + 1)
        return raw.decode("utf-8")
    except OSError as error:
        raise InvalidInput(f"{cloud_file}: {error.strerror}", hint=_START) from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problem = Problem(str(cloud_file), line, "", "is not UTF-8 text")
        raise InvalidInput(f"{cloud_file} cannot be read", problems=[problem]) from None


def parsed(text: str, file: str) -> tuple[Cloud, tuple[AnySystem, ...]]:
    """Check a cloud file's text. `file` is what messages call it."""
    systems = discover()
    return load(text, file, specs(), beyond=lambda cloud: misfits(cloud, systems) or strangers(cloud, systems)), systems


def secrets_path(cloud_file: Path) -> Path:
    """Where the secrets of this cloud lie."""
    return cloud_file.with_name("secrets.yaml")


def secret_specs(cloud: Cloud, systems: Sequence[AnySystem]) -> tuple[SecretSpec, ...]:
    """The secrets that the enabled systems need, each once."""
    wanted = (s for system in enabled(cloud, systems) for s in system.secrets(cloud.systems[system.name], cloud))
    return tuple({spec.name: spec for spec in wanted}.values())


def load_secrets(cloud_file: Path, cloud: Cloud, systems: Sequence[AnySystem]) -> Secrets:
    """Read the secrets; writes nothing. InvalidInput names all that are missing: new ones are never made in passing."""
    path = secrets_path(cloud_file)
    missing = missing_secrets(path, cloud, systems)
    text = _read_secrets(path)
    if missing:
        raise _missing(path, text, missing)
    return Secrets(secrets_file.parse(text, str(path)))


def missing_secrets(path: Path, cloud: Cloud, systems: Sequence[AnySystem]) -> tuple[str, ...]:
    """Names of the secrets that the enabled systems need and the file does not have."""
    have = secrets_file.parse(_read_secrets(path), str(path))
    return tuple(spec.name for spec in lacking(secret_specs(cloud, systems), have))


def ensure_secrets(
    cloud_file: Path, cloud: Cloud, systems: Sequence[AnySystem], given: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Make the secrets that are missing, keep all others and the file's comments; says which only you can give.

    `given`: values that the operator just said, and names (empty values) for which a place to fill in is wanted.
    """
    path = secrets_path(cloud_file)
    with _alone(path.parent):
        text = _read_secrets(path)
        have = secrets_file.parse(text, str(path))
        wanted = secret_specs(cloud, systems)
        said = {name: value for name, value in (given or {}).items() if not have.get(name)}
        made = generate(wanted, {**have, **said}, token_bytes)
        to_give = dict.fromkeys((*not_given(wanted, {**have, **said}), *(n for n, v in said.items() if not v)))
        added = {**{name: value for name, value in said.items() if value}, **made}
        blank = {name: "" for name in to_give if not secrets_file.stands(text, name, str(path))}
        if added or blank:
            write_private(path, secrets_file.add(text, {**added, **blank}, str(path)))
        return tuple(to_give)


def change_secrets(cloud_file: Path, before: Mapping[str, str], after: Mapping[str, str]) -> Secrets:
    """Write what differs, atomically. Refused where the file says not what it did before: somebody else wrote it."""
    path = secrets_path(cloud_file)
    with _alone(path.parent):
        text = _read_secrets(path)
        have = secrets_file.parse(text, str(path))
        if any(have.get(name) != value for name, value in before.items()):
            raise Refused(f"{path} was changed meanwhile", hint="Read what it says now, then run this again.")
        new = {name: value for name, value in after.items() if before.get(name) != value}
        changed = secrets_file.change(text, new, before.keys() - after.keys(), str(path))
        if changed != text:
            write_private(path, changed)
        return Secrets(secrets_file.parse(changed, str(path)))


def secrets_text(cloud_file: Path) -> str:
    """The secrets file as it stands, if nobody else can read it; empty where there is none."""
    return _read_secrets(secrets_path(cloud_file))


def _missing(path: Path, text: str, names: Sequence[str]) -> InvalidInput:
    problems = [Problem(str(path), secrets_file.line_of(text, n, str(path)), n, "is missing or empty") for n in names]
    return InvalidInput(f"{path}: {len(names)} secrets are missing", hint=_COMPLETE, problems=problems)


def _read_secrets(path: Path) -> str:
    """Read the file if nobody else can; no file is no secrets."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise InvalidInput(f"{path} can be read by others (mode {mode:04o})", hint=f"chmod 600 {path}")
            return file.read(4 * LONGEST + 1).decode("utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8 text") from None


def write_private(path: Path, text: str) -> None:
    """Replace the file atomically, 0600; after a crash it is the old one or the new one, whole."""
    target = Path(os.path.realpath(path))
    with _written(target, text, 0o600) as fresh:
        fresh.replace(target)


def write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet, atomically. Refused where it is."""
    with _written(path, text, 0o644) as fresh:
        try:
            os.link(fresh, path)
        except FileExistsError:
            raise Refused(f"{path} exists and is not overwritten", hint="Choose another directory.") from None
        fresh.unlink()


@contextlib.contextmanager
def _written(target: Path, text: str, mode: int) -> Iterator[Path]:
    """A new file beside the target with the text safely on disk; removed if it is not put in place."""
    fresh = target.with_name(f".{target.name}.{token_hex(4)}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(handle, "wb") as file:
            with contextlib.suppress(OSError):  # keeps the owner where root writes for somebody else
                kept = target.stat()
                os.fchown(handle, kept.st_uid, kept.st_gid)
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(handle)
        yield fresh
        _sync(target.parent)
    except OSError as error:
        raise QuorateError(f"{target} cannot be written: {error.strerror}") from None
    finally:
        fresh.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other runs from making the same secrets at the same time; the lock ends with the process."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise QuorateError(f"{folder}: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
