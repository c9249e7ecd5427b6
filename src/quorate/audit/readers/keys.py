"""Files that are a secret as a whole: Erlang's cookie, Keystone's keys. Only what they hash to is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from quorate.audit.kinds import Kind
from quorate.audit.node import Node, Place


def digest(secret: str) -> str:
    """Make of a secret what may be compared and shown: too little to find it out, unless it is a bad one."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()[:8]


def read(text: str, at: Callable[[int], Place]) -> Iterator[Node]:
    """Read the whole file as one secret."""
    yield Node(("digest", digest(text.strip())), at(0))


KINDS = (
    Kind("erlang-cookie", (".erlang.cookie", "erlang.cookie"), read),
    Kind("keystone-keys", ("fernet-keys/*", "credential-keys/*", "receipt-keys/*"), read, r"\A[\w+/=-]{43,44}\s*\Z"),
)
