# ruff: noqa: INP001 - a program, not a package
"""Write `src/quorate/audit/known/rabbitmq.txt`: the keys that rabbitmq.conf may have, by RabbitMQ's own schemas.

    known_rabbitmq.py FOLDER… >src/quorate/audit/known/rabbitmq.txt

Each folder is searched for `*.schema`: a source tree of rabbitmq-server, or what its package unpacks to. The keys of
all releases are one list: a key that none has is a mistake, one that a release lost is another matter. The list that
is kept is of 3.8.34, 3.9.29, 3.10.8, 3.11.28, 3.12.14, 3.13.7, 4.0.5, 4.1.4, 4.2.4 and 4.3.5, with the packages of
Debian 12 and 13 (which bring cuttlefish's own).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_MAPPING = re.compile(r'^\s*\{mapping,\s*"([^"]+)"', re.MULTILINE)


def keys(folder: Path) -> set[str]:
    """Find the keys of every schema in a folder; those of test suites are no keys of RabbitMQ."""
    schemas = (path for path in folder.rglob("*.schema") if "test" not in path.parts)
    return {key for path in schemas for key in _MAPPING.findall(path.read_text(encoding="utf-8"))}


def main() -> None:
    """Print the keys of all folders."""
    found = set().union(*(keys(Path(folder)) for folder in sys.argv[1:]))
    sys.stdout.write("".join(f"{key}\n" for key in sorted(found)))


if __name__ == "__main__":
    main()
