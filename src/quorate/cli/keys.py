"""`quorate keys`: which keys there are, since when, and the next ones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from secrets import token_bytes
from typing import Any

import click

from quorate.cli import files, render
from quorate.cli.options import cloud_option, output_option
from quorate.cli.session import holder, now, operation
from quorate.core.keys import STAGED, Keys, Next, Refusal, Repository, Rings, astray, digest_of, goes
from quorate.core.secret import made
from quorate.engine.keys import Found, found, refused, rotate
from quorate.engine.lock import held
from quorate.errors import QuorateError


@click.group()
def keys() -> None:
    """Keys that are the same on every controller: show them, rotate them."""


@keys.command("show")
@cloud_option
@output_option
def show(cloud_file: Path, output: str) -> None:
    """Say which keys there are and since when, and who does not hold them. Shows digests, never a key.

    Exit codes: 0 every controller holds them, 1 one does not or could not be seen, 2 the files are wrong.
    """
    seen = asyncio.run(_look(cloud_file))
    left = astray(seen.rings, seen.held)
    data = {"keys": _data(seen.rings), "astray": list(left)}
    render.result(data, output, lambda: "\n".join([*_told(seen.rings), *left]))
    if left:
        raise QuorateError("not every controller was seen to hold these keys", hint="`quorate status` says more.")


@keys.command("rotate")
@cloud_option
@click.option("--dry-run", is_flag=True, help="Look, and say what would be done; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask, even on a terminal.")
@output_option
def rotate_command(cloud_file: Path, dry_run: bool, yes: bool, output: str) -> None:
    """Make the staged keys the primary ones, stage new ones, and remove old ones that nothing needs any more.

    Every token stays good all the while. It is refused unless every controller was seen to hold exactly the present
    keys: one that is away delays it. secrets.yaml is written first; interrupted, this or `quorate apply` goes on from
    what it finds. Nothing is restarted. Keystone's credential keys are not rotated.

    Exit codes: 0 done, 1 not seen to be done, 2 the files are wrong, 3 refused, 4 a controller fell silent.
    """
    if dry_run or (not yes and render.can_ask()):
        seen = asyncio.run(_look(cloud_file))
        if isinstance(seen.follows, Refusal):
            raise refused(seen.follows)
        foretold = list(_foretold(seen, seen.follows))
        if dry_run:
            data = {"rotated": False, "begins": seen.follows.begins, "would": foretold, "keys": _data(seen.rings)}
            render.result(data, output, lambda: "\n".join(foretold))
            return
        render.page("\n".join(foretold))
        if render.ask("Do this? [y/N]", default="n").lower() not in {"y", "yes"}:
            raise QuorateError("nothing was changed")
    begun, rings = asyncio.run(_rotate(cloud_file))
    data = {"rotated": True, "begins": begun, "keys": _data(rings)}
    first = "rotated" if begun else "an interrupted rotation is done; no other was begun"
    render.result(data, output, lambda: "\n".join([f"{first}: every controller was seen to hold", *_told(rings)]))


async def _look(cloud_file: Path) -> Found:
    async with operation(cloud_file) as op:
        return await found(op, now(), _fresh)


async def _rotate(cloud_file: Path) -> tuple[bool, Rings]:
    who = holder("quorate keys rotate")
    async with (
        operation(cloud_file, journalled=True) as op,
        held(op.transports, op.token, who, progress=op.progress),
    ):
        op.progress("looking at every controller's keys")
        seen = await found(op, now(), _fresh)
        begun = isinstance(seen.follows, Next) and seen.follows.begins
        return begun, await rotate(op, seen, partial(files.change_secrets, cloud_file), now)


def _fresh() -> str:
    return made("fernet", token_bytes)


def _foretold(seen: Found, follows: Next) -> Iterator[str]:
    """Say what would change, key by key."""
    if follows.begins:
        for repository, after in follows.rings.items():
            before = seen.rings[repository]
            yield f"{repository.stem}: 0 becomes {after.primary}, the primary key; a new 0 is staged"
            yield from (f"{repository.stem}: {n} goes" for n in before.values if n not in after.values)
    else:
        yield "an interrupted rotation is brought to its end; no other is begun"
        yield from astray(seen.rings, seen.held)


def _told(rings: Rings) -> Iterator[str]:
    for repository, one in rings.items():
        for number in sorted(one.values, reverse=True):
            yield f"{repository.stem}_{number}  {digest_of(one.values[number])[:12]}  {_state(repository, one, number)}"


def _state(repository: Repository, one: Keys, number: int) -> str:
    if number == STAGED:
        return "staged: the next primary"
    if number == one.primary:
        return f"primary{_since(one)}"
    when = goes(repository, one, number)
    if when is None:
        return "old; some controller may still use it: `quorate keys rotate` looks"
    return f"old; a rotation after {_for_people(when)} removes it"


def _since(one: Keys) -> str:
    since = one.retired.get(one.old[-1]) if one.old else None
    return f" on every controller since {_for_people(since)}" if since else ""


def _for_people(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _data(rings: Rings) -> dict[str, Any]:
    return {
        repository.stem: {
            str(number): {
                "sha256": digest_of(one.values[number]),
                "is": "staged" if number == STAGED else "primary" if number == one.primary else "old",
                "retired": _iso(one.retired.get(number)),
                "goes_after": _iso(goes(repository, one, number)),
            }
            for number in sorted(one.values)
        }
        for repository, one in rings.items()
    }


def _iso(time: datetime | None) -> str | None:
    return time.isoformat(timespec="seconds") if time else None
