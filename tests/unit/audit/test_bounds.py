"""Text that nobody wrote by hand is bounded: it is named as not read, or read in its size, and never hangs an audit."""

from __future__ import annotations

import json

import pytest

from quorate.audit.estate import Document, Text, Unread
from quorate.audit.judge import audit, estate_of
from quorate.audit.kinds import LONGEST, MOST
from quorate.audit.secrets import HIDDEN, SHOWN, masked


def test_a_line_that_is_too_long_is_named() -> None:
    found = estate_of([Text("nova.conf", f"[DEFAULT]\nfirst = 1\n{'a' * (LONGEST + 1)} = 1\n")], {})
    assert found.documents == ()
    (one,) = found.unread
    assert (one.place.line, one.why) == (3, f"the line has more than {LONGEST} characters")


@pytest.mark.parametrize("number", ["9" * 150, "9" * 5000, "\u0663" * 5000])
def test_a_number_that_no_program_takes_is_named(number: str) -> None:
    found = estate_of([Text("corosync.conf", f"totem {{\n  token: {number}\n}}\n")], {})
    assert [(one.place.line, one.why) for one in found.unread] == [(2, "a number has 150 digits or more")]


@pytest.mark.parametrize(
    ("path", "body"),
    [("default/memcached", 'OPTIONS="-l \'::1"\n'), ("memcached.json", '{"command": "memcached -l \'::1"}')],
)
def test_a_quote_that_never_ends_is_named(path: str, body: str) -> None:
    assert [one.why for one in estate_of([Text(path, body)], {}).unread] == ["no closing quotation"]


def test_what_programs_write_may_stand_in_one_line() -> None:
    users = [{"name": f"user{number}", "password_hash": "x" * 40, "tags": ""} for number in range(1000)]
    found = estate_of([Text("definitions.json", json.dumps({"users": users}))], {})
    assert [document.kind for document in found.documents] == ["rabbitmq-definitions"]


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text", ["\n" * 500_000, "a" * 500_000, "password" * 60_000, f"# {'!' * 500_000}", "," * 500_000, " a=" * 150_000]
)
@pytest.mark.parametrize("path", ["haproxy.cfg", "nova.conf", "my.cnf", "corosync.conf", "keepalived.conf", "x.sql"])
def test_no_text_hangs_it(path: str, text: str) -> None:
    body = f"listen a\n[DEFAULT]\n[mysqld]\ntotem {{\n}}\nvrrp_instance a {{\n}}\n{text}"
    came = audit([Text(path, body)], {})
    assert all(isinstance(one, Unread) for one in came.unread)
    assert all(isinstance(one, Document) for one in came.read)


MANY = {
    "a value of many lines": ("nova.conf", "[DEFAULT]\na = 1\n", " b\n"),
    "a value that is never closed": ("rabbitmq.conf", "a = '''\n", "b\n"),
    "names without a value": ("local_settings.py", "A = 1\n", "A:\n"),
    "options that nobody knows": ("nova.conf", "[DEFAULT]\n", "debugg = 1\n"),
    "sections that lead to each other": ("haproxy.cfg", "", "listen a\n server s a:1\n use_backend a\n"),
    "instances": ("keepalived.conf", "", "vrrp_instance a {\n virtual_router_id 1\n}\n"),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("what", MANY)
def test_many_statements_are_judged_in_a_time_that_grows_with_them(what: str) -> None:
    path, begin, unit = MANY[what]
    audit([Text(f"c1/etc/{path}", begin + unit * (100_000 // len(unit)), "c1")], {})


def test_a_file_of_more_statements_than_people_write_is_named() -> None:
    found = estate_of([Text("sysctl.conf", "a = 1\n" * MOST)], {})
    assert [one.why for one in found.unread] == [f"it has more than {MOST} statements"]
    assert estate_of([Text("sysctl.conf", "a = 1\n" * (MOST - 1))], {}).unread == ()


def test_keys_that_lie_in_each_other_are_bounded() -> None:
    found = estate_of([Text("local_settings.py", f"A{'[1]' * 900} = 1\n")], {})
    assert [(one.place.line, one.why) for one in found.unread] == [(1, "more than 40 keys lie in each other")]


def test_a_secret_that_is_cut_off_does_not_show() -> None:
    secret = "s3cret-of-this-test"
    shown = masked(f"{'x' * (SHOWN - 8)} {secret}", [secret])
    assert "s3c" not in shown
    assert HIDDEN in shown
