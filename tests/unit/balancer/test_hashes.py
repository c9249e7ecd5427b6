"""The hashes against values that others published or computed; the whole of them against twemproxy is in tests/real."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.balancer.hashes import HASHES, crc16, fnv1_32, fnv1_64, fnv1a_32, fnv1a_64, murmur3_32, one_at_a_time

WORDS = (b"a", b"apple", b"strawberry", b"when", b"controller1:11211")
LIBHASHKIT = {  # computed by Debian's libhashkit 1.1.4, whose hsieh is switched off
    "one_at_a_time": (0xCA2E9442, 0x88F08EF3, 0x197DEE02, 0x9AECDC30, 0x6EB6D5AA),
    "md5": (0xB975C10C, 0xBE70381F, 0x84F95B49, 0x4D1A49DF, 0x4EDE7FAE),
    "crc32": (0x000068B7, 0x0000292E, 0x00000A87, 0x000023E8, 0x00002400),
    "fnv1_64": (0x8601B7BE, 0x1C347217, 0x0D692AE2, 0x8ECA5301, 0x975A6C3A),
    "fnv1a_64": (0x8601EC8C, 0x58BEFDBF, 0xEABB13BC, 0x4F32F639, 0x50652468),
    "fnv1_32": (0x050C5D7E, 0x04010657, 0xD3D9BD62, 0x709A0061, 0x7E75537A),
    "fnv1a_32": (0xE40C292C, 0x10BC2ABF, 0x843A155C, 0x7F778519, 0x0F4DDC88),
    "murmur": (0x4B41757C, 0xF6E68F62, 0x8F1BB12E, 0x698C57D1, 0x157265EB),
    "jenkins": (0xE0A38690, 0x55F9F550, 0xB7269801, 0xA06DCEFB, 0x0126C94D),
}


@pytest.mark.parametrize("name", LIBHASHKIT)
def test_as_libhashkit(name: str) -> None:
    assert tuple(HASHES[name](word) for word in WORDS) == LIBHASHKIT[name]


def test_the_vectors_of_fnv_s_authors() -> None:
    assert (fnv1_32(b"foobar"), fnv1a_32(b"foobar")) == (0x31F0B262, 0xBF9CF968)
    assert (fnv1_64(b"foobar"), fnv1a_64(b"foobar")) == (
        0x340D8765A4DDA9C2 & 0xFFFFFFFF,
        0x85944171F73967E8 & 0xFFFFFFFF,
    )


def test_the_check_values_of_the_crcs() -> None:
    assert crc16(b"123456789") & 0xFFFF == 0x31C3
    assert HASHES["crc32a"](b"123456789") == 0xCBF43926
    assert HASHES["crc32"](b"123456789") == (0xCBF43926 >> 16) & 0x7FFF


def test_bob_jenkins_sentence() -> None:
    assert one_at_a_time(b"The quick brown fox jumps over the lazy dog") == 0x519E91F5


@pytest.mark.parametrize(
    ("data", "seed", "value"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"hello", 0, 0x248BFA47),
        (b"test", 0x9747B28C, 0x704B81DC),
        (b"Hello, world!", 0x9747B28C, 0x24884CBA),
    ],
)
def test_murmur3(data: bytes, seed: int, value: int) -> None:
    assert murmur3_32(data, seed) == value


@pytest.mark.parametrize("name", HASHES)
@settings(deadline=None)
@given(key=st.binary(max_size=250))
def test_every_hash_is_a_number_of_32_bits(name: str, key: bytes) -> None:
    assert 0 <= HASHES[name](key) <= 0xFFFFFFFF
