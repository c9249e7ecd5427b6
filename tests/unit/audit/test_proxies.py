"""What HAProxy takes from where: defaults, their names, words for all servers, and the ways from doors to servers."""

from __future__ import annotations

import pytest

from quorate.audit.estate import Estate, Text
from quorate.audit.judge import estate_of
from quorate.audit.proxies import Address, address, milliseconds, sections, ways

CONFIG = """
defaults
  timeout client 1s
  option httpchk
defaults slow
  timeout client 9s
defaults slower from slow
  timeout server 8s
frontend plain
  bind 10.0.0.10:80,10.0.0.11:81
  bind :82 ssl
  default_backend servers
  no option httpchk
listen named from slow
  bind [2001:db8::1]:90
backend servers from slower
  default-server check port 9200
  server one 10.0.0.1:80
  server two 10.0.0.2:80 no-check port 1
  server three 10.0.0.3:80 disabled
  server four 10.0.0.4:80 backup
"""


@pytest.fixture
def estate() -> Estate:
    return estate_of([Text("haproxy.cfg", CONFIG)], {})


def test_what_a_section_has_of_its_own_and_what_of_its_defaults(estate: Estate) -> None:
    plain, named, servers = sections(estate)
    assert [section.time("client") for section in (plain, named, servers)] == [9000, 9000, 9000]
    assert [section.time("server") for section in (plain, named, servers)] == [8000, None, 8000]
    assert servers.check is None


def test_defaults_do_not_add_up_unless_they_say_so() -> None:
    body = "defaults\n  timeout client 1s\ndefaults\n  timeout server 2s\nlisten a\n  bind :1\n"
    (section,) = sections(estate_of([Text("haproxy.cfg", body)], {}))
    assert (section.time("client"), section.time("server")) == (None, 2000)


def test_an_option_that_is_taken_back_is_none() -> None:
    body = "defaults\n  option tcpka\nlisten a\n  bind :1\n  no option tcpka\nlisten b\n  bind :2\n"
    first, second = sections(estate_of([Text("haproxy.cfg", body)], {}))
    assert first.said("option", "tcpka") is None
    assert second.said("option", "tcpka") is not None


def test_words_for_all_servers_come_before_their_own(estate: Estate) -> None:
    *_, servers = sections(estate)
    one, two, four = servers.servers
    assert [server.has("check") for server in (one, two, four)] == [True, False, True]
    assert [server.value("port") for server in (one, two, four)] == ["9200", "1", "9200"]
    assert [server.name for server in servers.active] == ["one", "two"]


def test_a_way_leads_from_every_door_to_the_servers(estate: Estate) -> None:
    (way,) = ways(estate)
    assert [found for found, _ in way.entrances] == [
        Address("10.0.0.10", 80),
        Address("10.0.0.11", 81),
        Address("", 82),
    ]
    assert way.ports == {80, 81, 82}
    assert [door.name for door in way.doors] == ["plain"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1:80", Address("10.0.0.1", 80)),
        ("10.0.0.1", Address("10.0.0.1", None)),
        (":80", Address("", 80)),
        ("*:80", Address("*", 80)),
        ("[::1]:80", Address("::1", 80)),
        ("2001:db8::1:80", Address("2001:db8::1", 80)),
        ("ipv4@host:80", Address("host", 80)),
        ("10.0.0.1:+1", Address("10.0.0.1", None)),
        ("10.0.0.1:80-90", Address("10.0.0.1", None)),
        ("/run/haproxy.sock", None),
        ("unix@run", None),
        ("${ADDRESS}:80", None),
    ],
)
def test_addresses(text: str, expected: Address | None) -> None:
    assert address(text) == expected


@pytest.mark.parametrize(("text", "expected"), [("2000", 2000), ("1m", 60_000), ("90us", 0.09), ("x", None)])
def test_times(text: str, expected: float | None) -> None:
    assert milliseconds(text) == (pytest.approx(expected) if expected is not None else None)
