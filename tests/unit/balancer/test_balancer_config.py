"""The configuration: what a file becomes, and that everything wrong with it is told at once, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.balancer.config import (
    Address,
    Auth,
    Config,
    ConfigError,
    Limits,
    Metrics,
    RingConfig,
    Server,
    Timing,
    Tls,
    default_name,
    load,
    parse,
)

SERVERS = """
[[servers]]
name = "controller1"
address = "10.0.0.11:11211"
[[servers]]
name = "controller2"
address = "[2001:DB8::2]:11212"
weight = 2
"""
TOP = 'name = "controller1"\n'


def wrong(text: str, path: str = "b.toml", pool: str | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, path, pool)
    assert str(caught.value) == "\n".join(caught.value.mistakes)
    return list(caught.value.mistakes)


def test_the_least_that_a_file_must_say() -> None:
    assert parse(TOP + SERVERS, "b.toml") == Config(
        name="controller1",
        servers=(
            Server("controller1", Address("10.0.0.11", 11211), near=True),
            Server("controller2", Address("2001:db8::2", 11212), near=False, weight=2),
        ),
        balancers=("controller1",),
        copies=2,
        listen=Address("127.0.0.1", 22122),
        workers=1,
    )


FULL = """
listen = "[::1]:11211"
name = "a"
balancers = ["a", "b"]
copies = 1
workers = 4
timing = {probe = 200, suspect = 70, hedge = 20, deadline = 400, lease = 600, settle = 900, dead = 9000, fill = 0}
[[servers]]
address = "cache.example.org:11211"
near = true
[ring]
kind = "ketama"
hash = "md5"
hash_tag = "<>"
[limits]
connections = 5
value = 2048
missed = 7
output = 65536
[metrics]
listen = "127.0.0.1:22123"
[tls]
ca = "/ca.pem"
cert = "/cert.pem"
key = "/key.pem"
[auth]
user = "cache"
password_file = "/secret"
"""


def test_everything_that_a_file_may_say() -> None:
    assert parse(FULL, "b.toml") == Config(
        name="a",
        servers=(Server("cache.example.org", Address("cache.example.org", 11211), near=True),),
        balancers=("a", "b"),
        copies=1,
        listen=Address("::1", 11211),
        workers=4,
        ring=RingConfig("ketama", "md5", "<>"),
        timing=Timing(200, 70, 20, 400, 600, 900, 9000, 0),
        limits=Limits(5, 2048, 7, 65536),
        metrics=Metrics(Address("127.0.0.1", 22123)),
        tls=Tls("/ca.pem", "/cert.pem", "/key.pem", verify=True),
        auth=Auth("cache", "/secret"),
    )


WRONG = """name = "controller9"
balancers = ["controller1", "controller1", "two words"]
copies = 3
listn = "127.0.0.1:22122"
workers = true
[[servers]]
name = "controller1"
address = "10.0.0.11"
[[servers]]
name = "controller1"
address = "10.0.0.12:11211"
wieght = 3
[ring]
kind = "ketma"
[timing]
probe = 300
suspect = 10
[limits]
value = "1m"
[metrics]
port = 3
[tls]
cert = "/cert.pem"
[auth]
user = "a:b"
"""


def test_all_mistakes_at_once_in_the_file_s_order() -> None:
    assert wrong(WRONG) == [
        'b.toml:1: name: "controller9" is none of balancers, allowed: controller1',
        'b.toml:2: balancers[1]: "controller1" stands here twice, allowed: each once',
        (
            "b.toml:2: balancers[2]: \"two words\" cannot stand here, allowed: 1 to 64 letters, digits, '.', '_' and"
            " '-', the first a letter or a digit"
        ),
        "b.toml:3: copies: 3 is out of bounds, allowed: 1 to 2 (as many as there are servers)",
        (
            "b.toml:4: listn: unknown key (did you mean listen?), allowed: name, balancers, ring, servers, copies,"
            " listen, workers, timing, limits, metrics, tls, auth"
        ),
        "b.toml:5: workers: true is not a number, allowed: 1 to 16 workers",
        (
            'b.toml:8: servers[0].address: "10.0.0.11": no port, allowed:'
            " HOST:PORT, 192.0.2.1:11211 or [2001:db8::1]:11211"
        ),
        'b.toml:10: servers[1].name: "controller1" is the name of two servers, allowed: each once',
        "b.toml:12: servers[1].wieght: unknown key (did you mean weight?), allowed: address, name, near, weight",
        (
            'b.toml:14: ring.kind: "ketma" is unknown (did you mean ketama?), allowed: quorate, ketama, modula,'
            " random, libmemcached, python-memcached, pymemcache"
        ),
        "b.toml:16: timing.probe: lease of 500 ms does not fit, allowed: at least twice probe (300 ms)",
        "b.toml:17: timing.suspect: hedge of 15 ms does not fit, allowed: less than suspect (10 ms)",
        'b.toml:19: limits.value: "1m" is not a number, allowed: 1024 to 1073741824 bytes',
        "b.toml:20: metrics.listen: missing, allowed: HOST:PORT, 192.0.2.1:11211 or [2001:db8::1]:11211",
        "b.toml:21: metrics.port: unknown key, allowed: listen",
        "b.toml:23: tls.cert: stands without key, allowed: cert and key together",
        "b.toml:24: auth.password_file: missing, allowed: a file's name",
        "b.toml:25: auth.user: \"a:b\" cannot stand here, allowed: 1 to 32 visible ASCII characters, no ':'",
    ]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.0.0.1", "no port"),
        ("10.0.0.1:", "no port"),
        (":11211", "no host's name"),
        ("10.0.0.1:0", "the port is not one of 1 to 65535"),
        ("10.0.0.1:65536", "the port is not one of 1 to 65535"),
        ("10.0.0.1:1121100000000000000000", "the port is not one of 1 to 65535"),
        ("10.0.0.1:٣", "no port"),
        ("::1:11211", "an IPv6 address stands in brackets"),
        ("[::1]", "no port"),
        ("[10.0.0.1]:1", "no IPv6 address stands in the brackets"),
        ("10.0.0.256:1", "no IPv4 address"),
        ("under score:1", "no host's name"),
        ("-a:1", "no host's name"),
        ("/run/memcached.sock", "no port"),
    ],
)
def test_addresses_that_are_none(address: str, why: str) -> None:
    [mistake] = wrong(f'{TOP}[[servers]]\naddress = "{address}"\n')
    assert mistake.startswith(f'b.toml:3: servers[0].address: "{address}": {why}, allowed: HOST:PORT')


@pytest.mark.parametrize("address", ["10.0.0.1:1", "[::1]:65535", "localhost:11211", "a-b.example.org:11211"])
def test_addresses(address: str) -> None:
    assert str(parse(f'{TOP}[[servers]]\naddress = "{address}"\n', "b.toml").servers[0].address) == address


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("name = ", "b.toml:1: no TOML: Invalid value, allowed: TOML 1.0"),
        (TOP, "b.toml:1: servers: missing, allowed: 1 to 64 tables [[servers]]"),
        (f"{TOP}servers = []", "b.toml:2: servers: 0 servers, allowed: 1 to 64"),
        (
            f'{TOP}[servers]\naddress = "a:1"',
            "b.toml:2: servers: {'address': 'a:1'} is not a list, allowed: a list of tables",
        ),
        (f"{TOP}servers = [3]", "b.toml:2: servers[0]: 3 is not a table, allowed: a table"),
        (SERVERS, "b.toml:1: name: missing, allowed: 1 to 64 letters, digits, '.', '_' and '-', the first a letter or"),
        (f'listen = "10.0.0.11:11211"\n{TOP}{SERVERS}', 'b.toml:6: servers[0].address: "10.0.0.11:11211" is where the'),
        (
            f'{TOP}{SERVERS}[metrics]\nlisten = "127.0.0.1:22122"',
            'b.toml:11: metrics.listen: "127.0.0.1:22122" is where',
        ),
        (
            f'{TOP}{SERVERS}[ring]\nhash = "md5"',
            "b.toml:11: ring.hash: has no meaning for kind quorate, allowed: with ke",
        ),
        (
            f"{TOP}{SERVERS}[ring]\nweighted = true",
            "b.toml:11: ring.weighted: has no meaning for kind quorate, allowed: ",
        ),
        (
            f'{TOP}{SERVERS}[tls]\nverify = false\nca = "x"',
            "b.toml:12: tls.ca: is of no use without verify, allowed: wi",
        ),
        (
            f"{TOP}{SERVERS}[timing]\ndead = 1000",
            "b.toml:11: timing.dead: 1000 ms does not fit, allowed: more than twice",
        ),
        (
            f"{TOP}timing.suspect = 300\n{SERVERS}",
            "b.toml:2: timing.suspect: 300 ms does not fit, allowed: less than dea",
        ),
        (
            f'{TOP}{SERVERS}[[servers]]\naddress = "10.0.0.11:11211"',
            'b.toml:11: servers[2].address: "10.0.0.11:11211" is',
        ),
    ],
)
def test_one_mistake(text: str, mistake: str) -> None:
    [found] = wrong(text)
    assert found.startswith(mistake)


def test_more_servers_than_a_cas_token_can_tell_apart() -> None:
    servers = "".join(f'[[servers]]\naddress = "a:{port}"\n' for port in range(1, 66))
    assert wrong(TOP + servers) == ["b.toml:2: servers: 65 servers, allowed: 1 to 64"]


@pytest.mark.parametrize(
    ("kind", "port", "name"),
    [
        ("quorate", 11211, "a:11211"),
        ("ketama", 11211, "a"),
        ("modula", 11212, "a:11212"),
        ("libmemcached", 11211, "a"),
        ("libmemcached", 11212, "a:11212"),
        ("pymemcache", 11211, "a:11211"),
    ],
)
def test_a_server_without_a_name_has_the_one_that_the_real_thing_would_give_it(kind: str, port: int, name: str) -> None:
    assert default_name(Address("a", port), kind) == name


@settings(deadline=None)
@given(st.text())
def test_no_text_crashes_it(text: str) -> None:
    for path in ("b.toml", "b.yml"):
        with pytest.raises(ConfigError):
            parse(text, path)


def test_load_tells_what_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(file)
    file.write_text(f'{TOP}{SERVERS}[tls]\nca = "{tmp_path}/ca"\n[auth]\nuser="u"\npassword_file = "{tmp_path}/pw"\n')
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert [mistake.partition(": ")[2].partition(":")[0] for mistake in caught.value.mistakes] == [
        "tls.ca",
        "auth.password_file",
    ]


def test_the_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    secret = tmp_path / "pw"
    secret.write_text("s3cret\n")
    assert Auth("cache", str(secret)).command() == b"set quorate:auth 0 0 12\r\ncache s3cret\r\n"


def test_examples_of_the_decision_are_a_configuration() -> None:
    """What docs/decisions/0009-ring.md shows works."""
    text = (Path(__file__).parents[3] / "docs/decisions/0009-ring.md").read_text(encoding="utf-8")
    examples = [part.partition("```")[0] for part in text.split("```toml\n")[1:]]
    assert examples
    for example in examples:
        parse(example, "b.toml")
