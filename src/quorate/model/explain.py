"""pydantic's errors in plain words: what was found, what is wrong with it and what is allowed instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from quorate.model.cloud import FORMS, Brief
from quorate.model.rules import Finding
from quorate.model.words import Path, choice, did_you_mean, found

_NOT = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of this size",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_unicode": "text",
    "ip_v4_address": "an IPv4 address",
    "ip_v4_network": "a subnet in CIDR form",
    "list_type": "a list",
    "tuple_type": "a list",
}
_BOUNDS = {
    "greater_than_equal": ("is too small", "ge", "at least"),
    "greater_than": ("is too small", "gt", "more than"),
    "less_than_equal": ("is too large", "le", "at most"),
    "less_than": ("is too large", "lt", "less than"),
}


def explain(error: ErrorDetails, model: type[BaseModel]) -> Finding:
    """Put one error into words. `model` is what was being read; the path is relative to it."""
    path = tuple(part for part in error["loc"] if part != "[key]")
    kind, value, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "missing":
        return Finding(path[:-1], f"the key {str(path[-1])!r} is missing")
    if kind == "extra_forbidden":
        section = section_at(model, path[:-1])
        keys = tuple(section.model_fields) if section else ()
        word = str(path[-1])
        return Finding(path, f"unknown key {found(word)}{did_you_mean(word, keys)}", choice(keys))
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        section = section_at(model, path)
        short = f"its {section.brief}, or " if section and issubclass(section, Brief) else ""
        allowed = f"{short}a mapping of {choice(section.model_fields)}" if section else ""
        return Finding(path, f"{found(value)} is not a mapping", allowed)
    if kind in _BOUNDS:
        said, bound, words = _BOUNDS[kind]
        return Finding(path, f"{found(value)} {said}", f"{words} {context[bound]:g}")
    return Finding(path, *_value(kind, value, context, error["msg"]))


def _value(kind: str, value: Any, context: Mapping[str, Any], message: str) -> tuple[str, str]:
    """Say what is wrong with a single value, and what is allowed."""
    if kind in {"literal_error", "enum"}:
        return f"{found(value)} is not known here", str(context["expected"]).replace("'", "")
    if kind == "string_type":
        return f"{found(value)} is not text", "text; in quotes where it looks like a number"
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        return f"{found(value)} has not the right form", FORMS.get(pattern, f"text like {pattern}")
    if kind in {"too_short", "string_too_short"}:
        return f"{found(value)} is too short", f"at least {context['min_length']}"
    if kind in {"too_long", "string_too_long"}:
        return f"{found(value)} is too long", f"at most {context['max_length']}"
    if kind in _NOT:
        return f"{found(value)} is not {_NOT[kind]}", ""
    if "allowed" in context:
        return message, str(context["allowed"])
    if kind == "value_error":
        return str(context["error"]), ""
    return f"{found(value)}: {message[:1].lower()}{message[1:]}", ""


def section_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The section that stands at the place; None where names may stand that the operator chooses, or a value."""
    kind: Any = model
    for part in path:
        kind = _below(_model(kind) or kind, part)
    return _model(kind)


def _below(kind: Any, part: str | int) -> Any:
    """The type of what stands below the key."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return field.annotation if field else None
    for option in _options(kind):
        arguments = get_args(option)
        if get_origin(option) in {dict, Mapping} or (get_origin(option) in {list, tuple} and arguments):
            return arguments[-1] if get_origin(option) is not tuple else arguments[0]
    return None


def _model(kind: Any) -> type[BaseModel] | None:
    """The section among the alternatives, if there is one."""
    return next((o for o in _options(kind) if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _options(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a union, without what annotates them."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0])
    if get_origin(kind) in {dict, list, tuple, Mapping} or not get_args(kind):
        return (kind,)
    return tuple(option for one in get_args(kind) for option in _options(one))
