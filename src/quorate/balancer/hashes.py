"""The hash functions of the implementations whose rings can be taken over; keys to unsigned numbers of 32 bits.

twemproxy's are the twelve of its `hash` directive (its src/hashkit, taken from libmemcached). Two of its habits are
kept: `crc32` gives 15 bits, and `fnv1_64` and `fnv1a_64` give the lower 32 bits only. Some of that C code reads keys as
`char`: a byte from 128 on is a negative number there on x86, for which these are right, and is not on ARM.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable

Hash = Callable[[bytes], int]

_32 = 0xFFFFFFFF
_FNV_32 = 2166136261
_FNV_32_PRIME = 16777619
_FNV_64 = 0xCBF29CE484222325
_FNV_64_PRIME = 0x100000001B3
_SIGNED = tuple(byte if byte < 128 else byte - 256 for byte in range(256))


def crc32a(key: bytes) -> int:
    """The CRC-32 of zlib and of everybody else."""
    return zlib.crc32(key)


def crc32(key: bytes) -> int:
    """Bits 16 to 30 of the CRC-32, as memcached's first clients took them."""
    return (zlib.crc32(key) >> 16) & 0x7FFF


def crc16(key: bytes) -> int:
    """CRC-16/XMODEM, but with what is shifted out above its 16 bits kept, as twemproxy's 32-bit variable does."""
    crc = 0
    for byte in key:
        crc = ((crc << 8) ^ _CRC16[((crc >> 8) ^ byte) & 0xFF]) & _32
    return crc


def _crc16_row(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
    return crc & 0xFFFF


_CRC16 = tuple(_crc16_row(byte) for byte in range(256))


def fnv1_32(key: bytes) -> int:
    """FNV-1, 32 bits."""
    value = _FNV_32
    for byte in key:
        value = ((value * _FNV_32_PRIME) ^ _SIGNED[byte]) & _32
    return value


def fnv1a_32(key: bytes) -> int:
    """FNV-1a, 32 bits."""
    value = _FNV_32
    for byte in key:
        value = ((value ^ _SIGNED[byte]) * _FNV_32_PRIME) & _32
    return value


def fnv1_64(key: bytes) -> int:
    """The lower half of FNV-1, 64 bits: nothing of the upper half ever comes down."""
    value = _FNV_64 & _32
    for byte in key:
        value = ((value * _FNV_64_PRIME) ^ _SIGNED[byte]) & _32
    return value


def fnv1a_64(key: bytes) -> int:
    """The lower half of FNV-1a, 64 bits: twemproxy's default."""
    value = _FNV_64 & _32
    for byte in key:
        value = ((value ^ _SIGNED[byte]) * _FNV_64_PRIME) & _32
    return value


def md5(key: bytes) -> int:
    """The first four bytes of the MD5 digest, the lowest first."""
    return int.from_bytes(hashlib.md5(key, usedforsecurity=False).digest()[:4], "little")


def one_at_a_time(key: bytes) -> int:
    """Bob Jenkins' one-at-a-time hash (burtleburtle.net/bob/hash/doobs.html)."""
    value = 0
    for byte in key:
        value = ((value + _SIGNED[byte]) * 1025) & _32  # x + (x << 10)
        value ^= value >> 6
    value = (value * 9) & _32  # x + (x << 3)
    value ^= value >> 11
    return (value * 32769) & _32  # x + (x << 15)


def hsieh(key: bytes) -> int:
    """Paul Hsieh's SuperFastHash, begun with 0 and not with the length (azillionmonkeys.com/qed/hash.html)."""
    value = 0
    end = len(key) & ~3
    for at in range(0, end, 4):
        value = (value + int.from_bytes(key[at : at + 2], "little")) & _32
        mixed = (int.from_bytes(key[at + 2 : at + 4], "little") << 11) ^ value
        value = ((value << 16) ^ mixed) & _32
        value = (value + (value >> 11)) & _32
    rest = key[end:]
    if len(rest) == 3:
        value = (value + int.from_bytes(rest[:2], "little")) & _32
        value ^= (value << 16) ^ (_SIGNED[rest[2]] << 18)
        value &= _32
        value += value >> 11
    elif len(rest) == 2:
        value = (value + int.from_bytes(rest, "little")) & _32
        value = (value ^ (value << 11)) & _32
        value += value >> 17
    elif rest:
        value = (value + rest[0]) & _32
        value = (value ^ (value << 10)) & _32
        value += value >> 1
    for left, right in ((3, 5), (4, 17), (25, 6)):
        value = (value ^ (value << left)) & _32
        value = (value + (value >> right)) & _32
    return value


def murmur(key: bytes) -> int:
    """Austin Appleby's MurmurHash2, the seed made of the length."""
    length = len(key)
    value = ((0xDEADBEEF * length) & _32) ^ length
    end = length & ~3
    for at in range(0, end, 4):
        part = (int.from_bytes(key[at : at + 4], "little") * 0x5BD1E995) & _32
        part ^= part >> 24
        value = ((value * 0x5BD1E995) ^ (part * 0x5BD1E995)) & _32
    if rest := key[end:]:
        value = ((value ^ int.from_bytes(rest, "little")) * 0x5BD1E995) & _32
    value ^= value >> 13
    value = (value * 0x5BD1E995) & _32
    return value ^ (value >> 15)


def _turn(value: int, bits: int) -> int:
    value &= _32
    return ((value << bits) | (value >> (32 - bits))) & _32


def jenkins(key: bytes) -> int:
    """Bob Jenkins' lookup3, `hashlittle` begun with 13 (burtleburtle.net/bob/c/lookup3.c)."""
    a = b = c = (0xDEADBEEF + len(key) + 13) & _32
    if not key:
        return c
    last = (len(key) - 1) // 12 * 12
    for at in range(0, last, 12):
        a += int.from_bytes(key[at : at + 4], "little")
        b += int.from_bytes(key[at + 4 : at + 8], "little")
        c += int.from_bytes(key[at + 8 : at + 12], "little")
        for first, second in ((4, 6), (8, 16), (19, 4)):
            # Two of the six steps of `mix`; the three words change places after each.
            a = ((a - c) & _32) ^ _turn(c, first)
            a, b, c = b, (c + b) & _32, a
            # Now a is the old b, b the old c grown by it, c the old a.
            a = ((a - c) & _32) ^ _turn(c, second)
            a, b, c = b, (c + b) & _32, a
    a += int.from_bytes(key[last : last + 4], "little")
    b += int.from_bytes(key[last + 4 : last + 8], "little")
    c += int.from_bytes(key[last + 8 :], "little")
    for bits in (14, 11, 25, 16, 4, 14, 24):
        # `final`: each step changes one word by the one before it; then they change places.
        c = ((c ^ b) - _turn(b, bits)) & _32
        a, b, c = b, c, a
    return b


def murmur3_32(key: bytes, seed: int = 0) -> int:
    """Austin Appleby's MurmurHash3 for x86, 32 bits: pymemcache's."""
    value = seed
    end = len(key) & ~3
    for at in range(0, end, 4):
        value ^= _scrambled(int.from_bytes(key[at : at + 4], "little"))
        value = (_turn(value, 13) * 5 + 0xE6546B64) & _32
    value ^= _scrambled(int.from_bytes(key[end:], "little")) ^ len(key)
    value = ((value ^ (value >> 16)) * 0x85EBCA6B) & _32
    value = ((value ^ (value >> 13)) * 0xC2B2AE35) & _32
    return value ^ (value >> 16)


def _scrambled(part: int) -> int:
    return (_turn(part * 0xCC9E2D51, 15) * 0x1B873593) & _32


HASHES: dict[str, Hash] = {
    "one_at_a_time": one_at_a_time,
    "md5": md5,
    "crc16": crc16,
    "crc32": crc32,
    "crc32a": crc32a,
    "fnv1_64": fnv1_64,
    "fnv1a_64": fnv1a_64,
    "fnv1_32": fnv1_32,
    "fnv1a_32": fnv1a_32,
    "hsieh": hsieh,
    "murmur": murmur,
    "jenkins": jenkins,
}
"""By the names of twemproxy's `hash` directive."""
