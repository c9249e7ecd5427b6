from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.balancer.cas import seal
from quorate.balancer.command import Shape
from quorate.balancer.replies import MAX_REPLY_LINE, BadReply, frame, keys, merge_stats, sealed, values

ERRORS = [b"ERROR\r\n", b"ERROR: shutdown not enabled\r\n", b"CLIENT_ERROR x\r\n", b"SERVER_ERROR out of memory\r\n"]
LEGAL = {
    Shape.LINE: [b"STORED\r\n", b"NOT_FOUND\r\n", b"12\r\n", b"18446744073709551615\r\n", b"VERSION 1.6\r\n", *ERRORS],
    Shape.VALUES: [
        b"END\r\n",
        b"VALUE a 0 0\r\n\r\nEND\r\n",
        b"VALUE a 4294967295 5 99\r\nEND\r\n\r\nVALUE b 0 2\r\n\r\n\r\nEND\r\n",
        *ERRORS,
    ],
    Shape.META: [
        b"HD\r\n",
        b"HD O1 kfoo\r\n",
        b"EN\r\n",
        b"VA 0\r\n\r\n",
        b"VA 2 s2 t-1\r\n\r\n\r\n",
        b"ME a exp=-1\r\n",
        b"MN\r\n",
        *ERRORS,
    ],
    Shape.LINES: [
        b"END\r\n",
        b"STAT a b c\r\nSTAT d \r\nEND\r\n",
        b"RESET\r\n",
        b"OK\r\n",
        b"PREFIX x get 1\r\nEND\r\n",
    ],
}
BAD = {
    Shape.LINE: [b"STORE\r\n", b"STORED\n", b"stored\r\n", b"1x\r\n", b"-1\r\n", b"END\r\n", b"HD\r\n", b"\r\n", b"x"],
    Shape.VALUES: [
        b"VALUE a 0 1\r\nxy\r\nEND\r\n",
        b"VALUE a 0 2\r\nx\r\nEND\r\n",
        b"VALUE a 0 x\r\n",
        b"VALUE a 0 -1\r\n",
        b"VALUE a 0 1 2 3\r\n",
        b"VALUE  0 1\r\n",
        b"VALUE a 0 1\r\nx\r\nSERVER_ERROR\r\n",
        b"VALUE a 0 1\r\nx\r\nSTORED\r\n",
        b"STORED\r\n",
        b"VALUES",
        b"END \r\n",
    ],
    Shape.META: [b"HD1\r\n", b"VA x\r\n", b"VA 1\r\nxyz\r\n", b"VA\r\n", b"OK1\r\n", b"END\r\n", b"hd", b"STORED\r\n"],
    Shape.LINES: [b"STAT a\nEND\r\n", b"STAT a b\r\nOK\r\n", b"STORED\r\n", b"x", b"STAT a b\r\nERROR\r\n"],
}


@pytest.mark.parametrize(("shape", "reply"), [(s, r) for s, replies in LEGAL.items() for r in replies])
def test_a_reply_ends_where_it_ends(shape: Shape, reply: bytes) -> None:
    for behind in (b"", b"E", b"END\r\n", b"\x00\xff"):
        assert frame(shape, b"x" + reply + behind, 1) == 1 + len(reply)
    for cut in range(len(reply)):
        assert -len(reply) <= frame(shape, b"\n" + reply[:cut], 1) <= 0


@pytest.mark.parametrize(("shape", "reply"), [(s, r) for s, replies in BAD.items() for r in replies])
def test_what_can_be_no_reply_is_found(shape: Shape, reply: bytes) -> None:
    with pytest.raises(BadReply):
        frame(shape, reply, 0)


@pytest.mark.parametrize("shape", Shape)
def test_a_line_that_never_ends_is_found(shape: Shape) -> None:
    assert frame(shape, b"SERVER_ERROR " + b"x" * 1000, 0) == 0
    with pytest.raises(BadReply):
        frame(shape, b"SERVER_ERROR " + b"x" * MAX_REPLY_LINE, 0)


VALUES = st.lists(
    st.tuples(
        st.from_regex(rb"[!-~]{1,9}", fullmatch=True),
        st.integers(0, 2**32 - 1),
        st.binary(max_size=40),
        st.none() | st.integers(1, 2**52 - 1),
    ),
    max_size=4,
)


def as_reply(items: list[tuple[bytes, int, bytes, int | None]]) -> bytes:
    parts = [
        b"VALUE %s %d %d%s\r\n%s\r\n" % (key, flags, len(value), b"" if cas is None else b" %d" % cas, value)
        for key, flags, value, cas in items
    ]
    return b"".join(parts) + b"END\r\n"


@given(VALUES, st.binary(max_size=10))
def test_values_of_any_bytes_are_framed_and_read(
    items: list[tuple[bytes, int, bytes, int | None]], behind: bytes
) -> None:
    reply = as_reply(items)
    assert frame(Shape.VALUES, reply + behind, 0) == len(reply)
    for cut in range(len(reply)):
        assert -len(reply) <= frame(Shape.VALUES, reply[:cut], 0) <= 0
    assert keys(reply) == keys(reply[:-5]) == [item[0] for item in items]
    assert [(key, flags, reply[a:b], cas) for key, flags, a, b, cas in values(reply)] == items


@given(VALUES)
def test_only_tokens_are_sealed(items: list[tuple[bytes, int, bytes, int | None]]) -> None:
    with_tokens = [(key, flags, value, cas or 1) for key, flags, value, cas in items]
    expected = [(key, flags, value, seal(cas, 2, 9)) for key, flags, value, cas in with_tokens]
    reply, hidden = as_reply([*with_tokens]), as_reply([*expected])
    assert sealed(reply, 2, 9) == hidden
    assert sealed(reply[:-5], 2, 9) == hidden[:-5]


@settings(max_examples=500)
@given(
    st.sampled_from(Shape),
    st.one_of(st.binary(max_size=40), st.sampled_from([r for group in LEGAL.values() for r in group])),
    st.binary(max_size=6),
)
def test_any_bytes_are_framed_or_refused_and_more_never_moves_an_end(shape: Shape, data: bytes, more: bytes) -> None:
    try:
        end = frame(shape, data, 0)
    except BadReply:
        with pytest.raises(BadReply):
            frame(shape, data + more, 0)
        return
    assert end <= len(data)
    if end > 0:
        assert frame(shape, data + more, 0) == end


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"HD c5 Oc7 kc8\r\n", b"HD c%d Oc7 kc8\r\n" % seal(5, 1, 1)),
        (b"HD kfoo c5\r\n", b"HD kfoo c%d\r\n" % seal(5, 1, 1)),
        (b"VA 5 c9\r\n c12 \r\n", b"VA 5 c%d\r\n c12 \r\n" % seal(9, 1, 1)),
        (b"NS c0\r\n", b"NS c0\r\n"),
        (b"EN\r\n", b"EN\r\n"),
        (b"END\r\n", b"END\r\n"),
        (b"SERVER_ERROR c5\r\n", b"SERVER_ERROR c5\r\n"),
    ],
)
def test_meta_tokens_are_sealed(reply: bytes, expected: bytes) -> None:
    assert sealed(reply, 1, 1) == expected


def test_statistics_are_added_where_they_add_up() -> None:
    one = b"STAT pid 7\r\nSTAT cmd_get 5\r\nSTAT rusage_user 0.250000\r\nSTAT version 1.6.18\r\nEND\r\n"
    two = b"STAT pid 9\r\nSTAT cmd_get 6\r\nSTAT rusage_user 0.500000\r\nSTAT extra a b\r\nEND\r\n"
    assert merge_stats([one, b"SERVER_ERROR x\r\n", two]) == (
        b"STAT pid 7\r\nSTAT cmd_get 11\r\nSTAT rusage_user 0.750000\r\nSTAT version 1.6.18\r\n"
        b"STAT extra a b\r\nEND\r\n"
    )
    assert merge_stats([b"ERROR\r\n", b"ERROR\r\n"]) == b"ERROR\r\n"
    assert merge_stats([]) == b"END\r\n"
