"""From texts to findings: read, hold every rule against it, leave out what has a reason, hide secrets."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from quorate.audit import rules as rows
from quorate.audit.estate import Document, Estate, Text, Unread
from quorate.audit.kinds import kind_of, read
from quorate.audit.node import Place
from quorate.audit.rule import Finding, Hit, Rule, Severity
from quorate.audit.secrets import masked, secrets_of

_IGNORE = re.compile(r"(?P<before>.*?)(?:#|;|//|%|!|<!--)\s*quorate:\s*ignore=(?P<rules>[A-Z0-9,]+)\s+(?P<reason>\S.*)")


@dataclass(frozen=True)
class Audit:
    """What came of it. `ignored`: findings for which a file gives a reason, with the reason."""

    findings: tuple[Finding, ...]
    ignored: tuple[tuple[Finding, str], ...]
    unread: tuple[Unread, ...]
    read: tuple[Document, ...]


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule there is, by name."""
    modules = (importlib.import_module(f"{rows.__name__}.{one.name}") for one in pkgutil.iter_modules(rows.__path__))
    return tuple(sorted((rule for module in modules for rule in module.RULES), key=lambda rule: rule.name))


def estate_of(texts: Iterable[Text], versions: Mapping[str, str]) -> Estate:
    """Read what is of a known kind; the rest is nobody's business."""
    found = [read(text, kind) for text in texts if (kind := kind_of(text)) is not None]
    return Estate(
        tuple(one for one in found if isinstance(one, Document)),
        dict(versions),
        tuple(one for one in found if isinstance(one, Unread)),
    )


def audit(texts: Iterable[Text], versions: Mapping[str, str], unread: Iterable[Unread] = ()) -> Audit:
    """Hold every rule against everything. Worst first, then by place. `unread`: what never came as far as here."""
    several = tuple(texts)
    estate = estate_of(several, versions)
    reasons = {(document.host, document.text.path): _reasons(document.text) for document in estate.documents}
    missed = {(one.place.host, one.place.path) for one in estate.unread}
    secrets = secrets_of(estate.documents, (text for text in several if (text.host, text.path) in missed))
    found: list[Finding] = []
    ignored: list[tuple[Finding, str]] = []
    for rule in rules():
        for hit in rule.find(estate):
            finding = Finding(rule, replace(hit, seen=masked(hit.seen, secrets)))
            reason = _reason(reasons.get((hit.place.host, hit.place.path), {}), rule, hit)
            if reason:
                ignored.append((finding, masked(reason, secrets)))
            else:
                found.append(finding)
    order = list(Severity)
    found.sort(key=lambda one: (order.index(one.rule.severity), one.rule.name, one.hit.place))
    failed = tuple(Unread(one.place, masked(one.why, secrets)) for one in (*estate.unread, *unread))
    return Audit(tuple(found), tuple(ignored), failed, estate.documents)


def _reasons(text: Text) -> dict[tuple[str, int], str]:
    """What may be ignored: by rule and line, the line of the comment itself or, where it stands alone, the next one."""
    found = {}
    for number, line in enumerate(text.body.splitlines(), 1):
        if match := _IGNORE.match(line):
            place = number if match["before"].strip() else number + 1
            for rule in match["rules"].split(","):
                found[(rule, place)] = match["reason"].removesuffix("-->").strip()
    return found


def _reason(reasons: Mapping[tuple[str, int], str], rule: Rule, hit: Hit) -> str:
    """A finding of the whole file is ignored by a comment anywhere in it."""
    if hit.place.line:
        return reasons.get((rule.name, hit.place.line), "")
    return next((reason for (name, _), reason in reasons.items() if name == rule.name), "")


def about(place: Place) -> str:
    """Say where, with the machine's name where it is known and the path does not hold it."""
    return f"{place.host}: {place}" if place.host and place.host not in place.path.split("/") else str(place)
