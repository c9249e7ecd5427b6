"""What python-memcached's tests import, and its sdist forgot."""

from __future__ import annotations

import contextlib
import io


def captured_stderr() -> contextlib.AbstractContextManager[io.StringIO]:
    """Return a context that collects what is written to standard error."""
    return contextlib.redirect_stderr(io.StringIO())
