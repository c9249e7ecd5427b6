"""Target `audit`: files of strangers, of every kind that is known, and every rule that is held against them.

Input: words that say versions (`debian-13`, `nova=31.0.0`); then for each file 0xFF, its path up to the end of the
line, and what is in it. There, 0xFE and a byte say how often (2 to the power of it) what follows up to the next 0xFE
stands there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from ruamel.yaml import YAML

import quorate.audit
from fuzz.played import require
from fuzz.targets import Property
from quorate.audit.estate import Text
from quorate.audit.judge import Audit, audit, rules
from quorate.audit.kinds import kind_of, kinds
from quorate.audit.node import Place
from quorate.audit.secrets import secrets_of
from quorate.audit.versions import of_os, releases
from quorate.core.visible import visible
from quorate.report.audit import as_data, as_text
from quorate.report.sarif import as_sarif
from quorate.transport.remote.gather import LARGEST, text_of

rules()  # the guided fuzzer has to see them being loaded
FILE, AGAIN = b"\xff", b"\xfe"
MOST = 1 << 16
"""Bytes of a file: as many as are judged in a second, if the time grows with the size."""
PATHS = sorted({path.replace("*", "x") for kind in kinds() for path in kind.paths})


def check(data: bytes) -> None:
    """Whatever the files hold, they are read or named, at places that there are, and no secret is shown."""
    versions, texts = estate(data)
    came = audit(texts, versions)
    visible(as_text(came)).encode()
    named = dict.fromkeys(one.rule for one in (*came.findings, *(one for one, _ in came.ignored)))
    json.dumps([as_data(came, versions), as_sarif(came, [*named], "0")])
    require(all(one.why for one in came.unread), "not read without a reason", came.unread)
    ends = {(text.host, text.path): len(text.body.splitlines()) + 1 for text in texts}
    for place in places(came):
        require(0 <= place.line <= ends.get((place.host, place.path), -1), "a place that is not there", place)
    failed = {(one.place.host, one.place.path) for one in came.unread}
    secrets = secrets_of(came.read, (text for text in texts if (text.host, text.path) in failed))
    for said in (*(one.hit.seen for one in came.findings), *(one.why for one in came.unread)):
        shown = [one for one in secrets if one in said and re.search(rf"(?<!\w){re.escape(one)}(?!\w)", said)]
        require(not shown, "a secret is shown", shown, said)


def places(came: Audit) -> Iterator[Place]:
    """Every place that it names."""
    yield from (one.place for one in came.unread)
    for finding in (*came.findings, *(one for one, _ in came.ignored)):
        yield finding.hit.place
        yield from finding.hit.also


def estate(data: bytes) -> tuple[dict[str, str], list[Text]]:
    """What an input stands for: versions, and files of the machines that their paths begin with."""
    said, *files = data.split(FILE)
    versions: dict[str, str] = {}
    for word in said.decode(errors="replace").split():
        name, sign, version = word.partition("=")
        versions |= {name: version} if sign else of_os(word) if word in releases() else {}
    texts: dict[str, Text] = {}
    for file in files:
        path, _, body = file.partition(b"\n")
        name = os.fsdecode(path)
        host = name.partition("/")[0] if "/" in name else ""
        texts[name] = Text(name, text_of(stretched(body), LARGEST), host, 0o644)
    return versions, list(texts.values())


def stretched(body: bytes) -> bytes:
    """Repeat what is to be."""
    parts = body.split(AGAIN)
    for number in range(1, len(parts), 2):
        times, part = parts[number][:1], parts[number][1:]
        parts[number] = part * min(1 << (times[0] % 16 if times else 0), MOST // max(1, len(part)))
    return b"".join(parts)[:MOST]


# ---- what inputs look like


@cache
def cases() -> list[dict[str, Any]]:
    """The case files of every rule."""
    folder = Path(quorate.audit.__file__).parent / "cases"
    several = (YAML(typ="safe").load(path) for path in sorted(folder.glob("*.yaml")))
    return [case for content in several for rows in content.values() for case in rows]


def joined(files: dict[str, str], versions: str = "debian-13") -> bytes:
    """Write files as an input."""
    return FILE.join(
        [versions.encode(), *(f"{path}\n{body}".encode("utf-8", "surrogatepass") for path, body in files.items())]
    )


def seeds() -> list[bytes]:
    """Every rule's cases, and every file of the guides."""
    guides = Path(__file__).parents[1] / "guides"
    written = (path for path in sorted(guides.glob("*/*/**/*")) if path.is_file())
    return [
        *(joined(case["files"], " ".join(f"{a}={b}" for a, b in case.get("versions", {}).items())) for case in cases()),
        *(joined({str(path.relative_to(guides)): path.read_text(encoding="utf-8")}) for path in written),
    ]


@cache
def lines() -> dict[str, list[str]]:
    """What stands in files of each kind."""
    found: dict[str, dict[str, None]] = {}
    for case in cases():
        for path, body in case["files"].items():
            kind = kind_of(Text(path, body))
            if kind is not None:
                found.setdefault(kind.name, {}).update(dict.fromkeys(body.splitlines(keepends=True)))
    return {name: list(several) for name, several in found.items()}


_ODD = (
    *("", " ", "0", "-1", "²", "1_0", "1e999", "nan", "9" * 20, "9" * 299, "9" * 5000, "0x" + "f" * 5000, "\ud800"),
    *(
        '"',
        "'",
        '"' + "x" * 3000,
        "\\",
        "\\\n",
        "\n",
        "\r",
        "\0",
        "\x0b",
        "\x1b[2J",
        "\u2028",
        "\ufeff",
        "#",
        "%",
        "$a",
    ),
    *("{", "}", "[" * 300, "(" * 300, "{{ a }}", "<a>", "<!--", "]]>", "<<", "'''", "@", ":", "::1", "[::1", "=", ","),
    *("1.2.3", "1.2.3.4/33", "10.0.0.1:99999", "a:b@c:d@e", "ssh://", "rabbit://a:b@[::1", "mysql://%zz@", "&a *a"),
    *("# quorate: ignore=ALL001 a", "!include x", "include *.conf;", "true", "null", "!!python/object:a", "x" * 10001),
)


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """Files of a case or made of lines of their kind, some of whose words are others, on several machines."""
    files: dict[str, str] = dict(draw(st.sampled_from(cases()))["files"])
    if draw(st.booleans()):
        files |= {f"other/{path.partition('/')[2] or path}": body for path, body in files.items()}
    for _ in range(draw(st.integers(0, 2))):
        name, several = draw(st.sampled_from(sorted(lines().items())))
        path = draw(st.sampled_from([one for kind in kinds() if kind.name == name for one in kind.paths]))
        path = draw(st.sampled_from(("", "one/etc/", "other/etc/"))) + path.replace("*", "x")
        files[path] = "".join(draw(st.lists(st.sampled_from(several), max_size=8)))
    for path, body in files.items():
        words = re.split(r"(\W)", body)
        for _ in range(draw(st.integers(0, 4))):
            at, size = draw(st.integers(0, len(words) - 1)), draw(st.integers(0, 2))
            words[at : at + size] = [draw(st.sampled_from(_ODD) | st.sampled_from(words or [""]))]
        files[path] = "".join(words)
    versions = draw(st.sampled_from(("", "debian-12", "debian-13", "nova=x haproxy=3:2", "nova=" + "9" * 5000)))
    return joined(files, versions)


AUDIT = spoilt() | st.builds(
    lambda path, body: b"debian-13\xff" + path.encode() + b"\n" + body, st.sampled_from(PATHS), st.binary(max_size=300)
)
_WORDS = (*(path.encode() for path in PATHS), FILE + b"one/etc/", FILE + b"other/etc/", AGAIN, b"debian-13", b"{{ a }}")
PROPERTIES = {"audit": Property(check, AUDIT, seeds, 4096, _WORDS)}
