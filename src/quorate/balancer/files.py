"""The files that a configuration names: whether they can be used, and who else may read them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from quorate.balancer.sections import shown

if TYPE_CHECKING:
    from quorate.balancer.config import Config


def unusable(config: Config) -> Iterator[str]:
    """Say what is wrong with them, `key: what, allowed: …` each."""
    named = []
    if config.tls is not None:
        named += [(f"tls.{key}", getattr(config.tls, key)) for key in ("ca", "cert", "key")]
    if config.auth is not None:
        named.append(("auth.password_file", config.auth.password_file))
    missing = [(key, file) for key, file in named if file and not os.access(file, os.R_OK)]
    for key, file in missing:
        yield f"{key}: {shown(file)} cannot be read, allowed: a file that this user may read"
    if config.tls is not None and not missing:
        from quorate.balancer import tls  # noqa: PLC0415 - OpenSSL is for those who ask for it

        try:
            tls.context(config.tls)
        except ValueError as error:
            yield str(error)


def open_secrets(config: Config) -> Iterator[str]:
    """Name the secrets that everybody may read."""
    for key, file in (
        ("tls.key", config.tls.key if config.tls is not None else ""),
        ("auth.password_file", config.auth.password_file if config.auth is not None else ""),
    ):
        if file and Path(file).stat().st_mode & stat.S_IROTH:
            yield f"{key}: {shown(file)} can be read by everybody on this machine, allowed: by this user or group"
