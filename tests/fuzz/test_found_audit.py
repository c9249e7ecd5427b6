"""What fuzzing the audit found, each as the shortest input that showed it."""

from __future__ import annotations

import pytest

from fuzz.of_audit import check
from quorate.audit.estate import Text, Unread
from quorate.audit.judge import Audit, audit
from quorate.audit.node import Place
from quorate.report.sarif import as_sarif

TRACEBACKS = {
    "a URL whose brackets do not fit": b"\xffnova.conf\n[DEFAULT]\ntransport_url = rabbit://a@[",
    "a name that is marked as an address of IPv6": b"".join(
        b"\xff%b/keystone.conf\n[cache]\nmemcache_servers = inet6:localhost\n" % host for host in (b"a", b"b")
    ),
    "a pool that listens at a blank": b'\xffnutcracker.yml\na:\n  listen: " "\n',
    "a server that is a blank": b'\xffnutcracker.yml\na:\n  servers: [" "]\n',
    "a server with colons in its name only": b'\xffnutcracker.yml\na:\n  servers: ["a b:c:d"]\n',
    "a reference to nothing": b'\xffcib.xml\n<cib><primitive id="p"/><rsc_colocation id="o">'
    b"<resource_set><resource_ref/></resource_set></rsc_colocation></cib>",
    "a whole number of many digits in base 16": b"\xfflocal_settings.py\nA = 0x\xfe\x0df\xfe\n",
    "a sum that is too large for a float": b"\xffhaproxy.cfg\nlisten a\n"
    + 2 * (b" server s a:1 check inter %b fall %b\n" % (b"9" * 200, b"9" * 200)),
    "figures of another script": b"\xffcorosync.conf\ntotem {\n token: \xfe\x0d\xd9\xa3\xfe\n}\n",
    "a version of many digits": b"nova=%b\xffnova.conf\n[DEFAULT]\na = 1\n" % (b"9" * 5000),
}


@pytest.mark.parametrize("found", TRACEBACKS)
def test_what_broke_an_audit_down(found: str) -> None:
    check(TRACEBACKS[found])


def test_a_url_that_no_service_can_read_is_a_finding() -> None:
    came = audit([Text("nova.conf", "[DEFAULT]\ntransport_url = rabbit://a@[\n")], {})
    assert ("CLI004", Place("nova.conf", 2)) in [(one.rule.name, one.hit.place) for one in came.findings]


def test_what_python_thinks_of_a_file_is_not_told() -> None:
    """Warnings are errors in this suite: this one would be a file that cannot be read."""
    came = audit([Text("local_settings.py", "DEBUG = False\nA = '\\d'\nB = 1 is 2\n")], {})
    assert came.unread == ()


def test_a_machine_whose_folder_has_a_name_in_another_encoding() -> None:
    as_sarif(Audit((), (), (Unread(Place("/srv/c\udcff/etc/nova.conf", 1, "c\udcff"), "why"),), ()), [], "0")
