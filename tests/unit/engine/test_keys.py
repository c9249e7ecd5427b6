from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from secrets import token_bytes

import pytest

from quorate.cli import files
from quorate.core.act import Act, RemoveFile, WriteFile
from quorate.core.keys import Next, Refusal, astray
from quorate.core.secret import made
from quorate.core.system import site_of
from quorate.engine.apply import Clock, Operation
from quorate.engine.keys import Found, found, rotate
from quorate.engine.lock import held
from quorate.errors import QuorateError, Refused, Unreachable
from quorate.model.secrets_file import parse
from quorate.transport.contract import Completed
from quorate.transport.fake import FakeHost, FakePath, FakeTransport
from worlds.machines import HOLDER, Memory, Time

EXAMPLE = Path(__file__).parents[3] / "examples" / "three-controllers.yaml"
FOLDERS = ("fernet-keys", "receipt-keys", "credential-keys")


class Cloud:
    """Controllers that hold what secrets.yaml says, and an operator who rotates."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "cloud.yaml"
        self.file.write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
        cloud, systems = files.load_cloud(self.file)
        given = [one.name for one in files.secret_specs(cloud, systems) if one.kind == "given"]
        files.ensure_secrets(self.file, cloud, systems, dict.fromkeys(given, "said"))
        self.now = datetime(2026, 11, 30, 12, tzinfo=UTC)
        self.time = Time()
        self.journal = Memory()
        self.hosts = {name: FakeHost(name, clock=self.time, programs=digests) for name in cloud.names}
        for host in self.hosts.values():
            host.paths |= {
                f"/etc/keystone/{folder}/{n}": FakePath(self.key(folder, n), 0o600, "keystone", "keystone")
                for folder in FOLDERS
                for n in (0, 1)
            }

    def secrets(self) -> Mapping[str, str]:
        return parse(files.secrets_path(self.file).read_text(encoding="utf-8"), "s")

    def key(self, folder: str, number: int) -> str:
        return self.secrets()[f"keystone.{folder.partition('-')[0]}_{number}"]

    def held(self, host: str, folder: str = "fernet-keys") -> dict[int, str]:
        below = f"/etc/keystone/{folder}/"
        return {
            int(path.removeprefix(below)): one.content or ""
            for path, one in self.hosts[host].paths.items()
            if path.startswith(below)
        }

    def operation(self) -> Operation:
        cloud, systems = files.load_cloud(self.file)
        secrets = files.load_secrets(self.file, cloud, systems)
        return Operation(
            site=site_of(cloud, systems, secrets.names),
            systems=systems,
            secrets=secrets,
            transports={name: FakeTransport(host) for name, host in self.hosts.items()},
            token="run1",
            journal=self.journal,
            clock=Clock(now=lambda: "now", monotonic=self.time, sleep=self.time.pass_by),
        )

    async def look(self) -> Found:
        return await found(self.operation(), self.now, lambda: made("fernet", token_bytes))

    async def rotate(self) -> Found:
        op = self.operation()
        async with held(op.transports, op.token, HOLDER, sleep=self.time.wait, patience=self.time.pass_by):
            seen = await self.look()
            await rotate(op, seen, partial(files.change_secrets, self.file), lambda: self.now)
        return seen


def digests(host: FakeHost, argv: tuple[str, ...], _stdin: bytes) -> Completed | None:
    if argv[0] != "sh" or "sha256sum" not in argv[2]:
        return None
    below = "/etc/keystone/"
    lines = [
        f"{hashlib.sha256((one.content or '').encode()).hexdigest()}  {path.removeprefix(below)}\n"
        for path, one in host.paths.items()
        if path.startswith(below)
    ]
    return Completed(0, "".join(lines).encode(), b"")


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path)


async def test_a_rotation_is_written_first_and_then_is_everywhere_the_same(cloud: Cloud) -> None:
    before = {folder: cloud.held("controller1", folder) for folder in FOLDERS}
    acts: list[Act] = []

    def watch(_host: FakeHost, act: Act) -> None:
        acts.append(act)
        assert isinstance(act, WriteFile), "nothing is restarted, nothing else is touched"
        assert act.content in cloud.secrets().values(), "a key that secrets.yaml does not have reached a controller"

    for controller in cloud.hosts.values():
        controller.on_act = watch
    seen = await cloud.rotate()
    assert isinstance(seen.follows, Next)
    for host in cloud.hosts:
        for folder in ("fernet-keys", "receipt-keys"):
            held = cloud.held(host, folder)
            assert (held[1], held[2]) == (before[folder][1], before[folder][0])
            assert held[0] not in before[folder].values()
            assert held == {n: cloud.key(folder, n) for n in (0, 1, 2)}
        assert cloud.held(host, "credential-keys") == before["credential-keys"]
    assert cloud.secrets()["keystone.fernet_1_retired"] == "2026-11-30T12:00:00+00:00"
    written = [act.path.rpartition("/")[2] for act in acts if isinstance(act, WriteFile) and "fernet" in act.path]
    assert written.index("2") < written.index("0")
    told = json.dumps(cloud.journal.lines, default=str)
    assert not any(value in told for value in cloud.secrets().values() if len(value) > 30)
    assert isinstance((await cloud.look()).follows, Next)


async def test_a_controller_that_is_away_delays_it_and_nothing_changes(cloud: Cloud) -> None:
    text = files.secrets_path(cloud.file).read_bytes()
    cloud.hosts["controller2"].down = "no route"
    with pytest.raises(Refused, match="controller2 cannot be seen: no route"):
        await cloud.rotate()
    assert files.secrets_path(cloud.file).read_bytes() == text
    assert [act for host in cloud.hosts.values() for act in host.acts] == []


async def test_a_secrets_file_that_somebody_else_changed_meanwhile_is_left_alone(cloud: Cloud) -> None:
    op = cloud.operation()
    seen = await cloud.look()
    path = files.secrets_path(cloud.file)
    text = path.read_text(encoding="utf-8").replace(cloud.key("fernet-keys", 0), made("fernet", token_bytes))
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match="was changed meanwhile"):
        await rotate(op, seen, partial(files.change_secrets, cloud.file), lambda: cloud.now)
    assert path.read_text(encoding="utf-8") == text
    assert [act for host in cloud.hosts.values() for act in host.acts] == []


@pytest.mark.parametrize("after", range(7))
async def test_interrupted_after_any_act_it_goes_on_to_the_same_end(cloud: Cloud, after: int) -> None:
    """Each controller's four writes come one after the other; the third controller's are cut short."""
    left = after

    def strike(host: FakeHost, _act: Act) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            host.down = "power is off"

    for host in cloud.hosts.values():
        host.on_act = strike
    with pytest.raises((QuorateError, Unreachable)):
        await cloud.rotate()
    staged = cloud.key("fernet-keys", 0)
    for host in cloud.hosts.values():
        host.on_act, host.down = None, ""
    cloud.time.now += 60  # leases lapse
    seen = await cloud.rotate()
    assert seen.follows == Next(seen.rings, begins=False)
    assert cloud.key("fernet-keys", 0) == staged
    assert all(cloud.held(host) == {n: cloud.key("fernet-keys", n) for n in (0, 1, 2)} for host in cloud.hosts)
    assert "keystone.fernet_1_retired" in cloud.secrets()


async def test_an_old_key_goes_once_nothing_needs_it_and_is_never_made_again(cloud: Cloud) -> None:
    await cloud.rotate()
    cloud.now += timedelta(hours=30)
    await cloud.rotate()
    assert set(cloud.held("controller3")) == {0, 1, 2, 3}
    assert set(cloud.held("controller3", "receipt-keys")) == {0, 2, 3}
    cloud.now += timedelta(hours=30)
    await cloud.rotate()
    assert set(cloud.held("controller3")) == {0, 2, 3, 4}
    removed = [act.path for act in cloud.hosts["controller1"].acts if isinstance(act, RemoveFile)]
    assert removed == ["/etc/keystone/receipt-keys/1", "/etc/keystone/fernet-keys/1", "/etc/keystone/receipt-keys/2"]
    assert not any("fernet_1" in name for name in cloud.secrets())
    assert files.missing_secrets(files.secrets_path(cloud.file), *files.load_cloud(cloud.file)) == ()


async def test_somebody_elses_rotation_is_named(cloud: Cloud) -> None:
    host = cloud.hosts["controller2"]
    host.paths["/etc/keystone/fernet-keys/2"] = copy.copy(host.paths["/etc/keystone/fernet-keys/0"])
    seen = await cloud.look()
    assert isinstance(seen.follows, Refusal)
    assert seen.follows.evidence == (
        "controller2 holds /etc/keystone/fernet-keys/2, of which secrets.yaml does not know",
    )
    assert len(astray(seen.rings, seen.held)) == 1
