"""Text from hosts, files and clients, made fit to be shown."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Make control characters visible: what a host or a file says must not steer the reader's terminal.

    Those that turn the direction of writing are among them: they show a text that is not the one that is there.
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
