"""The golden root that all machines of a lab share: built once, cached by the hash of all that determines it.

A root is never written to once it is complete; each machine writes to its own layer over it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from quorate.errors import QuorateError
from quorate.lab import recipe
from quorate.lab.command import attempt, run
from quorate.lab.spec import Places, Progress
from quorate.lab.waiting import lock

_LEAST_FREE = 3 << 30
_KEPT = 30 * 86400  # seconds for which an image that nobody uses is kept
_LONGEST_BUILD = 1800.0
_MOUNTS = Path("/proc/self/mounts")


@dataclass(frozen=True)
class Image:
    """A complete golden root."""

    hash: str
    path: Path

    @property
    def root(self) -> Path:
        """The root itself, to mount others over."""
        return self.path / "root"


def digest(release: str, packages: Sequence[str], version: int = recipe.VERSION) -> str:
    """Return what an image of these is called: a hash of all that determines its content. Pure."""
    everything = {
        "recipe": version,
        "release": release,
        "packages": sorted({*recipe.BASE, *packages}),
        "preseed": recipe.PRESEED,
        "offered": sorted(recipe.OFFERED),
        "machine": os.uname().machine,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:16]


def find(places: Places, name: str) -> Image | None:
    """Return the cached image of that hash."""
    image = Image(name, places.cache / name)
    if not (image.path / "image.json").is_file():
        return None
    os.utime(image.path)  # its last use
    return image


def build(places: Places, release: str, packages: Sequence[str], progress: Progress) -> Image:
    """Return the image, from the cache or made now. Two builders of the same one wait for each other."""
    name = digest(release, packages)
    places.cache.mkdir(parents=True, exist_ok=True)
    with _locked(places, name, progress):
        image = find(places, name)
        if image is None:
            _sweep(places, name)
            _make(places, name, release, packages, progress)
            image = Image(name, places.cache / name)
    prune(places)
    return image


def _make(places: Places, name: str, release: str, packages: Sequence[str], progress: Progress) -> None:
    free = shutil.disk_usage(places.cache).free
    if free < _LEAST_FREE:
        raise QuorateError(f"{places.cache} has {free >> 20} MiB free, an image needs {_LEAST_FREE >> 20} MiB")
    begun = time.monotonic()
    work = places.cache / f"{name}.building"
    log = places.cache / f"{name}.log"
    log.unlink(missing_ok=True)
    progress(f"image {release}: building it once, with {len(packages)} packages; this takes minutes")
    try:
        for folder in ("empty", "upper", "work", "root"):
            (work / folder).mkdir(parents=True)
        (work / "upper").chmod(0o755)
        layers = f"lowerdir={work}/empty,upperdir={work}/upper,workdir={work}/work"
        # An overlay over nothing, only because `volatile` spares the thousands of fsyncs of a package manager. What is
        # half-written is never used: only a finished root is renamed to its hash.
        run(["mount", "-t", "overlay", "quorate-image", "-o", f"{layers},volatile", str(work / "root")])
        recipe.make(recipe.Build(work / "root", release, packages, log, progress))
        run(["umount", str(work / "root")])
        os.sync()
        _publish(places, name, work, {"recipe": recipe.VERSION, "release": release, "packages": sorted(packages)})
    finally:
        _discard(work)
    progress(f"image {release}: built in {time.monotonic() - begun:.0f} s")


def _publish(places: Places, name: str, work: Path, about: dict[str, object]) -> None:
    done = work / "done"
    done.mkdir()
    (work / "upper").rename(done / "root")
    (places.cache / f"{name}.log").rename(done / "build.log")
    (done / "image.json").write_text(json.dumps({**about, "built": time.time()}, indent=2) + "\n")
    done.rename(places.cache / name)


def prune(places: Places) -> list[str]:
    """Remove images of an older recipe, or long unused, that no lab uses; and what dead builders left."""
    removed = []
    for path in sorted(places.cache.glob("*/image.json")):
        image = path.parent
        outdated = json.loads(path.read_text()).get("recipe") != recipe.VERSION
        unused = time.time() - image.stat().st_mtime > _KEPT
        if outdated or unused:
            with _lock(places, image.name) as got:
                if got and not _in_use(places, image):
                    path.unlink()  # first, so that nobody takes it for complete
                    shutil.rmtree(image)
                    removed.append(image.name)
    return removed


def sweep(places: Places) -> None:
    """Remove what builders left that died halfway; those at work are left alone."""
    for work in places.cache.glob("*.building"):
        _sweep_unless_locked(places, work.name.removesuffix(".building"))


def _sweep_unless_locked(places: Places, name: str) -> None:
    with _lock(places, name) as got:
        if got:
            _sweep(places, name)


def _sweep(places: Places, name: str) -> None:
    _discard(places.cache / f"{name}.building")


def _discard(work: Path) -> None:
    if f" {work}/root " in _MOUNTS.read_text():
        run(["umount", "--lazy", str(work / "root")])
    if work.exists():
        # A step's last process may still hold a file; what cannot be removed now, the next build removes.
        attempt(["rm", "-rf", "--one-file-system", str(work)], timeout=120)


def _in_use(places: Places, image: Path) -> bool:
    if str(image) in _MOUNTS.read_text():
        return True
    return any(image.name in lab.read_text() for lab in places.state.glob("*/lab.json"))


@contextmanager
def _locked(places: Places, name: str, progress: Progress) -> Iterator[None]:
    """Hold the lock of one hash, waiting for whoever builds it now."""
    with _lock(places, name) as got:
        if got:
            yield
            return
    progress("image: waiting for another build of it")
    with _lock(places, name, _LONGEST_BUILD) as got:
        if not got:
            raise QuorateError(f"another build of image {name} has not ended within {_LONGEST_BUILD / 60:.0f} minutes")
        yield


def _lock(places: Places, name: str, timeout: float = 0.0) -> AbstractContextManager[bool]:
    return lock(places.run / f"image-{name}.lock", timeout, remove=True)
