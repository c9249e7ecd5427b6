from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.engine.sealed import HEAD, Damaged, Opener, Sealer, key_of, new_key

KEY = bytes(range(32))
ONE, OTHER = bytes(16), bytes([1] * 16)
PIECE = 16
"""Small, so that short texts have many pieces."""

texts = st.binary(max_size=5 * PIECE)


def sealed(data: bytes, part: str = "database", backup: bytes = ONE, key: bytes = KEY) -> bytes:
    sealer = Sealer(key, backup, part, piece=PIECE)
    return sealer.update(data) + sealer.finish()


def opened(data: bytes, part: str = "database", key: bytes = KEY, step: int = 7) -> bytes:
    opener = Opener(key, part, backup=ONE, piece=PIECE)
    out = b"".join(opener.update(data[at : at + step]) for at in range(0, len(data), step))
    return out + opener.finish()


@given(texts, st.lists(st.integers(0, 40)), st.integers(1, 50))
def test_what_was_sealed_is_opened_however_it_is_cut_into_pieces(data: bytes, cuts: list[int], step: int) -> None:
    sealer = Sealer(KEY, ONE, "database", piece=PIECE)

    def pieces() -> Iterator[bytes]:
        rest = data
        for cut in cuts:
            yield sealer.update(rest[:cut])
            rest = rest[cut:]
        yield sealer.update(rest)
        yield sealer.finish()

    assert opened(b"".join(pieces()), step=step) == data


@given(texts, st.data())
def test_anything_cut_off_is_seen(data: bytes, draw: st.DataObject) -> None:
    whole = sealed(data)
    with pytest.raises(Damaged):
        opened(whole[: draw.draw(st.integers(0, len(whole) - 1))])


@settings(max_examples=300)
@given(texts, st.data())
def test_any_changed_bit_is_seen(data: bytes, draw: st.DataObject) -> None:
    whole = bytearray(sealed(data))
    whole[draw.draw(st.integers(0, len(whole) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    with pytest.raises(Damaged):
        opened(bytes(whole))


@given(texts, st.binary(min_size=1, max_size=40))
def test_anything_added_is_seen(data: bytes, more: bytes) -> None:
    with pytest.raises(Damaged):
        opened(sealed(data) + more)


@given(st.binary(min_size=3 * PIECE, max_size=5 * PIECE), st.data())
def test_pieces_that_are_moved_left_out_or_said_twice_are_seen(data: bytes, draw: st.DataObject) -> None:
    whole = sealed(data)
    step = PIECE + 16
    pieces = [whole[at : at + step] for at in range(HEAD, len(whole), step)]
    chosen = draw.draw(st.lists(st.sampled_from(pieces), max_size=6))
    if chosen != pieces:
        with pytest.raises(Damaged):
            opened(whole[:HEAD] + b"".join(chosen))


@given(texts, texts, st.data())
def test_pieces_of_another_backup_fit_nowhere(data: bytes, others: bytes, draw: st.DataObject) -> None:
    mine, theirs = sealed(data), sealed(others, backup=OTHER)
    at = draw.draw(st.integers(0, len(mine) - 1))
    mixed = mine[:at] + theirs[at:]
    if mixed != mine:
        with pytest.raises(Damaged):
            opened(mixed)


def test_a_part_fits_in_no_other_place() -> None:
    with pytest.raises(Damaged):
        opened(sealed(b"definitions", part="definitions"), part="database")


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        (b"", "not even a head"),
        (b"PK\x03\x04" + bytes(100), "no part of a backup"),
        (sealed(b"x", backup=OTHER), "of another backup"),
        (sealed(b"x", key=bytes(32)), "another key"),
        (sealed(bytes(40))[: HEAD + 2 * (PIECE + 16)], "what follows piece 2 is missing"),
        (sealed(bytes(40))[:-1], "cut short or changed"),
        (sealed(bytes(40))[:HEAD] + bytes([1]) + sealed(bytes(40))[HEAD + 1 :], "piece 1 is not what was sealed"),
    ],
    ids=["empty", "zip", "another", "key", "cut", "shortened", "head"],
)
def test_the_reason_is_told(whole: bytes, said: str) -> None:
    with pytest.raises(Damaged, match=said):
        opened(whole)


def test_no_two_backups_or_parts_share_a_key() -> None:
    several = [sealed(bytes(PIECE), part, backup)[HEAD:] for part in ("a", "b") for backup in (ONE, OTHER)]
    assert len(set(several)) == 4


def test_memory_is_bounded() -> None:
    sealer, opener = Sealer(KEY, ONE, "database", piece=PIECE), Opener(KEY, "database", piece=PIECE)
    for _ in range(100):
        opener.update(sealer.update(bytes(10)))
        assert len(sealer._waiting) <= PIECE
        assert len(opener._waiting) <= PIECE + 16
    assert opener.backup == ONE


def test_a_key_file() -> None:
    text = new_key(KEY)
    assert key_of(f"{text}\n") == KEY


@pytest.mark.parametrize("text", ["", "secret", "AAAA", new_key(bytes(31)), new_key(bytes(33)), "é"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|bytes|ASCII"):
        key_of(text)
