"""Target `archive`: what somebody packed, which says anything of itself.

Input: a byte, of which the lowest two bits choose the ending, and the others whether it is packed and whether the sums
of a tar's blocks are made right, without which nothing behind them is reached; then the archive.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import tempfile
import warnings
import zipfile
from pathlib import Path

from hypothesis import strategies as st

from fuzz.played import require
from fuzz.shapes import edited
from fuzz.targets import Property
from quorate.audit.kinds import names
from quorate.engine import archives

FOLDER = Path(tempfile.mkdtemp(prefix="quorate-fuzz-"))
"""Where the archive lies that is read again and again."""
PACKED, MENDED = 4, 8
"""Bits of the first byte: pack it with gzip (what ends in .gz is taken as it is without), and make its sums right."""
BLOCK = tarfile.BLOCKSIZE
SUM = slice(148, 156)


def check(data: bytes) -> None:
    """It is read or named, as far as it goes: no path leads outside of it, and no more is kept than is allowed."""
    how, body = data[0] if data else 0, data[1:]
    archive = FOLDER / f"a{archives.SUFFIXES[how % 4]}"
    body = mended(body) if how & MENDED else body
    archive.write_bytes(gzip.compress(body, 1) if how & PACKED and archive.suffix in {".gz", ".tgz"} else body)
    came = archives.gathered(archive, names())
    require(all(one["why"] for one in came["unread"]), "not read without a reason", came["unread"])
    require(sum(len(one["text"]) for one in came["files"]) <= archives.TOTAL, "more than is allowed")
    for one in (*came["files"], *came["unread"]):
        require(one["path"].startswith(str(archive)), "a path that is none of the archive's", one["path"])
    for one in came["files"]:
        require(".." not in one["path"].split("/"), "a path that leads outside", one["path"])


def mended(body: bytes) -> bytes:
    """Make the sum of each block right, whether it is a head or not."""
    blocks = bytearray(body)
    for start in range(0, len(blocks) - BLOCK + 1, BLOCK):
        block = blocks[start : start + BLOCK]
        if any(block):
            block[SUM] = b" " * 8
            block[SUM] = b"%06o\0 " % sum(block)
            blocks[start : start + BLOCK] = block
    return bytes(blocks)


# ---- what inputs look like

_NAMES = (
    *(
        "c1/etc/haproxy/haproxy.cfg",
        "../haproxy.cfg",
        "/etc/nova/nova.conf",
        "./a/../nova.conf",
        "nova.conf/",
        "nova.conf",
    ),
    *(
        "c1/etc/nova",
        "",
        ".",
        "a" * 200 + "/nova.conf",
        "\u00e9/nova.conf",
        "a\nb/nova.conf",
        "nova.conf\0x",
        "..",
        "a/..",
    ),
)
_LINKS = ("/etc/nova/nova.conf", "nova.conf", "../../nova.conf", ".", "", "c1", "/", "..", "../nova")
_TYPES = tuple(b"0125gxLKSMVND37\0")
_members = st.lists(
    st.tuples(st.sampled_from(_NAMES), st.sampled_from(_LINKS), st.sampled_from(_TYPES), st.binary(max_size=40)),
    max_size=5,
)


def tar(members: list[tuple[str, str, int, bytes]]) -> bytes:
    """Pack these: name, link, type and what is in it."""
    out = io.BytesIO()
    for name, link, kind, data in members:
        info = tarfile.TarInfo(name)
        info.linkname, info.type, info.size = link, bytes([kind]), len(data)
        out.write(info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % BLOCK))
    return out.getvalue() + bytes(2 * BLOCK)


def zipped(members: list[tuple[str, str, int, bytes]]) -> bytes:
    """Pack these into a zip: of the type, whether it is a link."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of a name that is there twice
        for number, (name, link, kind, data) in enumerate(members):
            info = zipfile.ZipInfo(name or str(number))
            info.create_system, info.external_attr = 3, (0o120777 if kind == ord("2") else 0o100644) << 16
            archive.writestr(info, link if kind == ord("2") else data)
    return out.getvalue()


def seeds() -> list[bytes]:
    """A file and a link, a long name, and headers that say more, each way of packing them."""
    file = ("c1/etc/haproxy/haproxy.cfg", "", ord("0"), b"listen a\n")
    long = [
        ("././@LongLink", "", ord("L"), b"c1/etc/" + b"a" * 150 + b"/nova.conf\0"),
        ("c1", "", ord("0"), b"[DEFAULT]\n"),
    ]
    link = ("c1/etc/haproxy/other.cfg", "/etc/haproxy/haproxy.cfg", ord("2"), b"")
    said = [("x", "", ord("x"), b"25 path=c1/etc/nova.conf\n"), ("c1", "", ord("0"), b"[DEFAULT]\n")]
    sparse = [("x", "", ord("x"), b"22 GNU.sparse.size=10\n25 GNU.sparse.map=0,1,5,1\n"), file]
    several = [tar(one) for one in ([file, link], long, said, sparse, [("nova.conf", "c1", ord("1"), b""), file])]
    return [
        *(bytes([MENDED]) + one for one in several),
        *(bytes([MENDED | PACKED | 1]) + one for one in several),
        *(bytes([2]) + gzip.compress(one) for one in several),
        b"\3" + zipped([file, link]),
    ]


_edits = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 12), st.binary(max_size=12)), max_size=4)
_packed = st.one_of(
    st.tuples(st.sampled_from((MENDED, MENDED | PACKED | 1)), _members.map(tar)),
    st.tuples(st.just(2), _members.map(tar).map(gzip.compress)),
    st.tuples(st.just(3), _members.map(zipped)),
)
ARCHIVE = st.builds(lambda packed, edits: bytes([packed[0]]) + edited(packed[1], edits), _packed, st.just([]) | _edits)
_WORDS = (
    b"PK\1\2",
    b"PK\3\4",
    b"PK\5\6",
    b"PK\6\6",
    b"ustar\x0000",
    b"ustar  \0",
    b"\x80",
    b"\xff" * 12,
    b"22 GNU.sparse.size=1\n",
)
PROPERTIES = {"archive": Property(check, ARCHIVE, seeds, 8192, _WORDS)}
