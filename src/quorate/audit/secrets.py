"""Keeps secrets out of what is shown: what stands where a secret stands in a file is hidden wherever it would show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import product

from quorate.audit.estate import Document, Text
from quorate.audit.kinds import LONGEST
from quorate.audit.node import Node

HIDDEN = "•••"
SHOWN = 2_000
"""Characters of what was seen: the rest of a longer one says nothing more."""
SHORTEST = 6
"""Characters of a secret that is hidden wherever it stands. A shorter one would hide half of what is said; it is hidden
where it stands beside its name."""

_WORDS = frozenset(("password", "secret", "secrete", "openstack", "changeme", "keystone", "controller"))
"""What guides and hasty people write as passwords, and what is said of other things all the time."""

_NAME = re.compile(
    r"(?i)(pass(word|wd|phrase|wort)?\d?|pwd|secret|token|cookie|credentials?|(auth|secret|encryption|encrypt|private|api|"
    r"hmac|metadata_proxy|access|shared)[-_.]?key|sst_auth|redis_auth|password_hash|secret[-_]key)$"
)
_ASSIGNED = re.compile(
    r"""(?i)(?P<head>(?<![\w.-])[\w.-]*?(?:pass(?:word|wd|phrase)?|secret|cookie|auth_key|encryption_key|secret_key|sst_auth|
    admin_token|password_hash|shared_key|community)["']?\s*(?:=>|[=:]|,\s*(?=<<|"))\s*(?:<<)?["']?)(?P<secret>[^\s"',;>})\]]+)""",
    re.VERBOSE,
)
_BESIDE = re.compile(
    r"(?i)(?P<head>(?<![\w.-])(?:[\w-]*(?:password|passwd|auth_pass|shared-secret|SECRET_KEY)|stats\s+auth|-setcookie|"
    r"sshpass\s+-p|identified\s+(?:(?:with|via)\s+\S+\s+)?(?:by|as|using)(?:\s+password)?|"
    r"(?:add_user|change_password|authenticate_user)\s+\S+)\s+[(\"']*(?:[\w.-]+:(?=\S))?)(?P<secret>[^\s\"';)]+)"
)
_ATTACHED = re.compile(r"(?P<head>\b(?:mysql|mariadb)[\w-]*\s(?:.*?\s)?-p)(?P<secret>[^\s\"';]+)")
_ADDRESS = re.compile(r"(?P<head>(?:://|[,])[^:/@\s,]*:)(?P<secret>[^@\s/]++)(?=@)")
_PATTERNS = (_ADDRESS, _ASSIGNED, _BESIDE, _ATTACHED)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide what stands where a secret stands, and these. Of a long text, its beginning."""
    for secret in secrets:
        if secret in text:  # as a word of its own: what begins or ends within another one is that one's part
            text = re.sub(rf"(?:(?<!\w)|(?<=-p)){re.escape(secret)}(?!\w)", HIDDEN, text)
    text = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<head>{HIDDEN}", text)
    return text


def secrets_of(documents: Iterable[Document], unread: Iterable[Text]) -> list[str]:
    """Every secret that the files hold, longest first. Of a file that was not understood, what looks like one."""
    found: set[str] = set()
    for document in documents:
        for node in document.root.walk():
            found.update(_in(node))
    for text in unread:
        for line, pattern in product(text.body.splitlines(), _PATTERNS):
            found.update(match["secret"] for match in pattern.finditer(line[:LONGEST]))
    return sorted((one for one in found - _WORDS if len(one) >= SHORTEST), key=len, reverse=True)


def _in(node: Node) -> Iterator[str]:
    """The secrets of one statement: its value, by its name; parts of addresses; `name=value` among its words."""
    if len(node.words) > 1 and _NAME.search(node.name):
        yield from node.words[1:]
        yield node.value
        if "sst_auth" in node.name:
            yield node.value.partition(":")[2]
    if _NAME.search(_said_name(node)):
        yield node.get("value")
    for name, value in zip(node.words, node.words[1:], strict=False):
        if _NAME.search(name):
            yield value
    for word in node.words:
        name, sign, value = word.partition("=")
        if sign and _NAME.search(name):
            yield value.strip("\"'")
    for pattern in _PATTERNS:
        yield from (match["secret"] for match in pattern.finditer(" ".join(node.words)[:LONGEST]))


def _said_name(node: Node) -> str:
    """Name what is a pair of a name and a value: an nvpair of a CIB."""
    return node.get("name") if node.inside else ""
