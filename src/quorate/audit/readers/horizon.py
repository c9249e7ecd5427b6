"""Horizon's settings: a program in Python, of which assignments of literals are read, and nothing is run.

(Django documentation, Settings; Horizon Settings Reference. A file `local_settings.d/*.py` is read after the main one.)
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind, Unreadable
from quorate.audit.node import Node, Place
from quorate.audit.tree import DEEPEST

COMPUTED = "="
"""Second word of a setting that is no literal; the third is its expression."""


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read settings: a dictionary's keys and a list's items are inside. What depends on a condition is left out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python thinks of it is the operator's business, not ours
            tree = ast.parse(text)
        yield from _statements(tree.body, at)
    except Unreadable:
        raise
    except SyntaxError as error:
        raise Unreadable(error.lineno or 0, f"no Python: {error.msg}") from None
    except RecursionError:
        raise Unreadable(0, "too deeply nested") from None
    except (ValueError, MemoryError) as error:  # of a whole number of many digits, in base 16, too
        raise Unreadable(0, f"no Python: {type(error).__name__}") from None


def _statements(body: list[ast.stmt], at: Callable[[int], Place]) -> Iterator[Node]:
    for statement in body:
        match statement:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _assigned(target, value, at)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from _assigned(target, value, at)
            case ast.Try(body=inner) | ast.With(body=inner):
                yield from _statements(inner, at)
            case _:
                pass


def _assigned(target: ast.expr, value: ast.expr, at: Callable[[int], Place]) -> Iterator[Node]:
    """`NAME = value`, or `NAME["key"]["key"] = value`, which is a key inside."""
    keys: list[str] = []
    while isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        keys.append(str(target.slice.value))
        target = target.value
    if len(keys) > DEEPEST:
        raise Unreadable(target.lineno, f"more than {DEEPEST} keys lie in each other")
    if isinstance(target, ast.Name):
        last, *above = (*keys, target.id)
        node = _node(last, value, at)
        for name in above:
            node = Node((name,), node.place, (node,))
        yield node


def _node(name: str, value: ast.expr, at: Callable[[int], Place]) -> Node:
    place = at(value.lineno)
    match value:
        case ast.Constant(value=constant):
            return Node((name, str(constant)), place)
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            inside = (_node(str(key.value), item, at) for key, item in pairs if isinstance(key, ast.Constant))
            return Node((name,), place, tuple(inside))
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return Node((name,), place, tuple(_node("", item, at) for item in elements))
        case _:
            return Node((name, COMPUTED, ast.unparse(value)), place)


KINDS = (
    Kind(
        "horizon",
        (
            "local_settings.py",
            "local_settings.d/*.py",
            "openstack-dashboard/local_settings",
            "openstack-dashboard/*settings*.py",
            "horizon/*settings*.py",
            "horizon/*local_settings",
        ),
        read,
        r"^[A-Z_]+(\[.*\])?[ \t]*(:[^=\n]*)?=",
    ),
)
