"""The suites and an environment to run them in: fetched once, outside of the tree, pinned and checked by hash."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.suites import Suite

HERE = Path(__file__).resolve().parent
_DETERMINE = ("requirements.lock", "sdists.lock", "supplied/__init__.py", "supplied/captured_stderr.py")


@dataclass(frozen=True)
class Fetched:
    """Where the suites' interpreter is, and the folder that holds their trees."""

    python: Path
    trees: Path


def cache() -> Path:
    """Return the folder for what is fetched."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quorate" / "conformance"


def fetched(suites: Sequence[Suite]) -> Fetched:
    """Return the suites and their environment, made now if they are not there; two callers wait for each other."""
    supplied = {suite.folder: dict(suite.supplied) for suite in suites}
    digest = hashlib.sha256(f"{sys.version}{supplied}".encode())
    for name in _DETERMINE:
        digest.update((HERE / name).read_bytes())
    place = cache() / digest.hexdigest()[:16]
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "ready").exists():
            shutil.rmtree(place, ignore_errors=True)
            _make(place, suites)
            (place / "ready").touch()
    return Fetched(place / "venv/bin/python", place / "trees")


def _make(place: Path, suites: Sequence[Suite]) -> None:
    """Install the environment, fetch the sdists with it, and unpack them."""
    sys.stdout.write(f"fetching the suites and their environment into {place}\n")
    sys.stdout.flush()
    pip = [str(place / "venv/bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    hashed = ["--require-hashes", "-r"]
    _quiet([*pip, "install", "--only-binary", ":all:", *hashed, str(HERE / "requirements.lock")])
    where = ["--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--dest", str(place / "sdists")]
    _quiet([*pip, "download", *where, *hashed, str(HERE / "sdists.lock")])
    for sdist in sorted((place / "sdists").iterdir()):
        with tarfile.open(sdist) as archive:
            archive.extractall(place / "trees", filter="data")
    for suite in suites:
        for target, source in suite.supplied.items():
            shutil.copyfile(HERE / "supplied" / source, place / "trees" / suite.folder / target)


def _quiet(command: list[str]) -> None:
    """Run it; what it says is shown only if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
