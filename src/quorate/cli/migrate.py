"""`quorate migrate`: from a single controller to this cloud, with the way back open until told otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from quorate.cli import files, render
from quorate.cli.options import cloud_option, output_option
from quorate.cli.session import folder_of, holder, now, operation, streams
from quorate.core.migration import Against, State, Step, source_of
from quorate.engine.lock import held
from quorate.engine.migrate import Looked, Migrated, Migration, back, look_at, migrate, moving_of, refuse
from quorate.engine.migrating import Begun, state_of
from quorate.errors import QuorateError, Refused
from quorate.model.cloud import Cloud
from quorate.transport.ssh import connect_to


@click.command()
@click.argument("source", metavar="SOURCE")
@cloud_option
@click.option("--dry-run", is_flag=True, help="Look, and say what would be done; change nothing.")
@click.option("--back", "going_back", is_flag=True, help="Make the source writable again, and forget the migration.")
@click.option("--finish", is_flag=True, help="Close the way back: forget the migration. Nothing is contacted.")
@click.option("--yes", is_flag=True, help="Do not ask, even on a terminal.")
@output_option
def command(
    *, source: str, cloud_file: Path, dry_run: bool, going_back: bool, finish: bool, yes: bool, output: str
) -> None:
    """Take over the databases and keys of a single controller, and serve from them.

    \b
      quorate migrate root@10.0.0.5 --dry-run   what is there, and what stands against it
      quorate migrate root@10.0.0.5             do it
      quorate migrate root@10.0.0.5 --back      the source is writable again
      quorate migrate root@10.0.0.5 --finish    the way back is closed

    SOURCE is [user@]host[:port], as ssh reaches it. First all that needs no data is set up here. Then the source is
    made read-only, its databases are copied by a dump, every table is compared, and the services start from the copy:
    the pause ends when the virtual IP issues a token. Nothing of the source is changed but read_only. Whatever fails
    before the first service is started makes it writable again.

    The source keeps its data, read-only, until --back. Interrupted, run it again: it goes on from what it finds.

    Exit codes: as `quorate apply`; 1 also where the copy differs.
    """  # noqa: D301 - click's paragraph mark
    source_of(source)
    if sum((dry_run, going_back, finish)) > 1:
        raise click.UsageError("give one of --dry-run, --back and --finish")
    begun = Begun(folder_of(cloud_file))
    if finish:
        _finish(begun, source, output)
    elif going_back:
        _back(cloud_file, source, _known(begun, source), output, yes=yes)
    else:
        asking = not yes and render.can_ask()
        if dry_run or asking:
            looked = asyncio.run(_look(cloud_file, source))
            if dry_run:
                render.result(_foreseen(source, looked), output, lambda: "\n".join(_would(source, looked)))
            refuse(looked, source)
            if asking and not dry_run and looked.follows is not Step.NOTHING:
                render.page("\n".join(_would(source, looked)))
                _agreed("Do this?", "nothing was changed")
        if not dry_run:
            _tell(source, asyncio.run(_migrate(cloud_file, source)), output)


def _agreed(question: str, otherwise: str) -> None:
    if render.ask(f"{question} [y/N]", default="n").lower() not in {"y", "yes"}:
        raise QuorateError(otherwise)


def _known(begun: Begun, source: str) -> State:
    state = state_of(begun, source)
    if state is None:
        raise Refused(f"no migration from {source} is known here", hint="Run it in the folder in which it was begun.")
    return state


def _finish(begun: Begun, source: str, output: str) -> None:
    state = _known(begun, source)
    if state.stage != "done":
        raise Refused("the migration is not done", hint=f"`quorate migrate {source}` goes on, --back goes back.")
    begun.forget()
    words = f"{source} is forgotten: it has its data, read-only until it is restarted; switch its services off for good"
    render.result({"source": source, "finished": True}, output, lambda: words)


def _back(cloud_file: Path, source: str, state: State, output: str, *, yes: bool) -> None:
    if state.stage in {"serving", "done"}:
        render.page(f"what was written here since {state.held} is not on {source}, and will not be brought there")
        if not yes and render.can_ask():
            _agreed(f"Make {source} writable again?", "nothing was changed")
    beyond = asyncio.run(_going_back(cloud_file, source, state))
    lines = [f"{source} takes writes again, and is where it was", *(f"  {line}" for line in beyond)]
    if state.stage in {"serving", "done"}:
        lines += [
            "Stop the services of the new cloud now, so that nobody writes there: they still serve from their copy."
        ]
    render.result({"source": source, "back": True, "beyond": list(beyond)}, output, lambda: "\n".join(lines))


def _foreseen(source: str, looked: Looked) -> dict[str, Any]:
    against = list(looked.follows.evidence) if isinstance(looked.follows, Against) else []
    return {
        "source": source,
        "stage": looked.state.stage if looked.state else None,
        "databases": list(looked.seen.have),
        **looked.seen.about,
        "notes": list(looked.notes),
        "against": against,
    }


def _would(source: str, looked: Looked) -> list[str]:
    about = ", ".join(f"{name} {value}" for name, value in looked.seen.about.items())
    follows = looked.follows.value if isinstance(looked.follows, Step) else "refused"
    return [
        f"{source}: {', '.join(looked.seen.have) or 'nothing'} ({about}): {follows}",
        *(f"  {note}" for note in looked.notes),
        "  the administrator's password becomes that of secrets.yaml; where it is another, his tokens end",
    ]


def _tell(source: str, done: Migrated, output: str) -> None:
    state = done.state
    facts = {
        "source": source,
        "stage": state.stage,
        "databases": list(state.moved),
        "tables": state.tables,
        "rows": state.rows,
        "pause_s": state.pause_s,
        "phases": dict(done.phases),
        "elsewhere": list(done.strays),
        "notes": list(done.notes),
    }
    lines = [
        f"{source} is taken over: {', '.join(state.moved)}; {state.tables} tables with {state.rows} rows, alike",
        f"pause {state.pause_s} s, from the last write on {source} to the first token here",
        *(f"  {one}" for one in done.notes),
        *(f"  the catalog still lists {one}" for one in done.strays),
        "The administrator's password is that of secrets.yaml (keystone.admin).",
        f"{source} keeps its data, read-only until it is restarted: stop its services.",
        "The way back is open: --back; --finish closes it.",
    ]
    render.result(facts, output, lambda: "\n".join(lines))


@asynccontextmanager
async def _run(cloud_file: Path, source: str, *, journalled: bool = False) -> AsyncIterator[Migration]:
    """The way there, and all ways here. Refused where the source is one of the controllers."""
    base, place = folder_of(cloud_file), source_of(source)
    async with operation(cloud_file, journalled=journalled, migrates=True) as op:
        _refuse_own(op.site.cloud, place.host)
        way = connect_to(op.site.cloud, place.host, base, user=place.user, port=place.port)
        yield Migration(op, way, source, streams(op.site.cloud, cloud_file), Begun(base), moving_of(op))


def _refuse_own(cloud: Cloud, host: str) -> None:
    own = {cloud.vip, *cloud.names, *(cloud.address(name) for name in cloud.names)}
    if host in own:
        raise Refused(
            f"{host} is a controller of the new cloud",
            hint="The way back needs the source as it is: give the new cloud other machines.",
        )


async def _look(cloud_file: Path, source: str) -> Looked:
    async with _run(cloud_file, source) as run:
        return await look_at(run)


async def _migrate(cloud_file: Path, source: str) -> Migrated:
    async with (
        _run(cloud_file, source, journalled=True) as run,
        held(run.op.transports, run.op.token, holder("quorate migrate"), progress=run.op.progress),
    ):
        return await migrate(run, partial(files.change_secrets, cloud_file), now)


async def _going_back(cloud_file: Path, source: str, state: State) -> tuple[str, ...]:
    async with (
        _run(cloud_file, source, journalled=True) as run,
        held(run.op.transports, run.op.token, holder("quorate migrate --back"), progress=run.op.progress),
    ):
        return await back(run, state)
