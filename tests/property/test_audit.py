"""An audit of anything: no text makes it fall over, and no secret of any kind of file is shown by any rule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

import quorate.audit
from quorate.audit import judge
from quorate.audit.estate import Estate, Text
from quorate.audit.judge import audit
from quorate.audit.kinds import kinds
from quorate.audit.rule import Hit, Rule, Severity
from quorate.audit.versions import of_os
from quorate.report.audit import as_data, as_text
from quorate.report.sarif import as_sarif

CASES = Path(quorate.audit.__file__).parent / "cases"
PATHS = sorted({path.replace("*", "x") for kind in kinds() for path in kind.paths})


def bodies() -> list[tuple[str, str]]:
    """Every file of every rule's cases."""
    found: dict[tuple[str, str], None] = {}
    for path in sorted(CASES.glob("*.yaml")):
        content = YAML(typ="safe").load(path)
        for case in [*content.get("red", ()), *content.get("green", ())]:
            found.update({(name, body): None for name, body in case["files"].items() if isinstance(body, str)})
    return list(found)


BODIES = bodies()


def shown(texts: list[Text]) -> str:
    """Everything that an audit prints of these, in every form."""
    came = audit(texts, of_os("debian-13"))
    return "\n".join([as_text(came), json.dumps(as_data(came, {})), json.dumps(as_sarif(came, judge.rules(), "0"))])


@settings(max_examples=400, deadline=None)
@given(
    path=st.sampled_from(PATHS), body=st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode())
)
def test_any_bytes_are_read_or_named(path: str, body: bytes) -> None:
    shown([Text(f"c1/etc/{path}", body.decode(errors="replace"), "c1", 0o644)])


@st.composite
def damaged(draw: st.DrawFn) -> list[Text]:
    """Files of the rules' own cases on two machines, with lines lost, doubled, cut or replaced by nonsense."""
    texts = []
    for host in ("c1", "c2"):
        for name, body in draw(st.lists(st.sampled_from(BODIES), min_size=1, max_size=3)):
            lines = body.splitlines()
            for _ in range(draw(st.integers(0, 4))):
                place = draw(st.integers(0, max(0, len(lines) - 1)))
                part = lines[place] if lines else ""
                cut = draw(st.integers(0, max(0, len(part))))
                nonsense = draw(
                    st.sampled_from([part[:cut], part[cut:], part + part, "", "{", "}", '"', "[", "=", "\\"])
                )
                lines[place : place + draw(st.integers(0, 2))] = [nonsense] * draw(st.integers(0, 2))
            texts.append(
                Text(f"{host}/etc/{name}", "\n".join(lines), host, draw(st.sampled_from([None, 0o640, 0o644])))
            )
    return texts


@settings(max_examples=600, deadline=None)
@given(damaged())
def test_damaged_files_are_judged_all_the_same(texts: list[Text]) -> None:
    shown(texts)


SECRET = "Zq7vT2mXw9Lk4RbN"
PLANTED = {
    "haproxy/haproxy.cfg": "userlist u\n  user ann insecure-password {}\n\nlisten stats\n  stats auth ann:{}\n",
    "keepalived/keepalived.conf": "vrrp_instance a [[\n  authentication [[\n    auth_pass {}\n  ]]\n]]\n",
    "drbd.d/r0.res": 'resource r0 [[\n  net [[\n    cram-hmac-alg sha1;\n    shared-secret "{}";\n  ]]\n]]\n',
    "mysql/my.cnf": "[mysqld]\nwsrep_on = ON\nwsrep_sst_auth = sst:{}\n[client]\npassword = {}\n",
    "rabbitmq/rabbitmq.conf": "default_user = guest\ndefault_pass = {}\n",
    "rabbitmq/advanced.config": '[[[rabbit, [[[default_pass, <<"{}">>]]]]]].\n',
    "rabbitmq/definitions.json": '[["rabbit_version": "4.0", "users": [[["name": "a", "password": "{}", '
    '"password_hash": "{}"]]]]]\n',
    "rabbitmq/rabbitmq-env.conf": 'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-setcookie {}"\n',
    "x/.erlang.cookie": "{}",
    "corosync/authkey": "{}",
    "keystone/fernet-keys/0": "{}{}ABCDEFGHI=",
    "nutcracker/nutcracker.yml": "a:\n  listen: 127.0.0.1:1\n  redis_auth: {}\n  servers:\n    - 10.0.0.1:1:1\n",
    "keystone/keystone.conf": "[DEFAULT]\nadmin_token = {}\n[database]\nconnection = mysql+pymysql://k:{}@10.0.0.1/k\n",
    "nova/nova.conf": "[DEFAULT]\ntransport_url = rabbit://o:{}@a:1,o:{}@b:1/\n[keystone_authtoken]\npassword = {}\n"
    "memcache_secret_key = {}\n[neutron]\nmetadata_proxy_shared_secret = {}\n",
    "heat/heat.conf": "[DEFAULT]\nauth_encryption_key = {}\nstack_domain_admin_password = {}\n",
    "openstack-dashboard/local_settings.py": 'SECRET_KEY = "{}"\nDATABASES = [["default": [["PASSWORD": "{}"]]]]\n',
    "crm_config.crm": "primitive p ocf:x:y params os_password={} check_passwd={} erlang_cookie={} \\\n"
    "  op monitor interval=1\n",
    "cib.xml": '<cib><configuration><resources><primitive id="f" class="stonith" type="x"><instance_attributes id="i">'
    '<nvpair id="n" name="passwd" value="{}"/></instance_attributes></primitive></resources></configuration></cib>\n',
    "setup.sh": "mysql -uroot -p{} -e \"GRANT ALL ON *.* TO a@'%' IDENTIFIED BY '{}'\"\n"
    "mysqladmin --password={} ping\nrabbitmqctl add_user openstack {}\n",
    "grants.sql": "GRANT ALL ON *.* TO 'a'@'%' IDENTIFIED BY '{}';\n",
}
"""A file of each kind that may hold one; `{}` is where, `[[` and `]]` are braces."""


def tells_everything(estate: Estate) -> Iterator[Hit]:
    """A rule that shows every statement of every file: no real one shows more."""
    for document in estate.documents:
        for node in document.root.walk():
            yield Hit(node.place, " ".join(node.words))
            yield Hit(node.place, f"{node.name} = {node.value}")
            yield Hit(node.place, f"{document.kind}: {node.value}")


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = Rule("ALL001", Severity.NOTE, "everything", "why", "source", "remedy", "", tells_everything)
    several = (*judge.rules(), rule)
    monkeypatch.setattr(judge, "rules", lambda: several)


@pytest.mark.usefixtures("telling")
@pytest.mark.parametrize("path", PLANTED)
@pytest.mark.parametrize("broken", ["", "\n}}}\n<]=\n", '\nsomething "open\n'])
def test_no_secret_of_a_file_is_shown(path: str, broken: str) -> None:
    parts = PLANTED[path].replace("[[", "{").replace("]]", "}").split("{}")
    secrets = [f"{SECRET}{number}" for number in range(len(parts) - 1)]
    body = "".join(f"{part}{secret}" for part, secret in zip(parts, [*secrets, ""], strict=True))
    text = Text(f"c1/etc/{path}", body + broken, "c1", 0o644)
    came = audit([text], of_os("debian-13"))
    assert came.read or came.unread or broken, "no kind of file"
    printed = shown([text])
    assert [secret for secret in secrets if secret in printed] == []
