"""Requests and replies: what goes over the wire, and what becomes of replies that make no sense."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.act import Act, Install, Run, SetUnit
from quorate.core.resource import Directory, File, Package, Resource, Sysctl, Unit
from quorate.core.system import Question
from quorate.errors import Unreachable
from quorate.transport.contract import Completed
from quorate.transport.request import (
    ARGV,
    Acted,
    Result,
    act_request,
    body_of,
    lease_request,
    observe_request,
    read_acted,
    read_leased,
    read_observed,
)


def test_an_observe_request_says_what_to_look_at() -> None:
    resources: list[Resource] = [Package("p"), File("/f", "secret"), Directory("/d"), Sysctl("s", "1"), Unit("u")]
    request = observe_request(resources, {"galera": [Question("status", ("mysql", "-e", "x"), 1.5)]})
    assert request.argv == ARGV
    assert body_of(request.stdin) == {
        "verb": "observe",
        "root": "",
        "resources": [
            {"id": "package:p", "kind": "package", "name": "p"},
            {"id": "file:/f", "kind": "path", "path": "/f"},
            {"id": "directory:/d", "kind": "path", "path": "/d"},
            {"id": "sysctl:s", "kind": "sysctl", "name": "s"},
            {"id": "unit:u", "kind": "unit", "name": "u"},
        ],
        "questions": {"galera": [{"name": "status", "argv": ["mysql", "-e", "x"], "timeout": 1.5}]},
        "nice": 0,
    }


def test_secrets_are_in_stdin_only() -> None:
    request = act_request("run", "token", [Run(title="x", argv=("cat",), stdin="hunter2")])
    assert b"hunter2" in request.stdin
    assert "hunter2" not in " ".join(request.argv)
    assert "hunter2" not in repr(request)


def test_a_request_is_given_the_time_of_all_its_acts() -> None:
    slow: list[Act] = [SetUnit(name="u", verb="start", timeout=1000), Run(title="x", argv=("x",), timeout=500)]
    assert act_request("r", "t", slow).timeout > 1500
    assert act_request("r", "t", [Install(packages=("p",))]).timeout > 1800


def test_only_what_a_verb_needs_is_sent() -> None:
    sizes = [len(request.stdin) for request in (lease_request("renew", "t"), observe_request([], {}))]
    assert sizes[0] < sizes[1] < len(act_request("r", "t", []).stdin)


def test_what_a_login_shell_prints_before_the_reply_does_no_harm() -> None:
    reply = b'Welcome to c1!\n{"refused": "", "results": [{"ok": true, "note": "was so"}]}\n'
    assert read_acted("c1", Completed(0, reply, b"")) == Acted(refused="", results=(Result(ok=True, note="was so"),))


@pytest.mark.parametrize(
    ("completed", "why"),
    [
        (Completed(0, b"", b""), "no reply, exit code 0: it printed nothing"),
        (Completed(0, b"{", b""), "makes no sense"),
        (Completed(0, b"[]", b""), "makes no sense"),
        (Completed(0, b'{"os": 1}', b""), "makes no sense: os"),
        (Completed(0, b"\xff\xfe", b""), "makes no sense"),
        (Completed(1, b'{"error": "KeyError: x"}', b""), "no reply, exit code 1: KeyError: x"),
        (Completed(1, b"", b"Traceback\nSyntaxError: x"), "no reply, exit code 1: SyntaxError: x"),
        (Completed(127, b"", b"timeout: failed to run command 'python3'"), "failed to run command"),
        (Completed(1, b"", b"sudo: a password is required"), "sudo: a password is required"),
        (Completed(0, bytes((64 << 20) + 1), b""), "longer than 64 MiB"),
    ],
    ids=range(10),
)
def test_a_reply_that_makes_no_sense_is_unreachable(completed: Completed, why: str) -> None:
    for read in (read_observed, read_acted, read_leased):
        with pytest.raises(Unreachable) as caught:
            read("c1", completed)
        assert caught.value.host == "c1"
    with pytest.raises(Unreachable) as caught:
        read_observed("c1", completed)
    assert why in caught.value.why


@given(st.binary(max_size=200), st.integers(-15, 255))
def test_no_reply_is_a_crash(out: bytes, code: int) -> None:
    for read in (read_observed, read_acted, read_leased):
        with pytest.raises(Unreachable):
            read("c1", Completed(code, out, b""))


@given(st.text())
def test_every_text_survives_the_wire(text: str) -> None:
    act = Run(title="x", argv=("x", text), stdin=text, environment={"A": text})
    assert json.loads(json.dumps(body_of(act_request("r", "t", [act]).stdin)["acts"])) == [act.model_dump(mode="json")]
