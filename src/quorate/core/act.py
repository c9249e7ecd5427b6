"""Acts: what can be done to a controller. JSON both in a plan and on the wire to `transport/remote/`.

Texts may hold references to secrets; the engine resolves them just before sending, so that a plan never holds one.
Every act is idempotent unless it says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from quorate.core.kept import Lies


class _Act(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Install(_Act):
    """Install packages, without starting their services; `preseed` are lines for debconf-set-selections."""

    do: Literal["install"] = "install"
    packages: tuple[str, ...]
    preseed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"install {', '.join(self.packages)}"


class WriteFile(_Act):
    """Put a file in place atomically; what it replaces is kept on the controller. systemd learns of changed units."""

    do: Literal["file"] = "file"
    path: str
    content: str
    mode: int
    owner: str
    group: str

    def __str__(self) -> str:
        return f"write {self.path}"


class RemoveFile(_Act):
    """Take a file away; it is kept on the controller as one that is replaced."""

    do: Literal["remove"] = "remove"
    path: str

    def __str__(self) -> str:
        return f"remove {self.path}"


class MakeDirectory(_Act):
    """Make a directory, or give it its mode and owner."""

    do: Literal["directory"] = "directory"
    path: str
    mode: int
    owner: str
    group: str

    def __str__(self) -> str:
        return f"make directory {self.path}"


class SetSysctl(_Act):
    """Set a kernel value now, and keep it for the next boot."""

    do: Literal["sysctl"] = "sysctl"
    name: str
    value: str

    def __str__(self) -> str:
        return f"set {self.name}={self.value}"


class Restore(_Act):
    """Put a path back as it was before a run first wrote it: the content never leaves the controller.

    `run`: whose copy. `found`: how it must lie there now; anything else is left alone, and fails.
    """

    do: Literal["restore"] = "restore"
    path: str
    run: str
    found: Lies
    before: Lies

    def __str__(self) -> str:
        return f"{'remove' if self.before.kind == 'absent' else 'put back'} {self.path}"


class RestoreSysctl(_Act):
    """Give a kernel setting back its value; `kept` is the one for the next boot, None where there was none of ours."""

    do: Literal["sysctl-restore"] = "sysctl-restore"
    name: str
    value: str
    kept: str | None

    def __str__(self) -> str:
        return f"set {self.name} back to {self.value}"


class SetUnit(_Act):
    """Change a unit: enablement (None: leave it), then start, restart, reload, stop or nothing, then the stamp.

    `inputs` is the digest that the stamp records once the unit is active; empty: no stamp.
    """

    do: Literal["unit"] = "unit"
    name: str
    enabled: bool | None = None
    verb: Literal["start", "restart", "reload", "stop", "none"] = "none"
    inputs: str = ""
    timeout: float = 120.0

    def __str__(self) -> str:
        words = [] if self.enabled is None else ["enable" if self.enabled else "disable"]
        words += [] if self.verb == "none" else [self.verb]
        return f"{' and '.join(words) or 'stamp'} {self.name}"


class Run(_Act):
    """Run a command; an exit code that is not in `expect` fails the step. `title` is what people read.

    Not idempotent by itself: a system's `form` plans it only where its views say that it is still to be done.
    Secrets belong in `stdin` or `environment`, never in `argv`.
    """

    do: Literal["run"] = "run"
    title: str
    argv: tuple[str, ...]
    stdin: str = ""
    environment: dict[str, str] = Field(default_factory=dict)
    user: str = "root"
    expect: tuple[int, ...] = (0,)
    timeout: float = 120.0

    def __str__(self) -> str:
        return self.title


Act = Annotated[
    Install | WriteFile | RemoveFile | MakeDirectory | Restore | SetSysctl | RestoreSysctl | SetUnit | Run,
    Field(discriminator="do"),
]
