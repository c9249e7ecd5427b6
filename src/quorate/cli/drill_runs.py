"""The runs of `quorate drill` on disk, below `.quorate/drills` beside the cloud file, and how they are shown.

`RUN/record.jsonl` is what was seen, `RUN/result.json` what was made of it; `campaign-….json` sums up several runs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from quorate.core.findings import Campaign, Result
from quorate.core.judging import judge
from quorate.core.record import parse
from quorate.engine.recorder import NAME
from quorate.errors import InvalidInput, QuorateError
from quorate.report.run import Run

LAST = "last"


@dataclass(frozen=True)
class Runs:
    """The folder of all runs of a cloud."""

    folder: Path

    @classmethod
    def of(cls, cloud_file: Path) -> Runs:
        """Of the cloud that this file describes."""
        return cls(cloud_file.absolute().parent / ".quorate" / "drills")

    def new(self, now: datetime) -> str:
        """Name a new run; names are in order of time."""
        return f"{now:%Y%m%dT%H%M%S}-{token_hex(3)}"

    def find(self, names: Sequence[str]) -> list[Path]:
        """Records of runs, by name, by the beginning of a name, `last`, or by a file's path. InvalidInput: no such."""
        known = sorted(path.parent.name for path in self.folder.glob(f"*/{NAME}"))
        return [self._find(name, known) for name in names]

    def _find(self, name: str, known: Sequence[str]) -> Path:
        if name == LAST and known:
            return self.folder / known[-1] / NAME
        for path in (Path(name), Path(name) / NAME):
            if path.is_file():
                return path
        found = [run for run in known if run.startswith(name)]
        if len(found) != 1:
            why = "there is no run" if not found else f"{len(found)} runs begin with"
            raise InvalidInput(
                f"{why} {name!r} in {self.folder}",
                hint=f"The latest: {', '.join(known[-5:])}." if known else "`quorate drill NAME` makes one.",
            )
        return self.folder / found[0] / NAME

    def keep_campaign(self, summary: Campaign, now: datetime) -> Path:
        """Write a campaign down."""
        path = self.folder / f"campaign-{now:%Y%m%dT%H%M%S}.json"
        write(path, summary.model_dump_json(indent=1) + "\n")
        return path


def read(path: Path) -> Run:
    """Read a record and judge it. A run that was cut off before it was to break anything has none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            record = parse(file, str(path))
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None
    return Run(judge(record), record)


def keep_result(path: Path, result: Result) -> None:
    """Write a run's result beside its record."""
    write(path.with_name("result.json"), result.model_dump_json(indent=1) + "\n")


def kept_result(path: Path) -> Result | None:
    """The result that was written when the run ended, if there is one."""
    try:
        return Result.model_validate_json(path.with_name("result.json").read_bytes())
    except (OSError, ValueError):
        return None


def write_pages(path: Path, records: Sequence[Path]) -> None:
    """Write a page of these runs: of one all that there is, of several a table that leads to a page of each."""
    from quorate.report.html import index, page  # noqa: PLC0415 - matplotlib takes a second that other verbs have not

    if len(records) == 1:
        write(path, page([read(records[0])]))
        return
    results, pages = [], {}
    for record in records:
        run = read(record)
        name = f"{path.stem}-{run.result.run}.html"
        write(path.with_name(name), page([run]))
        results.append(run.result)
        pages[run.result.run] = name
    write(path, index(results, pages))


def write(path: Path, text: str) -> None:
    """Write a file for its owner only, all of it or nothing."""
    draft = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        raise QuorateError(f"{path} cannot be written: {error.strerror}") from None
