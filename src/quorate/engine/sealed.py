"""A stream that nobody can read, change, cut or mix with another: AES-256-GCM in pieces (the STREAM construction).

::

    file  = magic (8) | backup (16) | key's mark (8) | piece | piece | … | last piece
    piece = AES-GCM(part's key, nonce = number (8) | last? (4), up to 1 MiB, tied to the head)

Each part of each backup has a key of its own, from the operator's key (HKDF-SHA256, salted with the backup's random
id, for the part's name), so that a part fits in no other place. The number in the nonce shows pieces that were moved
or left out, the mark of the last one that the end is missing. Nothing that a piece holds is given out before it is
found to be genuine. Bounded memory: two pieces. Source: Hoang, Reyhanitabar, Rogaway, Vizár: "Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015; HKDF: RFC 5869.
"""

from __future__ import annotations

import base64
import binascii
from hmac import compare_digest

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from quorate.errors import QuorateError

MAGIC = b"QRTSEAL1"
ID = 16
"""Bytes of a backup's id."""
MARK = 8
HEAD = len(MAGIC) + ID + MARK
PIECE = 1 << 20
TAG = 16
KEY = 32


class Damaged(QuorateError):
    """It is not, or not all of, what was sealed."""


def new_key(random: bytes) -> str:
    """Make the text of a key file from 32 bytes that nobody can guess."""
    return base64.b64encode(random).decode("ascii")


def key_of(text: str) -> bytes:
    """Read a key file's text. ValueError where it is none."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        raise ValueError("it is not base64") from None
    if len(key) != KEY:
        raise ValueError(f"it holds {len(key)} bytes, not {KEY}")
    return key


def _derived(key: bytes, backup: bytes, purpose: str, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=backup, info=f"quorate backup {purpose}".encode()).derive(key)


def _head(key: bytes, backup: bytes) -> bytes:
    return MAGIC + backup + _derived(key, backup, "mark", MARK)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(8, "big") + int(last).to_bytes(4, "big")


class Sealer:
    """Seals one part: pieces of any length in, what is to be stored out."""

    def __init__(self, key: bytes, backup: bytes, part: str, *, piece: int = PIECE) -> None:
        self._head = _head(key, backup)
        self._cipher = AESGCM(_derived(key, backup, f"part {part}", KEY))
        self._piece = piece
        self._number = 0
        self._waiting = bytearray()
        self._begun = False

    def update(self, data: bytes) -> bytes:
        """Take what comes next; a piece is sealed once it is known not to be the last."""
        self._waiting += data
        out = bytearray(b"" if self._begun else self._head)
        self._begun = True
        while len(self._waiting) > self._piece:
            out += self._seal(last=False)
        return bytes(out)

    def finish(self) -> bytes:
        """Seal the last piece, which may be empty."""
        return self.update(b"") + self._seal(last=True)

    def _seal(self, *, last: bool) -> bytes:
        data = bytes(self._waiting[: self._piece])
        del self._waiting[: self._piece]
        sealed = self._cipher.encrypt(_nonce(self._number, last=last), data, self._head)
        self._number += 1
        return sealed


class Opener:
    """Opens one part. Raises Damaged as soon as something is not genuine, at the end where the end is missing."""

    def __init__(self, key: bytes, part: str, *, backup: bytes | None = None, piece: int = PIECE) -> None:
        self._key = key
        self._part = part
        self._backup = backup
        self._piece = piece + TAG
        self._number = 0
        self._waiting = bytearray()
        self._head = b""
        self._cipher: AESGCM | None = None

    @property
    def backup(self) -> bytes:
        """The id of the backup that it is of, once its head was read."""
        return self._head[len(MAGIC) : len(MAGIC) + ID]

    def update(self, data: bytes) -> bytes:
        """Take what is stored next; gives what is known to be genuine."""
        self._waiting += data
        if self._cipher is None:
            if len(self._waiting) < HEAD:
                return b""
            self._cipher = self._begin()
        out = bytearray()
        while len(self._waiting) > self._piece:
            out += self._open(self._cipher, last=False)
        return bytes(out)

    def finish(self) -> bytes:
        """Give the rest, which must be the end that was sealed."""
        if self._cipher is None:
            raise Damaged(f"{self._part} is cut short: it has not even a head")
        return self._open(self._cipher, last=True)

    def _begin(self) -> AESGCM:
        head = bytes(self._waiting[:HEAD])
        del self._waiting[:HEAD]
        if not head.startswith(MAGIC):
            raise Damaged(f"{self._part} is no part of a backup: it does not begin like one")
        self._head = head
        if self._backup not in {None, self.backup}:
            raise Damaged(f"{self._part} is of another backup")
        if not compare_digest(head, _head(self._key, self.backup)):
            raise Damaged(f"{self._part} was sealed with another key, or its head is damaged")
        return AESGCM(_derived(self._key, self.backup, f"part {self._part}", KEY))

    def _open(self, cipher: AESGCM, *, last: bool) -> bytes:
        data = bytes(self._waiting[: self._piece])
        del self._waiting[: self._piece]
        try:
            opened = cipher.decrypt(_nonce(self._number, last=last), data, self._head)
        except InvalidTag:
            raise Damaged(self._why(cipher, data, last=last)) from None
        self._number += 1
        return opened

    def _why(self, cipher: AESGCM, data: bytes, *, last: bool) -> str:
        """Tell an end that is missing from bytes that were changed: a whole piece that is not marked as the last."""
        where = f"{self._part}, piece {self._number + 1}"
        if not last:
            return f"{where} is not what was sealed: it was changed"
        try:
            cipher.decrypt(_nonce(self._number, last=False), data, self._head)
        except InvalidTag:
            return f"{where} is cut short or changed: it is not what was sealed"
        return f"{self._part} is cut short: what follows piece {self._number + 1} is missing"
