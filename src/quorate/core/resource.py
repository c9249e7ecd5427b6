"""Resources: what should be on a controller, as value objects. They decide nothing and touch nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Package:
    """A package of the distribution, installed; its services are not started by the installation.

    `preseed`: lines for debconf-set-selections, given before the installation.
    """

    name: str
    preseed: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Unique on its controller."""
        return f"package:{self.name}"


@dataclass(frozen=True)
class Directory:
    """A directory with its mode and owner; what lies in it is not touched.

    `shared`: every controller is to find the same there; who mounts it is not ours to say.
    """

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"
    shared: bool = False

    @property
    def id(self) -> str:
        """Unique on its controller."""
        return f"directory:{self.path}"


@dataclass(frozen=True)
class File:
    """A file with exactly this content, which may hold references to secrets (core/secret.py)."""

    path: str
    content: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"

    @property
    def id(self) -> str:
        """Unique on its controller."""
        return f"file:{self.path}"


@dataclass(frozen=True)
class Gone:
    """A file that is no more: where it is still found it is kept as a backup and removed."""

    path: str

    @property
    def id(self) -> str:
        """Unique on its controller."""
        return f"file:{self.path}"


@dataclass(frozen=True)
class Sysctl:
    """A kernel setting, now and after a reboot."""

    name: str
    value: str

    @property
    def id(self) -> str:
        """Unique on its controller."""
        return f"sysctl:{self.name}"


@dataclass(frozen=True)
class Unit:
    """A systemd unit that has loaded the files named in `inputs` as they should be.

    `state`: `running` is started by apply; `formed` is started only by the steps of its system's `form`, because the
    order and the place of the first start matter; `stopped` must not run (and is disabled).
    `on_change`: how a running unit takes a changed input. `reloads`: those of its inputs that it takes by a reload,
    where it has to be restarted for the others.
    """

    name: str
    state: Literal["running", "formed", "stopped"] = "running"
    enabled: bool = True
    on_change: Literal["restart", "reload"] = "restart"
    inputs: tuple[str, ...] = ()
    reloads: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Unique on its controller."""
        return f"unit:{self.name}"


Resource = Package | Directory | File | Gone | Sysctl | Unit
