"""What is in values: places, accounts, lists, times; settings in Python; units of systemd."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.audit.configs import Peer, items, peer, url
from quorate.audit.estate import Document, Text, Unread
from quorate.audit.kinds import kind_of, read


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.11:5672", Peer("10.0.0.11", 5672)),
        ("nova:s%40x@controller1", Peer("controller1", 0, "nova", "s@x")),
        ("nova@[2001:db8::1]:5672", Peer("2001:db8::1", 5672, "nova")),
        ("[2001:db8::1]", Peer("2001:db8::1")),
        ("2001:db8::1", Peer("2001:db8::1")),
        ("a:b@c@host:1", Peer("host", 1, "a", "b@c")),
    ],
)
def test_a_place_and_its_account_are_read(text: str, found: Peer) -> None:
    assert peer(text) == found


def test_a_transport_names_all_its_hosts() -> None:
    found = url("rabbit://a:b@h1:5672,a:b@h2:5672/openstack?ssl=1")
    assert found
    assert (found.scheme, [one.host for one in found.peers], found.path) == ("rabbit", ["h1", "h2"], "openstack")
    assert found.query == {"ssl": "1"}


@pytest.mark.parametrize("text", ["", "h1:5672", "rabbit://h1:port/", "rabbit://$user@h/", "mysql://[::1/x"])
def test_what_is_no_place_is_none(text: str) -> None:
    assert url(text) is None or not url(text).peers  # type: ignore[union-attr] # the first half says that it is there


@given(st.text(max_size=80))
def test_no_text_makes_a_traceback(text: str) -> None:
    url(text)
    items(text)


def horizon(body: str) -> Document | Unread:
    text = Text("etc/openstack-dashboard/local_settings.py", body)
    kind = kind_of(text)
    assert kind
    return read(text, kind)


def test_settings_are_read_and_not_run() -> None:
    document = horizon(
        "import os\n"
        "os.abort()\n"
        "DEBUG = False\n"
        "HOSTS: list[str] = ['a', 'b']\n"
        "CACHES = {'default': {'BACKEND': 'x', **more}}\n"
        "CACHES['default']['BACKEND'] = 'y'\n"
        "KEY = open('/etc/key').read()\n"
        "try:\n    LATE = 1\nexcept ImportError:\n    OTHER = 2\n"
        "if DEBUG:\n    LATE = 3\n"
    )
    assert isinstance(document, Document)
    root = document.root
    assert root.get("DEBUG") == "False"
    hosts = root.last("HOSTS")
    assert hosts
    assert [one.value for one in hosts.inside] == ["a", "b"]
    backend = root.last("CACHES", "default", "BACKEND")
    assert backend
    assert (backend.value, backend.place.line) == ("y", 6)
    key = root.last("KEY")
    assert key
    assert key.words == ("KEY", "=", "open('/etc/key').read()")
    assert root.get("LATE") == "1"
    assert root.last("OTHER") is None


@pytest.mark.parametrize(
    ("body", "line"), [("DEBUG = False\nOPENSTACK_HOST = 192.168.42.103\n", 2), ("X = " + "(" * 3000, 1)]
)
def test_what_is_no_python_says_where(body: str, line: int) -> None:
    found = horizon(body)
    assert isinstance(found, Unread)
    assert found.place.line in {line, 0}


def test_a_unit_is_read_with_its_continued_lines() -> None:
    text = Text("x.service", "# c\n[Service]\nExecStart=/bin/a \\\n # not this\n  -b\n\nUser=x\n")
    kind = kind_of(text)
    assert kind
    document = read(text, kind)
    assert isinstance(document, Document)
    assert document.root.get("Service", "ExecStart") == "/bin/a -b"
    assert document.root.get("Service", "User") == "x"


def test_a_unit_that_is_none_is_not_read() -> None:
    text = Text("x.service", "[Service]\nExecStart\n")
    kind = kind_of(text)
    assert kind
    assert isinstance(read(text, kind), Unread)
