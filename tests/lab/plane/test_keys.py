"""Keys are rotated under clients who get and validate tokens all the while; no token is invalid before its time.

Keystone works without its cache meanwhile: a validation that memcached answers has looked at no key.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from lab.plane.machines import Plane

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(900)]

AWAY = "controller3"
KEYS = "/etc/keystone/fernet-keys"
_DROP_IN = "/etc/systemd/system/keystone.service.d"  # a machine that was off has it still
_SAID = "[Service]\\nEnvironment=OS_CACHE__ENABLED=false\\n"
_WITHOUT_CACHE = f"mkdir -p {_DROP_IN} && printf '{_SAID}' > {_DROP_IN}/uncached.conf"


@pytest.fixture(scope="module")
def uncached(plane: Plane) -> Iterator[Plane]:
    """The cloud, with a Keystone that asks its keys and not its cache."""
    _restarted(plane, _WITHOUT_CACHE)
    yield plane
    plane.lab.heal()
    plane.lab.start()
    plane.lab.wait_for_ssh()
    _restarted(plane, f"rm -rf {_DROP_IN}")


def _restarted(plane: Plane, command: str) -> None:
    for name in plane.lab.machines():
        plane.lab.run(name, f"{command} && systemctl daemon-reload && systemctl restart keystone")
    plane.wait_well()


def ask(host: str, method: str, token: str, body: Any = None) -> requests.Response:
    """Ask a Keystone about a token, or for another one."""
    headers = {"X-Auth-Token": token, "X-Subject-Token": token} if token else {}
    return requests.request(method, f"http://{host}:5000/v3/auth/tokens", json=body, headers=headers, timeout=30)


def issue(host: str, **identity: Any) -> str:
    """Get a token of the administrator from this Keystone, by password or by another token."""
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    said = ask(host, "POST", "", {"auth": {"identity": {"methods": list(identity), **identity}, "scope": scope}})
    assert said.status_code == 201, f"{host}: {said.status_code} {said.text}"
    return said.headers["X-Subject-Token"]


def by_password(plane: Plane, name: str) -> str:
    user = {"name": "admin", "domain": {"id": "default"}, "password": plane.secrets()["keystone.admin"]}
    return issue(plane.lab.address(name), password={"user": user})


@dataclass
class Clients:
    """Validate tokens everywhere, one after the other, and get new ones for old ones: every answer is kept."""

    tokens: list[str]
    hosts: list[str]
    good: int = 0
    issued: int = 0
    invalid: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    def round(self) -> None:
        """Get a token of each, and have all validated by all."""
        for host in self.hosts:
            with self._asked(host):
                self.tokens.append(issue(host, token={"id": self.tokens[0]}))
                self.issued += 1
        for token in [*self.tokens[:4], *self.tokens[-4:]]:
            for host in self.hosts:
                with self._asked(host):
                    said = ask(host, "GET", token)
                    assert said.status_code == 200, f"{host}: {said.status_code} {said.text}"
                    self.good += 1

    @contextlib.contextmanager
    def _asked(self, host: str) -> Iterator[None]:
        try:
            yield
        except AssertionError as error:
            self.invalid.append(str(error))
        except requests.RequestException as error:
            self.unanswered.append(f"{host}: {error}")

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Go on meanwhile, and once more at the end."""
        stop = threading.Event()

        def work() -> None:
            while not stop.wait(0.1):
                self.round()

        worker = threading.Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            stop.set()
            worker.join()
        self.round()
        print(f"{self.issued} issued, {self.good} validated, {len(self.invalid)} invalid, {self.unanswered} unanswered")


def clients(plane: Plane, *names: str) -> Clients:
    """Clients with a token of each controller, who ask these controllers and the VIP."""
    chosen = names or tuple(plane.lab.machines())
    tokens = [by_password(plane, name) for name in plane.lab.machines()]
    return Clients(tokens, [*(plane.lab.address(name) for name in chosen), plane.vip])


def digests(plane: Plane, *names: str) -> set[str]:
    """The keys of each controller, which are one and the same if the controllers agree."""
    return {plane.lab.run(name, f"cd {KEYS} && sha256sum *").stdout for name in names or plane.lab.machines()}


def rotate(plane: Plane) -> Any:
    done = plane.quorate("keys", "rotate", "--yes", "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_lost_key_is_seen_at_once_so_that_these_clients_can_fail(uncached: Plane) -> None:
    token = by_password(uncached, "controller1")
    second = uncached.lab.address("controller2")
    assert ask(second, "GET", token).status_code == 200
    uncached.lab.run("controller2", f"mv {KEYS}/1 /root/key")
    assert ask(second, "GET", token).status_code == 401
    refused = uncached.quorate("keys", "rotate", "--yes")
    uncached.lab.run("controller2", f"mv /root/key {KEYS}/1")
    assert ask(second, "GET", token).status_code == 200
    assert refused.returncode == 3
    assert f"controller2: {KEYS}/1 is missing" in refused.stderr


def test_a_controller_that_is_off_delays_it_and_nothing_changes(uncached: Plane) -> None:
    text, before = (uncached.folder / "secrets.yaml").read_text(), digests(uncached)
    uncached.lab.cut(AWAY)
    uncached.lab.kill(AWAY)
    refused = uncached.quorate("keys", "rotate", "--yes")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert f"{AWAY} cannot be seen" in refused.stderr
    assert (uncached.folder / "secrets.yaml").read_text() == text
    uncached.lab.heal(AWAY)
    uncached.lab.start(AWAY)
    uncached.lab.wait_for_ssh(AWAY)
    assert digests(uncached) == before
    uncached.wait_well()


def test_every_token_stays_good_under_a_rotation(uncached: Plane) -> None:
    units = [uncached.lab.run(n, "systemctl show -p InvocationID keystone").stdout for n in uncached.lab.machines()]
    before = uncached.secrets()
    work = clients(uncached)
    with work.at_work():
        time.sleep(2.0)
        said = rotate(uncached)
        time.sleep(2.0)
    assert (work.invalid, work.unanswered) == ([], [])
    assert work.good > 50
    assert said["begins"]
    assert uncached.secrets()["keystone.fernet_2"] == before["keystone.fernet_0"]
    assert len(digests(uncached)) == 1
    again = [uncached.lab.run(n, "systemctl show -p InvocationID keystone").stdout for n in uncached.lab.machines()]
    assert again == units, "nothing was restarted"
    assert uncached.apply()["changes"] == 0


def test_a_controller_that_sleeps_through_a_rotation_takes_every_token_and_so_do_the_others(uncached: Plane) -> None:
    """It is lost right after secrets.yaml was written; the others get the keys without it."""
    path = uncached.folder / "secrets.yaml"
    text = path.read_text()
    early = clients(uncached)

    def lose() -> None:
        deadline = time.monotonic() + 120
        while path.read_text() == text and time.monotonic() < deadline:
            time.sleep(0.005)
        uncached.lab.cut(AWAY)
        uncached.lab.kill(AWAY)

    thief = threading.Thread(target=lose)
    thief.start()
    interrupted = uncached.quorate("keys", "rotate", "--yes")
    thief.join()
    assert interrupted.returncode != 0, interrupted.stdout
    assert path.read_text() != text
    left = [name for name in uncached.lab.machines() if name != AWAY]
    late = clients_of(uncached, left, early.tokens)
    with late.at_work():
        uncached.quorate("apply", "--yes", "--without", AWAY)
    assert late.invalid == []
    assert len(digests(uncached, *left)) == 1
    uncached.lab.heal(AWAY)
    uncached.lab.start(AWAY)
    uncached.lab.wait_for_ssh(AWAY)
    wait_for_keystone(uncached, AWAY)
    assert len(digests(uncached)) == 2, "it came back with the keys that it had"
    back = clients_of(uncached, uncached.lab.machines(), [*late.tokens[:6], *late.tokens[-6:]])
    with back.at_work():
        time.sleep(2.0)
        said = rotate(uncached)
        time.sleep(2.0)
    assert (back.invalid, back.unanswered) == ([], [])
    assert not said["begins"], "it ended the one that was interrupted"
    assert len(digests(uncached)) == 1
    uncached.wait_well()
    assert uncached.apply()["changes"] == 0


def clients_of(plane: Plane, names: list[str], tokens: list[str]) -> Clients:
    return Clients(tokens, [plane.lab.address(name) for name in names])


def wait_for_keystone(plane: Plane, name: str) -> None:
    deadline = time.monotonic() + 180
    while True:
        with contextlib.suppress(requests.RequestException, AssertionError):
            by_password(plane, name)
            return
        assert time.monotonic() < deadline
        time.sleep(1.0)
