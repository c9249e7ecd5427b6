from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from quorate.cli import keys as verb
from quorate.cli.main import quorate
from quorate.core.keys import Keys, Next, Refusal, Repository, Rings, digest_of
from quorate.engine.keys import Found

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TOKENS = Repository("/etc/x/keys", "x.key", timedelta(hours=49))
KEYS = Keys({0: "S3CRET0", 1: "S3CRET1", 2: "S3CRET2"}, {1: NOW})
AFTER = Keys({0: "S3CRETnew", 2: "S3CRET2", 3: "S3CRET0"}, {})
HELD = {"c1": {TOKENS.path(number): digest_of(key) for number, key in KEYS.values.items()}}


def call(
    monkeypatch: pytest.MonkeyPatch, found: Found, *words: str, done: tuple[bool, Rings] | None = None
) -> tuple[int, str]:
    async def look(_file: object) -> Found:
        return found

    async def rotate(_file: object) -> tuple[bool, Rings]:
        assert done is not None, "it was not to change anything"
        return done

    monkeypatch.setattr(verb, "_look", look)
    monkeypatch.setattr(verb, "_rotate", rotate)
    result = CliRunner().invoke(quorate, ["keys", *words])
    assert "S3CRET" not in result.output
    return result.exit_code, result.output


def test_show(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Found({TOKENS: KEYS}, HELD, Refusal((), ""))
    code, said = call(monkeypatch, found, "show")
    assert code == 0
    assert said.splitlines() == [
        f"x.key_2  {digest_of('S3CRET2')[:12]}  primary on every controller since 2026-11-30 12:00 UTC",
        f"x.key_1  {digest_of('S3CRET1')[:12]}  old; a rotation after 2026-12-02 14:00 UTC removes it",
        f"x.key_0  {digest_of('S3CRET0')[:12]}  staged: the next primary",
    ]
    code, said = call(monkeypatch, Found({TOKENS: KEYS}, {"c1": {}}, Refusal((), "")), "show", "--output", "json")
    assert code == 1
    shown, _ = json.JSONDecoder().raw_decode(said)
    assert shown["astray"][0] == "c1: /etc/x/keys/0 is missing"
    assert shown["keys"]["x.key"]["1"] == {
        "sha256": digest_of("S3CRET1"),
        "is": "old",
        "retired": "2026-11-30T12:00:00+00:00",
        "goes_after": "2026-12-02T14:00:00+00:00",
    }


def test_a_dry_run_says_what_would_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Found({TOKENS: KEYS}, HELD, Next({TOKENS: AFTER}, begins=True))
    code, said = call(monkeypatch, found, "rotate", "--dry-run")
    assert (code, said.splitlines()) == (
        0,
        ["x.key: 0 becomes 3, the primary key; a new 0 is staged", "x.key: 1 goes"],
    )
    found = Found({TOKENS: KEYS}, {"c1": {}}, Next({TOKENS: KEYS}, begins=False))
    code, said = call(monkeypatch, found, "rotate", "--dry-run")
    assert said.splitlines()[:2] == [
        "an interrupted rotation is brought to its end; no other is begun",
        "c1: /etc/x/keys/0 is missing",
    ]


def test_what_is_refused_is_so_in_a_dry_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Found({TOKENS: KEYS}, {}, Refusal(("c3 cannot be seen: no route",), "Bring it back."))
    code, said = call(monkeypatch, found, "rotate", "--dry-run")
    assert code == 3
    assert "c3 cannot be seen: no route" in said
    assert "Bring it back." in said


def test_what_was_done_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Found({TOKENS: KEYS}, HELD, Next({TOKENS: AFTER}, begins=True))
    code, said = call(monkeypatch, found, "rotate", "--yes", done=(True, {TOKENS: AFTER}))
    assert code == 0
    assert said.splitlines()[0] == "rotated: every controller was seen to hold"
    assert "old; some controller may still use it" in said
    code, said = call(monkeypatch, found, "rotate", "--yes", "--output", "json", done=(False, {TOKENS: KEYS}))
    assert json.loads(said)["begins"] is False
