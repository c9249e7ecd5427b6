"""One fuzzer on one target, in a process of its own: `python -m fuzz.fuzzers guided|hypothesis TARGET SECONDS FOLDER`.

`once TARGET FILE` runs one input. What breaks a property is written to FOLDER/findings, and the exit code is not 0.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import random
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzz.targets import TARGETS, Property, property_of

HANG = 20
"""Seconds after which an input counts as one that hangs."""
MEMORY = 2048
"""MiB that a fuzzer may take: beyond, an input made the program keep too much."""
A_ROUND = 2000
"""Inputs of one search of hypothesis; the next begins anew, with another seed."""


@contextlib.contextmanager
def ended_in_time() -> Iterator[None]:
    """Raise TimeoutError in what hangs."""

    def late(*_: object) -> None:
        raise TimeoutError(f"not done after {HANG} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def search(
    target: Property, examples: int, number: int, counted: Callable[[bytes], object] = len, *, shrink: bool = True
) -> None:
    """Let hypothesis look for an input that breaks the property; raises what the first one, made small, raises."""

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.strategy)
    def holds(data: bytes) -> None:
        counted(data)
        with ended_in_time():
            target.check(data)

    holds()


def hypothesis(name: str, seconds: float, folder: Path) -> int:
    """Search again and again until the time is over, or something is found."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY << 20, MEMORY << 20))
    target = property_of(name)
    until = time.monotonic() + seconds
    executions = 0
    last = b""

    def counted(data: bytes) -> None:
        nonlocal executions, last
        executions += 1
        last = data

    dice = random.SystemRandom()
    code = 0
    while time.monotonic() < until and not code:
        left = until - time.monotonic()
        pace = executions / (seconds - left) if executions else 20.0
        try:
            search(target, int(min(A_ROUND, max(20.0, pace * left))), dice.getrandbits(32), counted)
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            sys.stdout.write(traceback.format_exc())
            code = 1
            (folder / "findings" / f"hypothesis-{hashlib.sha256(last).hexdigest()[:16]}").write_bytes(last)
    sys.stdout.write(f"executions: {executions}\n")
    return code


def guided(name: str, seconds: float, folder: Path) -> int:
    """Let libFuzzer look, beginning with the seeds and with what it found worth keeping before. Does not return."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=list(TARGETS[name].code)):
        target = property_of(name)
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for data in target.seeds():
        (corpus / f"seed-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data[: target.longest])
    words = folder / "words"
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words))
    flags = [
        *(f"-max_total_time={seconds:.0f}", f"-max_len={target.longest}", f"-timeout={HANG}"),
        *([f"-dict={words}"] if target.words else []),
        *(f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={folder / 'findings'}/", "-print_final_stats=1"),
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], target.check)
    atheris.Fuzz()
    return 0


def once(name: str, file: Path) -> int:
    """Run one input; raises what it raises."""
    with ended_in_time():
        property_of(name).check(file.read_bytes())
    sys.stdout.write(f"{file}: every property holds\n")
    return 0


def main() -> int:
    """Do what the command line says."""
    what, name, *more = sys.argv[1:]
    if what == "once":
        return once(name, Path(more[0]))
    return {"guided": guided, "hypothesis": hypothesis}[what](name, float(more[0]), Path(more[1]))


if __name__ == "__main__":
    sys.exit(main())
