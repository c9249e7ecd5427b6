"""Prove a backup: every byte is genuine, and what comes to life from it is what was there when it was taken."""

from __future__ import annotations

from dataclasses import dataclass

from quorate.core.backup import Proved, Saving, differences, facts_of, told
from quorate.engine.apply import Operation
from quorate.engine.backup import Seen, Ways, look, savings, well
from quorate.engine.opened import Opened, check
from quorate.engine.sealed import Damaged
from quorate.engine.store import LONG
from quorate.errors import QuorateError, Refused


@dataclass(frozen=True)
class Finding:
    """What was found of a part: how it was looked at, and where."""

    what: str
    host: str
    how: str


async def prove(op: Operation, ways: Ways, opened: Opened) -> tuple[Proved, tuple[Finding, ...]]:
    """Read all of it, then restore what can be tried, each on a controller that can be spared.

    Raises Damaged where it is not what was backed up, Refused where no controller can be used now, QuorateError where
    the trial itself failed, which says nothing about the backup.
    """
    op.progress("reading every byte")
    await check(opened)
    trials = [(one, saving) for one, saving in savings(op, await look(op)) if saving.name in opened.manifest.parts]
    found = []
    for one, saving in trials:
        if saving.prove:
            found.append(await _tried(op, ways, opened, one, saving))
    if not found:
        raise Refused("nothing in it can be restored for trial: no system of this cloud has a part of it")
    tried = {finding.what for finding in found}
    others = [name for name in opened.manifest.parts if name not in tried]
    read = tuple(Finding(name, "", "every byte is what was sealed") for name in others)
    manifest = opened.manifest
    proved = Proved(id=manifest.id, taken=manifest.taken, proved=op.clock.now(), host=found[0].host)
    await opened.prove(proved)
    return proved, (*found, *read)


async def _tried(op: Operation, ways: Ways, opened: Opened, one: Seen, saving: Saving) -> Finding:
    host = one.ask(saving, op)
    said = opened.manifest.parts[saving.name]
    op.progress(f"restoring {saving.what} for trial on {host}")
    printed = bytearray()

    async def take(data: bytes) -> None:
        printed.extend(data)

    argv = (*saving.prove, opened.manifest.id, str(said.size))
    done = await ways[host].stream(argv, timeout=LONG, feed=opened.part(saving.name), take=take)
    well(op, done, host, f"{saving.what} could not be restored for trial")
    try:
        facts = facts_of(printed.decode(errors="replace"))
    except ValueError:
        raise QuorateError(f"{saving.what}: what {host} says of its restore makes no sense") from None
    against = tuple(differences(said.proof, facts.proof))
    if against:
        raise Damaged(f"{saving.what}, restored on {host}, is not what was backed up: {told(against)}")
    counts = ", ".join(f"{value} {name}" for name, value in facts.about.items())
    return Finding(saving.name, host, f"restored for trial, and alike: {counts}")
