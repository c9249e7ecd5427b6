"""The balancer as one file: every module of `quorate.balancer` as it stands, and what lets Python import them from it.

Text, so that a plan can show how it changes; the same sources give the same text. It needs Python 3.11 or newer and
nothing beside its standard library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

BALANCER = "quorate.balancer"
_QUOTES = "'" * 3
_HEAD = '''#!/usr/bin/python3 -IS
"""quorate-balancer {version}: written by quorate; change its sources or cloud.yaml instead.

Each module of {package} stands here as it is in quorate's sources; what imports them stands at the end.
"""

import sys
from importlib.machinery import ModuleSpec

VERSION = "{version}"
SOURCES = {{}}

'''
_TAIL = '''

class Bundle:
    """Finds and loads the modules above, and gives their lines to tracebacks."""

    def find_spec(self, name, path=None, target=None):
        if name not in SOURCES:
            return None
        package = any(other.startswith(f"{name}.") for other in SOURCES)
        return ModuleSpec(name, self, origin=__file__, is_package=package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name):
        return compile(SOURCES[name], f"{__file__}/{name}", "exec", dont_inherit=True)

    def get_source(self, name):
        return SOURCES[name]


if __name__ == "__main__":
    loader = Bundle()
    sys.meta_path.insert(0, loader)
    import quorate.balancer

    quorate.balancer.BUNDLE = VERSION
    names = {"__name__": "__main__", "__package__": "quorate.balancer", "__file__": __file__, "__loader__": loader}
    exec(loader.get_code("quorate.balancer.__main__"), names)
'''


@cache
def bundle() -> str:
    """The file's text, of the balancer that belongs to this quorate."""
    return bundled(sources())


@cache
def version() -> str:
    """The version of the balancer that belongs to this quorate: a digest of its sources."""
    return digest(sources())


def sources() -> dict[str, str]:
    """The text of every module, by its full name."""
    found = {"quorate": '"""What of quorate runs on a controller."""\n', BALANCER: '"""The balancer."""\n'}
    for entry in files(BALANCER).iterdir():
        stem, dot, suffix = entry.name.rpartition(".")
        if dot and suffix == "py":
            found[BALANCER if stem == "__init__" else f"{BALANCER}.{stem}"] = entry.read_text(encoding="utf-8")
    return dict(sorted(found.items()))


def digest(modules: Mapping[str, str]) -> str:
    """Twelve hexadecimal digits that differ whenever a source does."""
    told = "".join(f"{name} {len(text)}\n{text}" for name, text in modules.items())
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def bundled(modules: Mapping[str, str]) -> str:
    """Put the modules into one file. Each stands in a raw string, as it is: ValueError for one that cannot."""
    parts = [_HEAD.format(version=digest(modules), package=BALANCER)]
    for name, text in modules.items():
        if _QUOTES in text or not text.endswith("\n"):
            raise ValueError(f"{name} holds {_QUOTES}, or no newline at its end")
        parts.append(f'SOURCES["{name}"] = r{_QUOTES}{text}{_QUOTES}\n')
    return "".join([*parts, _TAIL])
