"""A backup, the loss of everything, and what is there after `restore` onto three fresh machines."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest

from lab.plane.machines import Plane, machines_up
from lab.plane.validating import PORT, Client

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(1800)]

ROWS = 10_000
DEFINITIONS = json.dumps(
    {
        "policies": [
            {"vhost": "openstack", "name": "kept", "pattern": "^kept", "definition": {"max-length": 7}, "priority": 1}
        ],
        "queues": [
            {
                "vhost": "openstack",
                "name": "kept.queue",
                "durable": True,
                "auto_delete": False,
                "arguments": {"x-queue-type": "quorum"},
            }
        ],
    }
)
SHOWN = "rabbitmqctl --quiet list_queues -p openstack name type; rabbitmqctl --quiet list_policies -p openstack"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A formed cloud of its own, with messaging, and something in it: it is wrecked in the end."""
    with machines_up("backup", tmp_path_factory.mktemp("backup")) as up:
        up.set_option("rabbitmq", enabled=True)
        up.apply()
        fill(up)
        made = up.quorate("backup", "key")
        assert made.returncode == 0, made.stderr
        yield up


def on(plane: Plane, machine: str, command: str) -> str:
    """Run a command there, which must succeed."""
    return plane.lab.run(machine, command, timeout=300.0).stdout


def fill(plane: Plane) -> None:
    """Rows, and a queue with a policy."""
    table = "CREATE TABLE written (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(99))"
    rows = f"INSERT INTO written (what) SELECT CONCAT('row ', seq) FROM seq_1_to_{ROWS}"  # noqa: S608 - our number
    sql = f"CREATE OR REPLACE DATABASE kept; USE kept; {table}; {rows}"
    on(plane, "controller1", f'mariadb -e "{sql}"')
    on(
        plane,
        "controller1",
        f"cat >/tmp/d.json <<'END'\n{DEFINITIONS}\nEND\nrabbitmqctl import_definitions /tmp/d.json",
    )


def checksum(plane: Plane, machine: str) -> str:
    return on(plane, machine, 'mariadb -Ne "CHECKSUM TABLE kept.written; SELECT COUNT(*) FROM kept.written"')


def backup(plane: Plane, *words: str) -> Path:
    done = plane.quorate("backup", "backups", *words, "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    print(told)
    return plane.folder / str(told["where"]) / str(told["backup"])


@contextmanager
def writing(plane: Plane) -> Iterator[list[str]]:
    """Write a row through the virtual IP every 50 ms; gives what failed, and takes longer than 2 s."""
    stop, failed = threading.Event(), list[str]()
    password = plane.secrets()["keystone.database"]

    def write() -> None:
        with closing(
            pymysql.connect(
                host=plane.vip, user="keystone", password=password, database="keystone", autocommit=True, read_timeout=9
            )
        ) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE TABLE IF NOT EXISTS busy (id INT AUTO_INCREMENT PRIMARY KEY)")
            while not stop.wait(0.05):
                began = time.monotonic()
                try:
                    cursor.execute("INSERT INTO busy VALUES ()")
                except pymysql.MySQLError as error:
                    failed.append(str(error))
                    return
                if (took := time.monotonic() - began) > 2.0:
                    failed.append(f"a write took {took:.1f} s")
            cursor.execute("DROP TABLE busy")

    writer = threading.Thread(target=write)
    writer.start()
    yield failed
    stop.set()
    writer.join(30)


def validates(plane: Plane, token: str, password: str) -> bool:
    """Whether the cloud accepts a token, asked with a new one of the administrator."""
    asking = Client(plane.vip)
    asking.issue(password, 1)
    with closing(http.client.HTTPConnection(plane.vip, PORT, timeout=30)) as keystone:
        headers = {"X-Auth-Token": asking.tokens[0], "X-Subject-Token": token}
        keystone.request("GET", "/v3/auth/tokens", headers=headers)
        return keystone.getresponse().status == 200


def test_a_backup_is_taken_from_who_does_not_write_and_writers_do_not_notice(plane: Plane) -> None:
    with writing(plane) as failed:
        time.sleep(3)  # so that the proxies know who has the clients
        taken = backup(plane)
    assert failed == []
    assert {path.name for path in taken.iterdir()} == {
        f"{name}.sealed" for name in ("database", "messaging", "secrets.yaml", "cloud.yaml", "manifest")
    }
    plane.wait_well()


def test_it_is_proved_and_status_tells(plane: Plane) -> None:
    assert "none from here" in plane.quorate("status").stdout
    done = plane.quorate("backup", "verify", str(newest(plane)))
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert "restored for trial, and alike" in done.stdout
    assert re.search(r"successfully: (less than a minute|\d+ minutes?) old", plane.quorate("status").stdout)
    for machine in plane.lab.machines():
        assert on(plane, machine, "ls -A /var/tmp | grep '^quorate' || true") == ""
        assert on(plane, machine, "pgrep -c mariadbd").strip() == "1"


def newest(plane: Plane) -> Path:
    return max(path for path in (plane.folder / "backups").iterdir() if not path.name.startswith("."))


def truncated(folder: Path) -> None:
    with (folder / "database.sealed").open("r+b") as file:
        file.truncate(file.seek(0, 2) - 100_000)


def flipped(folder: Path) -> None:
    with (folder / "database.sealed").open("r+b") as file:
        file.seek(3_000_000)
        (byte,) = file.read(1)
        file.seek(3_000_000)
        file.write(bytes([byte ^ 4]))


def incomplete(folder: Path) -> None:
    (folder / "messaging.sealed").unlink()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(truncated, "cut short"), (flipped, "piece 3 is not what was sealed"), (incomplete, "messaging is missing")],
)
def test_a_spoiled_one_is_red(plane: Plane, spoil: Callable[[Path], None], why: str) -> None:
    copy = Path(shutil.copytree(newest(plane), plane.folder / "spoiled" / newest(plane).name, dirs_exist_ok=True))
    spoil(copy)
    done = plane.quorate("backup", "verify", str(copy))
    print(done.stderr)
    shutil.rmtree(copy)
    assert (done.returncode, why in done.stderr) == (1, True), done.stderr


def test_nothing_is_restored_over_a_living_cloud(plane: Plane) -> None:
    done = plane.quorate("restore", str(newest(plane)), "--yes")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "controller1: in a Primary component" in " ".join(done.stderr.split())


def test_everything_is_there_after_the_loss_of_everything(plane: Plane) -> None:
    secrets = plane.secrets()
    password = secrets["keystone.admin"]
    client = Client(plane.vip)
    client.issue(password, 1)
    before: dict[str, Any] = {"rows": checksum(plane, "controller2"), "shown": on(plane, "controller1", SHOWN)}
    assert "kept.queue" in before["shown"]
    taken = backup(plane, "--keep", "1")
    plane.lab.reset()
    (plane.folder / "secrets.yaml").unlink()
    began = time.monotonic()
    done = plane.quorate("restore", str(taken), "--yes", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    print(f"restored in {time.monotonic() - began:.0f} s: {done.stdout}")
    assert plane.secrets() == secrets
    for machine in plane.lab.machines():
        assert checksum(plane, machine) == before["rows"]
    assert on(plane, "controller1", SHOWN) == before["shown"]
    assert validates(plane, client.tokens[0], password)
    assert not validates(plane, f"{client.tokens[0][:-9]}AAAAAAAAA", password)
    plane.wait_well()
    assert plane.quorate("backup", "verify", str(backup(plane))).returncode == 0
