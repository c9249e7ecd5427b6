"""From a single controller, set up by hand as guides do, to three: rows, keys, tokens, the pause and the way back."""

from __future__ import annotations

import http.client
import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab.plane.machines import Plane, lab_up, watching_argv

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(1800)]

SINGLE = "single"
MACHINES = ("controller1", "controller2", "controller3", SINGLE)
PORT = 5000
USERS, PROJECTS = 30_000, 20_000
PASSWORDS = {"database": "single-database", "admin": "single-admin", "alice": "single-alice"}
BLOB = '{"access": "181920", "secret": "secretKey"}'
SERVER = """[mysqld]
bind-address = {address}
skip_name_resolve = ON
character-set-server = utf8mb3
collation-server = utf8mb3_general_ci
character_set_collations =
innodb_snapshot_isolation = OFF
"""
KEYSTONE = """[database]
connection = mysql+pymysql://keystone:{password}@{address}/keystone?charset=utf8mb4
[token]
provider = fernet
[fernet_tokens]
key_repository = /etc/keystone/fernet-keys
[credential]
key_repository = /etc/keystone/credential-keys
"""
WSGI = """from keystone.server.wsgi import initialize_public_application
application = initialize_public_application()
"""
ROWS = f"""USE keystone;
INSERT INTO user (id, extra, enabled, domain_id, created_at)
  SELECT MD5(CONCAT('user', seq)), '{{}}', 1, 'default', '2026-01-31 12:00:00' FROM seq_1_to_{USERS};
INSERT INTO local_user (user_id, domain_id, name)
  SELECT MD5(CONCAT('user', seq)), 'default', CONCAT('user', seq) FROM seq_1_to_{USERS};
INSERT INTO project (id, name, extra, description, enabled, domain_id, parent_id, is_domain)
  SELECT MD5(CONCAT('project', seq)), CONCAT('project', seq), '{{}}', 'ü', 1, 'default', 'default', 0
  FROM seq_1_to_{PROJECTS};
INSERT INTO assignment (type, actor_id, target_id, role_id, inherited)
  SELECT 'UserProject', MD5(CONCAT('user', seq)), MD5(CONCAT('project', 1 + seq % {PROJECTS})),
    (SELECT id FROM role WHERE name = 'member' LIMIT 1), 0 FROM seq_1_to_{USERS};
CREATE TABLE odd (id INT PRIMARY KEY AUTO_INCREMENT, f FLOAT, d DOUBLE, n DECIMAL(10,3), b BLOB, t TIMESTAMP NULL,
  j JSON, bits BIT(9), txt TEXT CHARACTER SET utf8mb4, lat VARCHAR(20) CHARACTER SET latin1, e ENUM('a','b'),
  g DECIMAL(12,3) AS (n * 2) VIRTUAL) ENGINE=MyISAM;
INSERT INTO odd (f, d, n, b, t, j, bits, txt, lat, e) VALUES
  (0.1, 1e-300/3, 1.005, UNHEX('00FF0D0A275C1A'), '2026-01-31 12:00:00', '[1, "ü"]', b'101010101',
    CONCAT('a\\tb\\r\\nüß', CHAR(0 USING utf8mb4), '😀'), 'Größe', 'b'),
  (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE VIEW seen AS SELECT id FROM odd;
"""  # noqa: S608 - our numbers
ALIKE = "keystone.local_user, keystone.project"
"""Tables that nothing changes once they are copied."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Three machines for the new cloud, and one that is the cloud of before."""
    folder = tmp_path_factory.mktemp("migrate")
    with lab_up("migrate", folder, *(word for machine in MACHINES for word in ("--host", machine))) as made:
        leave_out(folder / "cloud.yaml")
        init = made.quorate("init")
        assert init.returncode == 0, init.stdout + init.stderr
        set_up(made)
        yield made


def leave_out(path: Path) -> None:
    """The new cloud does not know of the machine."""
    yaml = YAML()
    cloud = yaml.load(path)
    del cloud["controllers"][SINGLE]
    yaml.dump(cloud, path)


def on(plane: Plane, machine: str, command: str, stdin: str = "") -> str:
    """Run a command there, which must succeed."""
    done = plane.lab.run(machine, command, stdin=stdin, timeout=300.0)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def sql(plane: Plane, machine: str, text: str) -> str:
    """Have the machine's own MariaDB do it, as root."""
    return on(plane, machine, "mariadb --skip-column-names --batch --default-character-set=utf8mb4", stdin=text)


def address(plane: Plane) -> str:
    return plane.lab.address(SINGLE)


def source(plane: Plane) -> str:
    return f"root@{address(plane)}"


def set_up(plane: Plane) -> None:
    """MariaDB and Keystone on one machine, bound to its own address; the keys were rotated once."""
    here = address(plane)
    on(plane, SINGLE, "cat >/etc/mysql/mariadb.conf.d/99-single.cnf", stdin=SERVER.format(address=here))
    on(plane, SINGLE, "systemctl start mariadb")
    account = f"CREATE USER keystone@'%' IDENTIFIED BY '{PASSWORDS['database']}'"
    sql(plane, SINGLE, f"CREATE DATABASE keystone; {account}; GRANT ALL ON keystone.* TO keystone@'%';")
    conf = KEYSTONE.format(address=here, password=PASSWORDS["database"])
    on(plane, SINGLE, "install -m 640 -g keystone /dev/stdin /etc/keystone/keystone.conf", stdin=conf)
    on(plane, SINGLE, "cat >/etc/keystone/single-wsgi.py", stdin=WSGI)
    owner = "--keystone-user keystone --keystone-group keystone"
    for verb in ("fernet_setup", "credential_setup", "fernet_rotate"):
        on(plane, SINGLE, f"keystone-manage {verb} {owner}")
    on(plane, SINGLE, "cd / && runuser -u keystone -- keystone-manage db_sync")
    urls = " ".join(f"--bootstrap-{kind}-url http://{here}:{PORT}/v3" for kind in ("public", "internal", "admin"))
    bootstrap = f"keystone-manage bootstrap {urls} --bootstrap-region-id RegionOne"
    on(plane, SINGLE, f"cd / && runuser -u keystone -- env OS_BOOTSTRAP_PASSWORD={PASSWORDS['admin']} {bootstrap}")
    words = "--plugins python3 --master --processes 1 --threads 2 --enable-threads --lazy-apps --buffer-size 65535"
    serve = f"uwsgi_python3 --http-socket {here}:{PORT} {words} --rem-header Content-Length"
    unit = "systemd-run --unit=single-keystone --uid=keystone --gid=keystone --working-directory=/var/lib/keystone"
    on(plane, SINGLE, f"{unit} /usr/bin/{serve} --wsgi-file /etc/keystone/single-wsgi.py")
    wait_for_api(here)
    sql(plane, SINGLE, ROWS)


def wait_for_api(host: str) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            if ask(host, "GET", "/v3")[0] == 200:
                return
        except (OSError, http.client.HTTPException, ValueError):
            pass
        assert time.monotonic() < deadline, f"no Keystone at {host}"
        time.sleep(0.5)


def ask(host: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, str]:
    """Ask Keystone: status, body, and the token that it issued."""
    with closing(http.client.HTTPConnection(host, PORT, timeout=30)) as keystone:
        said = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        keystone.request(method, path, json.dumps(body) if body is not None else None, said)
        reply = keystone.getresponse()
        text = reply.read()
        return reply.status, (json.loads(text) if text else None), reply.headers.get("X-Subject-Token", "")


def token(host: str, user: str, password: str, project: str) -> str:
    domain = {"id": "default"}
    who = {"user": {"name": user, "domain": domain, "password": password}}
    scope = {"project": {"name": project, "domain": domain}}
    body = {"auth": {"identity": {"methods": ["password"], "password": who}, "scope": scope}}
    status, said, issued = ask(host, "POST", "/v3/auth/tokens", body)
    assert status == 201, said
    return issued


@pytest.fixture(scope="module")
def before(plane: Plane) -> dict[str, str]:
    """What a user of the single controller has: a token, a credential, and another service in the catalog."""
    here = address(plane)
    admin = token(here, "admin", PASSWORDS["admin"], "admin")

    def made(kind: str, path: str, **what: str) -> str:
        status, said, _ = ask(here, "POST", f"/v3/{path}", {kind: what}, X_Auth_Token=admin)
        assert status == 201, said
        return str(said[kind]["id"])

    alice = made("user", "users", name="alice", password=PASSWORDS["alice"], domain_id="default")
    project = made("project", "projects", name="wonderland", domain_id="default")
    role = ask(here, "GET", "/v3/roles?name=member", X_Auth_Token=admin)[1]["roles"][0]["id"]
    path = f"/v3/projects/{project}/users/{alice}/roles/{role}"
    assert ask(here, "PUT", path, X_Auth_Token=admin)[0] == 204
    credential = made("credential", "credentials", type="ec2", blob=BLOB, user_id=alice, project_id=project)
    compute = made("service", "services", type="compute", name="nova")
    url = f"http://{here}:8774/v2.1"
    made("endpoint", "endpoints", service_id=compute, interface="public", region_id="RegionOne", url=url)
    return {"token": token(here, "alice", PASSWORDS["alice"], "wonderland"), "alice": alice, "credential": credential}


def held(plane: Plane) -> str:
    return sql(plane, SINGLE, "SELECT @@GLOBAL.read_only").strip()


def sums(plane: Plane, machine: str) -> str:
    count = "SELECT COUNT(*) FROM keystone.assignment"
    odd = "SELECT id, f, d, n, HEX(b), t, j, bits + 0, HEX(txt), lat, e, g FROM keystone.odd ORDER BY id"
    return sql(plane, machine, f"CHECKSUM TABLE {ALIKE} EXTENDED; {count}; {odd};")


def test_what_galera_cannot_hold_is_refused_and_nothing_changed(plane: Plane, before: dict[str, str]) -> None:
    assert before
    done = plane.quorate("migrate", source(plane), "--yes")
    assert done.returncode == 3, done.stdout + done.stderr
    said = re.search(r"ALTER TABLE .*ENGINE=InnoDB", done.stderr)
    assert said is not None, done.stderr
    assert "keystone.odd is MyISAM" in done.stderr
    assert held(plane) == "0"
    assert not (plane.folder / ".quorate" / "migrating.json").exists()
    assert on(plane, "controller1", "systemctl is-active mariadb || true").strip() != "active"
    sql(plane, SINGLE, f"{said[0]};")


def test_a_dry_run_says_what_is_there(plane: Plane) -> None:
    told = plane.json("migrate", source(plane), "--dry-run")
    assert (told["databases"], told["against"]) == (["keystone"], [])
    assert "/etc/keystone/fernet-keys: 3 keys are taken over" in told["notes"]
    assert on(plane, "controller1", "systemctl is-active mariadb || true").strip() != "active"


def test_interrupted_while_it_copies_the_source_takes_writes_again(plane: Plane) -> None:
    with plane.start("migrate", source(plane), "--yes") as running:
        assert running.stdout is not None
        said = []
        for line in running.stdout:
            said.append(line)
            if line.startswith("copying the data"):
                time.sleep(0.5)
                running.send_signal(signal.SIGINT)
                break
        said += running.stdout.readlines()
    assert running.returncode == 130, "".join(said)
    assert held(plane) == "0"
    left = sql(plane, "controller1", "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'keystone'")
    assert left.strip() == "0"
    assert token(address(plane), "alice", PASSWORDS["alice"], "wonderland")


def test_everything_is_taken_over(plane: Plane, before: dict[str, str]) -> None:
    rows = sums(plane, SINGLE)
    secrets = plane.secrets()
    seen = set[str]()
    with watching_argv([value for value in secrets.values() if value], seen):
        done = plane.quorate("migrate", source(plane), "--yes", "--output", "json", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    print(told)
    assert told["databases"] == ["keystone"]
    assert told["rows"] > 100_000
    assert 0 < told["pause_s"] < 300
    assert told["elsewhere"] == [f"compute (public, RegionOne): http://{address(plane)}:8774/v2.1"]
    assert seen == set()
    for machine in ("controller1", "controller3"):
        assert sums(plane, machine) == rows
    admin = token(plane.vip, "admin", plane.secrets()["keystone.admin"], "admin")
    status, said, _ = ask(plane.vip, "GET", "/v3/auth/tokens", X_Auth_Token=admin, X_Subject_Token=before["token"])
    assert (status, said["token"]["user"]["id"]) == (200, before["alice"]), said
    status, said, _ = ask(plane.vip, "GET", f"/v3/credentials/{before['credential']}", X_Auth_Token=admin)
    assert (status, json.loads(said["credential"]["blob"])) == (200, json.loads(BLOB)), said
    for number in (0, 1, 2):
        key = on(plane, SINGLE, f"cat /etc/keystone/fernet-keys/{number}")
        assert on(plane, "controller2", f"cat /etc/keystone/fernet-keys/{number}") == key


def test_the_source_has_everything_and_takes_no_writes(plane: Plane) -> None:
    assert held(plane) == "1"
    assert sums(plane, SINGLE) == sums(plane, "controller2")
    client = f"mariadb -h {address(plane)} -u keystone -p{PASSWORDS['database']} keystone"
    refused = plane.lab.run(SINGLE, client, stdin="DELETE FROM odd")
    assert refused.returncode != 0
    assert "read-only" in refused.stderr


def test_a_second_run_says_that_it_is_done_and_apply_has_nothing_to_do(plane: Plane) -> None:
    first = json.loads((plane.folder / ".quorate" / "migrating.json").read_text())
    told = plane.json("migrate", source(plane), "--yes")
    assert (told["stage"], told["pause_s"], told["phases"]) == ("done", first["pause_s"], {})
    assert plane.apply()["changes"] == 0
    plane.wait_well()


def test_the_way_back_is_open(plane: Plane) -> None:
    done = plane.quorate("migrate", source(plane), "--back", "--yes", "--output", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    beyond = json.loads(done.stdout)["beyond"]
    assert any(line.startswith("keystone.endpoint:") for line in beyond), beyond
    assert not any(line.startswith("keystone.project:") for line in beyond), beyond
    assert held(plane) == "0"
    assert token(address(plane), "admin", PASSWORDS["admin"], "admin")
