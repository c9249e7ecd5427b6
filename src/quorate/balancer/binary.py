"""The binary protocol is refused, clearly.

oslo.cache speaks it through python-binary-memcached when SASL is on; memcached itself calls it deprecated.
Every request is answered with status 0x81 (unknown command), opcode and opaque echoed, and the connection is
closed. What that client makes of it (its protocol.py): at a get or set, `MemcachedException: Code: 129 Message:
Unknown command`, an error in the service's log that says what is wrong; at SASL's first request, "the server does not
require authentication", and then the same exception at the first get. A silent close would be a miss without any
word, for ever.
"""

from __future__ import annotations

import struct

BINARY_MAGIC = 0x80
"""First byte of a binary request; no text command begins with it."""
_ANSWER_MAGIC = 0x81
_UNKNOWN_COMMAND = 0x81
_HEADER = struct.Struct("!BBHBBHIIQ")  # magic, opcode, key, extras, type, bucket or status, body, opaque, cas
_TEXT = b"Unknown command"


def binary_answer(data: bytes) -> bytes:
    """Return the error for the request that `data` begins with; empty while its 24-byte header is not complete."""
    if len(data) < _HEADER.size:
        return b""
    _, opcode, _, _, _, _, _, opaque, _ = _HEADER.unpack_from(data)
    return _HEADER.pack(_ANSWER_MAGIC, opcode, 0, 0, 0, _UNKNOWN_COMMAND, len(_TEXT), opaque, 0) + _TEXT
