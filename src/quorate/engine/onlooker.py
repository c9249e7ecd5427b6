"""Looks at the cloud while a drill runs, again and again, and judges it as `quorate status` does.

Files and units are not compared with the cloud file: that is work for everybody, and no drill changes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from quorate.core.record import LookLine
from quorate.core.verdict import merge
from quorate.engine import apply
from quorate.errors import QuorateError

INTERVAL = 1.0
"""Seconds from the end of one look to the next, at least."""
REST = 3.0
"""Times as long as a look took nobody looks: it is work for the controllers, and must not be what is measured."""
UNWATCHED = 6.0
"""Seconds after a fault in which nobody looks: a look costs every controller 0.4 s of a processor, and these are the
seconds that are measured. Monitoring that looks more often than this is rare."""


@dataclass
class Onlooker:
    """Who looks. `now`: seconds on the record's clock; `note` is told each look."""

    op: apply.Operation
    now: Callable[[], float]
    note: Callable[[LookLine], None]
    last: LookLine | None = field(default=None)

    async def keep_looking(self, after: float) -> None:
        """Look until cancelled, for the first time after so many seconds."""
        await asyncio.sleep(after)
        while True:
            began = self.now()
            try:
                await self.look()
            except QuorateError as error:
                self.op.progress(f"no look: {error.message}")
            await asyncio.sleep(max(INTERVAL, REST * (self.now() - began)))

    async def look(self) -> LookLine:
        """Look once. The time is that of the answer: before it nobody knew."""
        verdicts = {name: judgement.verdict for name, judgement in (await apply.judgements(self.op)).items()}
        why = {name: verdict.reason for name, verdict in verdicts.items() if not verdict.is_ok}
        level = merge(verdicts.values()).level.word
        self.last = LookLine.model_validate({"at": self.now(), "level": level, "why": why})
        self.note(self.last)
        return self.last

    async def await_well(self, limit: float) -> None:
        """Wait until everything is ok and as redundant as it was; QuorateError after so many seconds."""
        until = self.now() + limit
        await asyncio.sleep(UNWATCHED)
        began = self.now()
        while ill := await self._ill():
            if self.now() > until:
                raise QuorateError(f"not everything was well again within {limit:.0f} s: {'; '.join(ill)}")
            await asyncio.sleep(max(INTERVAL, REST * (self.now() - began)))
            began = self.now()

    async def _ill(self) -> tuple[str, ...]:
        seen = await self.look()
        if seen.level == "ok":
            return await apply.settling(self.op)
        return tuple(f"{system}: {reason}" for system, reason in seen.why.items())
