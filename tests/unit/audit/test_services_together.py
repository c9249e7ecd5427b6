"""All rules over whole sets of files: nothing secret is shown, and what a release's packages read is no finding."""

from __future__ import annotations

import pytest

from quorate.audit.estate import Text
from quorate.audit.judge import audit
from quorate.audit.options import known
from quorate.audit.readers.ini import SERVICES

SECRET = "S3cr3t-of-nobody"
FILES = {
    "c1/etc/nova/nova.conf": f"""\
[DEFAULT]
transport_url = rabbit://guest:{SECRET}@10.0.0.11:amqp,10.0.0.12/
 password = {SECRET}
rabbit_password = {SECRET}
rabbit_passwort = {SECRET}
admin_token = {SECRET}
[database]
connection = mysql://nova:{SECRET}@10.0.0.11/nova
max_retries = for ever
[keystone_authtoken]
auth_url = http://10.0.0.10:5000
admin_password = {SECRET}
memcache_secret_key = {SECRET}
pasword = {SECRET}
[keystone_authtokn]
password = {SECRET}
""",
    "c1/etc/keystone/keystone.conf": f"[DEFAULT]\nadmin_token = {SECRET}\n[token]\nprovider = uuid\n",
    "c1/etc/heat/heat.conf": f"[DEFAULT]\nauth_encryption_key = {SECRET}\n[DEFAULT]\nauth_encryption_key = {SECRET}2\n",
    "c1/etc/openstack-dashboard/local_settings.py": f"SECRET_KEY = '{SECRET[:12]}'\nDEBUG = True\n",
    "c1/etc/systemd/system/x.service": f"[Service]\nExecStart=/usr/bin/mysql -u root -p{SECRET} -e status\n",
}


def test_no_finding_shows_a_secret() -> None:
    came = audit([Text(path, body, "c1", 0o644) for path, body in FILES.items()], {})
    assert not came.unread
    assert len(came.findings) > 15
    shown = "\n".join(one.hit.seen for one in came.findings)
    assert SECRET[:12] not in shown


@pytest.mark.parametrize("kind", SERVICES)
def test_every_option_that_a_release_knows_is_known(kind: str) -> None:
    all_ = known(kind)
    assert all_
    newest = max(all_.releases)
    lines: list[str] = []
    for section, options in all_.sections.items():
        if section != "*":
            lines += [f"[{section}]"]
            lines += [f"{name} =" for name, found in options.items() if any(one.known(newest) for one in found)]
    text = Text(f"{kind}.conf" if kind != "glance" else "glance-api.conf", "\n".join(lines) + "\n")
    came = audit([text], {kind: str(all_.releases[newest])})
    assert not came.unread
    wrong = {f"OSO{number:03}" for number in (1, 2, 3, 6, 7, 8, 9, 10, 11, 12)}
    assert [one.hit.seen for one in came.findings if one.rule.name in wrong] == []
