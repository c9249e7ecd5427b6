"""twemproxy's file: what its directives become here, and that what is not of its kind is told."""

from __future__ import annotations

import pytest

from quorate.balancer.config import Address, Config, ConfigError, Limits, RingConfig, Server, parse
from quorate.balancer.hashes import HASHES
from quorate.balancer.nutcracker import DIRECTIVES

FILE = """---
# Two pools
alpha:
  listen: 127.0.0.1:22121
  hash: murmur   # quick
  hash_tag: "{}"
  distribution: modula
  auto_eject_hosts: true
  timeout: 400
  client_connections: 500
  preconnect: true
  server_retry_timeout: 30000
  server_failure_limit: 2
  server_connections: 1
  backlog: 1024
  tcpkeepalive: false
  reuseport: true
  redis: false
  servers:
    - 10.0.0.11:11211:1 controller1
    - 10.0.0.12:11211:3
    - "10.0.0.13:11311:2"
    - 'cache.example.org:11211:1'

beta:
    listen: ::1:22122
    servers:
    - ::1:11211:1
    - 2001:db8::1:11311:1 ten
"""


def wrong(text: str, pool: str | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "nutcracker.yml", pool)
    return list(caught.value.mistakes)


def test_a_pool() -> None:
    config = parse(FILE, "nutcracker.yml", "alpha", "controller1")
    notes = config.notes
    assert config == Config(
        name="controller1",
        servers=(
            Server("controller1", Address("10.0.0.11", 11211), near=True, weight=1),
            Server("10.0.0.12", Address("10.0.0.12", 11211), weight=3),
            Server("10.0.0.13:11311", Address("10.0.0.13", 11311), weight=2),
            Server("cache.example.org", Address("cache.example.org", 11211)),
        ),
        balancers=("controller1",),
        copies=1,
        listen=Address("127.0.0.1", 22121),
        ring=RingConfig("modula", "murmur", "{}"),
        limits=Limits(connections=500),
        notes=notes,
    )
    assert notes[0] == (
        "nutcracker.yml:8: alpha.auto_eject_hosts: true has no meaning here:"
        " a server that is out keeps its keys, other copies answer"
    )
    assert [note.split(": ")[1] for note in notes] == [
        "alpha.auto_eject_hosts",
        "alpha.timeout",
        "alpha.preconnect",
        "alpha.server_retry_timeout",
        "alpha.server_failure_limit",
        "alpha.server_connections",
        "alpha.backlog",
        "alpha.tcpkeepalive",
        "alpha.reuseport",
        "alpha",
    ]


def test_ipv6_as_twemproxy_writes_it() -> None:
    config = parse(FILE, "nutcracker.yaml", "beta")
    assert config.listen == Address("::1", 22122)
    assert config.ring == RingConfig("ketama", "fnv1a_64")
    assert [(server.name, str(server.address)) for server in config.servers] == [
        ("::1", "[::1]:11211"),
        ("ten", "[2001:db8::1]:11311"),
    ]


def test_a_pool_must_be_chosen_and_be_there() -> None:
    assert wrong(FILE) == ["nutcracker.yml:1: 2 pools, allowed: one, chosen with --pool: alpha, beta"]
    assert wrong(FILE, "alpa") == ["nutcracker.yml:1: alpa: no such pool (did you mean alpha?), allowed: alpha, beta"]
    assert wrong("# nothing\n") == ["nutcracker.yml:1: no pool, allowed: a pool with listen and servers"]


def test_all_mistakes_of_a_pool_at_once() -> None:
    text = """a:
  hash: fnv2
  distribution: ketma
  timeout: soon
  preconnect: yes
  redis: true
  redis_auth: secret
  tiemout: 3
  backlog:
  servers:
   - /run/memcached.sock:1
   - 10.0.0.1:11211
   - 10.0.0.2:11211:0
   - 10.0.0.3:99999:1
"""
    assert wrong(text) == [
        "nutcracker.yml:1: a.listen: missing, allowed: HOST:PORT",
        f'nutcracker.yml:2: a.hash: "fnv2" is unknown (did you mean fnv1_32?), allowed: {", ".join(HASHES)}',
        'nutcracker.yml:3: a.distribution: "ketma" is unknown (did you mean ketama?), allowed: ketama, modula, random',
        'nutcracker.yml:4: a.timeout: "soon" is not a number, allowed: 0 and more',
        'nutcracker.yml:5: a.preconnect: "yes" is not a truth value, allowed: true or false',
        "nutcracker.yml:6: a.redis: true, allowed: false; this balancer speaks with memcached only",
        "nutcracker.yml:7: a.redis_auth: is for redis, allowed: not at all; this balancer speaks with memcached only",
        "nutcracker.yml:8: a.tiemout: unknown directive (did you mean timeout?), allowed: "
        + ", ".join((*DIRECTIVES, "servers")),
        "nutcracker.yml:9: a.backlog: no value, allowed: one value",
        'nutcracker.yml:11: a.servers[0]: "/run/memcached.sock:1" is a Unix socket, allowed: HOST:PORT:WEIGHT [NAME]',
        'nutcracker.yml:12: a.servers[1]: "10.0.0.1:11211" cannot be read, allowed: HOST:PORT:WEIGHT [NAME]',
        "nutcracker.yml:13: a.servers[2]: 0 is out of bounds, allowed: 1 to 1000000",
        (
            'nutcracker.yml:14: a.servers[3]: "10.0.0.3:99999": the port is not one of 1 to 65535, allowed: HOST:PORT,'
            " 192.0.2.1:11211 or [2001:db8::1]:11211"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("a:\n\tlisten: b:1\n", "2: a tab, allowed: spaces"),
        ("a:\n  listen: {}\n", '2: "{}" is more than one value, allowed: one value, plain or in quotes'),
        ("a:\n  listen: *x\n", '2: "*x" is more than one value'),
        ("a:\n  listen: [a, b]\n", '2: "[a, b]" is more than one value'),
        ('a:\n  listen: "a\\n"\n', '2: ""a\\n"" is more than one value'),
        ("a:\n  listen: b: c\n", '2: "b: c" is more than one value'),
        ("a: b\n", '1: a: "b" stands beside a pool\'s name, allowed: nothing'),
        ("a:\na:\n", "2: a: a second pool of this name, allowed: each once"),
        ("  listen: b:1\na:\n", "1: listen: stands in no pool, allowed: below a pool's name"),
        ("a:\n  listen: b:1\n   hash: md5\n", "3: hash: 3 spaces before it, allowed: 2, as before the others"),
        ("a:\n  hash: md5\n  hash: md5\n", "3: hash: stands here twice (line 2), allowed: once"),
        ("a:\n  - b:1:1\n", "2: an item that stands in no list, allowed: below servers:"),
        ("a:\n  listen\n", '2: "listen" is no directive, allowed: key: value'),
        ("a:\n  listen:b\n", '2: "listen:b" is no directive, allowed: key: value'),
    ],
)
def test_what_is_not_of_its_kind(text: str, mistake: str) -> None:
    assert wrong(text)[0].startswith(f"nutcracker.yml:{mistake}")


def test_random_is_told_to_be_something_else() -> None:
    text = "a:\n  listen: a:1\n  distribution: random\n  servers:\n  - a:2:1\n"
    assert (
        parse(text, "nutcracker.yml").notes[-1].startswith("nutcracker.yml:3: a.distribution: random: keys have their")
    )
