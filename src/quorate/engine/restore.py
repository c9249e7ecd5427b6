"""Restore a backup onto controllers that hold nothing: the data first, then the usual apply, then what needs a cluster.

One run: every byte is read → nobody holds data (else refused) → programs → data onto the first controller → apply forms
the cluster from it → definitions → the last look. Interrupted, the same again: `.quorate/restoring.json` beside the
cloud file says that the controllers were seen empty for this backup, and each part goes over nothing but itself.
"""

from __future__ import annotations

from pathlib import Path

from quorate.core.backup import Saving
from quorate.core.review import views_of
from quorate.core.system import enabled
from quorate.engine.apply import Operation, Outcome, apply, prepare
from quorate.engine.backup import Ways, look, savings, well
from quorate.engine.observe import observe
from quorate.engine.opened import Opened, check
from quorate.engine.store import LONG
from quorate.errors import QuorateError, Refused

_FILE = "restoring.json"


class Begun:
    """Whether a restore of this backup was begun before. `base`: the folder of the cloud file."""

    def __init__(self, base: Path, backup: str) -> None:
        self._path = base / ".quorate" / _FILE
        self._backup = backup

    @property
    def before(self) -> bool:
        """Whether it was, and not brought to its end."""
        return self._path.exists() and self._path.read_text(encoding="ascii", errors="replace") == self._backup

    def begin(self) -> None:
        """Note it."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        self._path.write_text(self._backup, encoding="ascii")

    def end(self) -> None:
        """It has come to its end."""
        self._path.unlink(missing_ok=True)


async def restore(op: Operation, ways: Ways, opened: Opened, begun: Begun) -> Outcome:
    """Do it. The caller holds the lock. Raises as `apply`, and Damaged before anything is changed."""
    op.progress("reading every byte")
    await check(opened)
    if not begun.before:
        await refuse_unless_empty(op, opened)
        begun.begin()
    op.journal.write("restore", name=opened.name, where=opened.store.where)
    await prepare(op)
    parts = [saving for _, saving in savings(op, await look(op)) if saving.name in opened.manifest.parts]
    for saving in parts:
        if not saving.formed:
            await _put_back(op, ways, opened, saving, op.site.cloud.names[0])
    outcome = await apply(op)
    if not outcome.verdict.is_ok:
        raise QuorateError(
            f"the data is back, and the cloud is {outcome.verdict.level.word}: {outcome.verdict.reason}",
            hint="Mend the cause, then restore the same backup again: it goes on from here.",
        )
    for one, saving in savings(op, await look(op)):
        if saving.formed and saving.name in opened.manifest.parts:
            await _put_back(op, ways, opened, saving, one.ask(saving, op))
    last = await apply(op)
    begun.end()
    return Outcome(outcome.plan, last.verdict, outcome.seconds + last.seconds)


async def refuse_unless_empty(op: Operation, opened: Opened) -> None:
    """Raise Refused, with the evidence, where any controller holds, or may hold, what would be restored."""
    world = await observe(op.site, op.systems, op.transports, op.secrets, resources=False)
    against: list[str] = []
    for system in enabled(op.site.cloud, op.systems):
        spec = op.site.cloud.systems[system.name]
        if any(saving.name in opened.manifest.parts for saving in system.backups(spec, op.site)):
            found = system.holders(spec, op.site, views_of(system, op.site, world))
            against += [f"{system.name}: {why}" for why in found.values()]
    if against:
        raise Refused(
            "a backup is restored onto controllers that hold nothing, and these hold, or may hold, data:\n"
            + "\n".join(f"  {line}" for line in against),
            hint="Nothing was changed. A cluster that is down is no case for a backup: see `quorate apply`.",
        )


async def _put_back(op: Operation, ways: Ways, opened: Opened, saving: Saving, host: str) -> None:
    said = opened.manifest.parts[saving.name]
    op.progress(f"restoring {saving.what} on {host}")
    op.journal.write("put back", part=saving.name, host=host)
    argv = (*saving.put_back, opened.manifest.id, str(said.size))
    done = await ways[host].stream(argv, timeout=LONG, feed=opened.part(saving.name))
    well(op, done, host, f"{saving.what} could not be restored")
    op.journal.write("done", part=saving.name, host=host)
