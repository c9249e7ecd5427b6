"""An audit of hosts over ssh, against a real sshd: one round trip, reading only, and nobody who is silent hides."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from transport_sshd import Sshd, sshd_in

from quorate.audit.kinds import names
from quorate.cli.main import quorate
from quorate.engine.audit import Host, ask
from quorate.errors import Unreachable
from quorate.transport.contract import Transport
from quorate.transport.local import LocalTransport
from quorate.transport.request import Gathered, gather_request, read_gathered


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd_in(tmp_path_factory.mktemp("audit")) as sshd:
        yield sshd


def asked(ways: list[Transport]) -> list[Gathered | Unreachable]:
    return ask([Host(way.host) for way in ways], ways, lambda _text: None)


def test_a_host_gives_its_files_and_versions(sshd: Sshd) -> None:
    (came,) = asked([sshd.transport()])
    assert isinstance(came, Gathered)
    assert came.os == "-".join(_os_release())
    assert "python3-minimal" not in came.packages, "only what was asked about"


def test_a_host_is_read_as_root_by_sudo_where_that_is_asked(sshd: Sshd) -> None:
    (came,) = asked([sshd.transport(sudo=True)])
    assert isinstance(came, Gathered)


def test_a_host_that_is_silent_is_told_beside_one_that_answers(sshd: Sshd) -> None:
    sshd.know(sshd.host_key)
    stranger = sshd.transport()
    stranger._known_hosts = Path("/nowhere")
    answers = asked([sshd.transport(), stranger])
    assert isinstance(answers[0], Gathered)
    assert isinstance(answers[1], Unreachable)
    assert "host key is not known" in answers[1].why


def test_only_known_files_come_and_those_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "etc/haproxy").mkdir(parents=True)
    (tmp_path / "usr").mkdir()
    config = tmp_path / "etc/haproxy/haproxy.cfg"
    config.write_bytes(b"listen \xff\n")
    config.chmod(0o640)
    (tmp_path / "etc/passwd").write_text("root")
    os.mkfifo(tmp_path / "etc/haproxy/haproxy-pipe.cfg")
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    request = gather_request(names(), ["no-such-package"], str(tmp_path))
    way = LocalTransport("c1")
    came = read_gathered("c1", asyncio.run(way.run(request.argv, request.stdin, timeout=request.timeout)))
    assert [(file.path, file.mode, file.text) for file in came.files] == [(str(config), 0o640, "listen �\n")]
    assert [one.path for one in came.unread] == [str(tmp_path / "etc/haproxy/haproxy-pipe.cfg")]
    assert came.packages == {}
    assert before == sorted(str(path) for path in tmp_path.rglob("*"))


def test_a_host_that_does_not_answer_ends_with_code_4(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = CliRunner().invoke(quorate, ["audit", "ssh://nobody@127.0.0.1:1", "--output", "json"])
    assert done.exit_code == Unreachable.exit_code
    told: dict[str, Any] = json.loads(done.stdout)
    assert [one["file"] for one in told["unread"]] == ["ssh://127.0.0.1"]
    assert "nothing listens" in told["unread"][0]["why"]


def _os_release() -> tuple[str, str]:
    values = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return values["ID"], values["VERSION_ID"].strip('"')
