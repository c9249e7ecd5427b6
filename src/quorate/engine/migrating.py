"""How far a migration has come, kept beside the cloud file: `.quorate/migrating.json`. It holds no secret."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from quorate.core.migration import State
from quorate.errors import QuorateError, Refused

_FILE = "migrating.json"


class Begun:
    """What is kept of a migration beside the cloud file. `base`: the folder of the cloud file."""

    def __init__(self, base: Path) -> None:
        self._path = base / ".quorate" / _FILE

    def state(self) -> State | None:
        """How far it has come; None: there is none. QuorateError where the file makes no sense."""
        try:
            return State.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise QuorateError(
                f"{self._path} cannot be read: {error}", hint="It says how far a migration is."
            ) from None

    def keep(self, state: State) -> None:
        """Note it; after a crash the file is the old one or the new one."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(state.model_dump_json(indent=2) + "\n", encoding="ascii")
        fresh.replace(self._path)

    def forget(self) -> None:
        """There is none any more."""
        self._path.unlink(missing_ok=True)


def refuse_half_a_copy(base: Path) -> None:
    """Raise Refused where the new cloud may hold half a copy: what would be started from it would take it for all."""
    state = Begun(base).state()
    if state is not None and state.stage == "cut":
        hint = f"`quorate migrate {state.source}` goes on; with --back it ends, and the copy is dropped."
        raise Refused(f"a migration from {state.source} was cut off while it copied", hint=hint)


def state_of(begun: Begun, name: str) -> State | None:
    """How far the migration from this source is. Refused where another one has begun."""
    state = begun.state()
    if state is not None and state.source != name:
        hint = f"`quorate migrate {state.source}` goes on; with --back or --finish it ends."
        raise Refused(f"a migration from {state.source} has begun, and is not at its end", hint=hint)
    return state
