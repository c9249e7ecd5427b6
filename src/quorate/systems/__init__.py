"""Systems: one folder (or one-file package) each, found by scanning, never listed.

A folder here with a module-level `SYSTEM` is a system; adding one needs no other edit.
"""

from __future__ import annotations

import importlib
import pkgutil

from quorate.core.system import AnySystem, System


def discover() -> tuple[AnySystem, ...]:
    """Every system that lies in this folder, by name."""
    found = []
    for module in pkgutil.iter_modules(__path__, prefix=f"{__name__}."):
        system = getattr(importlib.import_module(module.name), "SYSTEM", None)
        if isinstance(system, System):
            found.append(system)
    return tuple(sorted(found, key=lambda system: system.name))
