"""A damaged archive is read as far as it goes or named; it never makes an audit fall over, nor read what is outside."""

from __future__ import annotations

import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from quorate.audit.kinds import names
from quorate.engine import archives

FILES = {
    "c1/etc/haproxy/haproxy.cfg": b"listen a\n  server x 10.0.0.1:80\n",
    "c1/etc/nova/nova.conf": b"[DEFAULT]\ndebug = true\n" * 40,
    "../outside/haproxy.cfg": b"listen outside\n",
}


def packed(suffix: str) -> bytes:
    out = io.BytesIO()
    if suffix == ".zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in FILES.items():
                archive.writestr(name, data)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz" if suffix == ".tar.gz" else "w") as tar:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("c1/etc/haproxy/haproxy-link.cfg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/haproxy/haproxy.cfg"
        tar.addfile(link)
    return out.getvalue()


WHOLE = {suffix: packed(suffix) for suffix in (".tar", ".tar.gz", ".zip")}


@settings(max_examples=400, deadline=None)
@given(
    suffix=st.sampled_from(sorted(WHOLE)),
    damage=st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=12)), max_size=6),
    cut=st.none() | st.integers(0, 20_000),
)
@example(suffix=".tar", damage=[], cut=None)
@example(suffix=".zip", damage=[], cut=None)
def test_a_damaged_archive_is_read_or_named(suffix: str, damage: list[tuple[int, bytes]], cut: int | None) -> None:
    data = bytearray(WHOLE[suffix])
    for place, part in damage:
        begin = place % len(data)
        data[begin : begin + len(part)] = part
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / f"a{suffix}"
        archive.write_bytes(data if cut is None else data[: cut % (len(data) + 1)])
        came = archives.gathered(archive, names())
    assert "listen outside" not in "".join(one["text"] for one in came["files"]) or damage
    assert all(one["path"].startswith(str(archive)) for one in (*came["files"], *came["unread"]))
    if not damage and cut is None:
        assert len(came["files"]) == 2
        assert ["outside" in one["why"] for one in came["unread"]] == [True]
