"""From what was asked of `quorate drill` to drills done, judged and healed."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

from quorate.cli import render
from quorate.cli.drill_runs import Runs, keep_result, read
from quorate.cli.ground import ground_of, lab_of, watch_of
from quorate.cli.session import holder, now, operation
from quorate.core.aim import survivable
from quorate.core.drill import Roles
from quorate.core.fault import Fault
from quorate.core.findings import Result
from quorate.core.schedule import Planned, schedule
from quorate.engine.apply import Operation
from quorate.engine.drill import Arena, drill
from quorate.engine.ground import Ground
from quorate.engine.healing import Cures, Doer, Patience, guarded, left_behind
from quorate.engine.lock import held
from quorate.engine.observe import SOON
from quorate.errors import InvalidInput, QuorateError, Refused, Unreachable, Unsupported
from quorate.faults import DEFAULTS, Settings, armed, catalogue, losable, lost, undo_all
from quorate.report.text import forecast
from quorate.transport.ssh import connect
from quorate.transport.tunnel import Tunnels

ALL = "all"
_LOSS = "loss of "
_UNHURRIED = 1.0
"""Operations a second of each client while parts are lost for good: the model says what still works, not how fast.
Without its cache Keystone needs thirty times as long (decision 19)."""
_SETTINGS = {field.name: field.type for field in fields(Settings)}


@dataclass(frozen=True)
class Asked:
    """What the command line says."""

    names: tuple[str, ...]
    faults: tuple[str, ...]
    target: str
    repeat: int
    seed: int
    lose: tuple[str, ...]
    beyond: bool
    yes_break: str | None


async def run_all(cloud_file: Path, asked: Asked, show: Callable[[Result, Path], None]) -> list[Result]:
    """Do all that was asked for, in the order of the schedule; `show` is told each result with its record's path."""
    async with _arena(cloud_file, asked) as arena:
        settings = _chosen(arena, asked)
        planned = schedule(list(settings), repeat=asked.repeat, seed=asked.seed)
        several = len(planned) > 1
        render.page(f"seed {asked.seed}: {len(planned)} drill{'s' if several else ''}")
        results = []
        for number, one in enumerate(planned, start=1):
            if several:
                render.page(f"[{number}/{len(planned)}] {one.drill}, seed {one.seed}")
            try:
                path = await _one(arena, one, settings[one.drill], asked.target)
            except Unsupported as error:
                if not several:
                    raise
                render.page(f"passed over: {error.message}")
                continue
            run = read(path)
            keep_result(path, run.result)
            show(run.result, path)
            results.append(run.result)
        return results


async def _one(arena: Arena, planned: Planned, settings: Settings, target: str) -> Path:
    def aim(roles: Roles) -> Fault:
        if planned.drill.startswith(_LOSS):
            return _lost(arena, planned.drill, settings.hold)
        offers = catalogue(arena.op.site, arena.op.systems, roles, arena.ground.offers, settings)
        return offers[planned.drill].on(target)

    if planned.drill.startswith(_LOSS):
        arena = replace(arena, most=_UNHURRIED)
    return await drill(arena, planned, aim, Runs(arena.folder).new(now()))


def _lost(arena: Arena, name: str, hold: float) -> Fault:
    ways = losable(arena.op.site, arena.op.systems, arena.ground.offers, hold)
    return armed(lost([part.strip() for part in name.removeprefix(_LOSS).split(",")], ways))


def _chosen(arena: Arena, asked: Asked) -> Mapping[str, Settings]:
    """What to do, with its settings; InvalidInput names everything that is not known."""
    op = arena.op
    offers = catalogue(op.site, op.systems, {}, arena.ground.offers)
    wanted = dict(map(parsed, asked.faults)) | {f"{_LOSS}{parts}": DEFAULTS for parts in asked.lose}
    for name in wanted:
        if name.startswith(_LOSS):
            _lost(arena, name, DEFAULTS.hold)
    for name in asked.names:
        within = [n for n, offer in offers.items() if _can_be_done(arena, offer.on())] if name == ALL else [name]
        for one in within:
            wanted.setdefault(one, DEFAULTS)
    strange = [name for name in wanted if name not in offers and not name.startswith(_LOSS)]
    if strange:
        raise InvalidInput(
            f"no such drill: {', '.join(strange)}",
            hint="`quorate drill list` shows all that can be done to this cloud.",
        )
    return wanted


def _can_be_done(arena: Arena, fault: Fault) -> bool:
    return not fault.unsupported and (arena.beyond or fault.lost <= survivable(arena.op.site))


def parsed(text: str) -> tuple[str, Settings]:
    """Read `NAME[:SETTING=VALUE,...]`."""
    name, _, rest = text.partition(":")
    changes: dict[str, float] = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        if key not in _SETTINGS or not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,3})?", value):
            raise InvalidInput(
                f"--fault {text}: {part!r} is no setting", hint=f"Settings are numbers: {', '.join(sorted(_SETTINGS))}."
            )
        changes[key] = int(float(value)) if _SETTINGS[key] == "int" else float(value)
    return name, replace(DEFAULTS, **changes)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def _arena(cloud_file: Path, asked: Asked) -> AsyncIterator[Arena]:
    """Everything that drills need of their surroundings; what an earlier one left is undone first."""
    runs = Runs.of(cloud_file)
    # It warns of connections that break under their clients: that is what is measured. Errors are still shown.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    async with operation(cloud_file, reach=SOON) as op:
        cloud = op.site.cloud
        lab = lab_of(cloud_file)
        if lab is None and asked.yes_break != cloud.cloud:
            raise Refused(
                f"{cloud.cloud} is no lab of this host: breaking it may hurt somebody",
                hint=f"If you mean it: --yes-break {cloud.cloud}. To try drills: `quorate lab up`.",
            )
        ground = ground_of(cloud, op.secrets, lab)
        base = runs.folder.parent.parent
        tunnels = Tunnels({name: connect(cloud, name, base) for name in cloud.names})
        async with held(op.transports, op.token, holder("quorate drill"), progress=op.progress):
            await _heal(op, ground, left_behind(runs.folder))
            try:
                yield Arena(
                    op=op,
                    ground=ground,
                    folder=runs.folder,
                    guarded=partial(_guarded, cloud_file=cloud_file),
                    reach=tunnels.reach,
                    watch=watch_of(lab) if lab else None,
                    announce=lambda header: render.page(forecast(header)),
                    beyond=asked.beyond,
                )
            finally:
                await tunnels.close()


def _guarded(folder: Path, *, cloud_file: Path) -> contextlib.AbstractContextManager[None]:
    return guarded(folder, ("drill", "heal", "--guardian", folder.name, "--cloud", str(cloud_file.absolute())))


async def heal_all(cloud_file: Path, names: Sequence[str], *, locked: bool) -> list[str]:
    """Undo what drills have left; returns their names. `locked`: only where none of them still lives."""
    runs = Runs.of(cloud_file)
    async with operation(cloud_file, reach=SOON) as op:
        left = [folder for folder in left_behind(runs.folder) if not names or folder.name in names]
        ground = ground_of(op.site.cloud, op.secrets, lab_of(cloud_file))
        if not left or not locked:
            return await _heal(op, ground, left)
        async with held(op.transports, op.token, holder("quorate drill heal"), progress=op.progress):
            return await _heal(op, ground, left)


async def _heal(op: Operation, ground: Ground, left: Sequence[Path]) -> list[str]:
    doer = Doer(op.transports, ground, op.secrets)
    failed: list[QuorateError] = []
    for folder in left:
        op.progress(f"undoing what the drill {folder.name} has left")
        cures = Cures(folder)
        try:
            cures.load()
            await cures.heal(doer, Patience(progress=op.progress))
        except QuorateError as error:  # keeps nobody from undoing the rest
            failed.append(error)
    for host in op.site.cloud.names:  # of drills whose folder is gone, or somebody else's
        try:
            await doer.do(undo_all(host))
        except Unreachable as error:
            op.progress(f"not looked at: {error.message}")
    if failed:
        raise QuorateError("; ".join(error.message for error in failed), hint=failed[0].hint)
    return [folder.name for folder in left]
