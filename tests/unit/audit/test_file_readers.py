"""MariaDB, RabbitMQ, memcached, twemproxy: every word with its line, and nonsense is said to be unreadable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit_reading import document, lines
from quorate.audit.estate import Text, Unread
from quorate.audit.kinds import kind_of

BEGINNINGS = {
    "my.cnf": "[mysqld]\n",
    "rabbitmq.conf": "heartbeat = 60\n",
    "advanced.config": "[",
    "definitions.json": '{"users": [',
    "rabbitmq-env.conf": "",
    "setup.sh": "",
    "memcached.conf": "-d\n",
    "sysconfig/memcached": "PORT=1\n",
    "nutcracker.yml": "",
    ".erlang.cookie": "",
}
"""What makes each of them known for what it is."""


def unreadable(path: str, body: str) -> tuple[int, str]:
    came = document(path, body)
    assert isinstance(came, Unread), came
    return came.place.line, came.why


def test_option_files() -> None:
    body = (
        "# first\n[mysqld]\nskip-name-resolve\nloose-innodb_file-per-table = 1 # why\n"
        "sql_mode = 'A,B # no comment'\n; old\ninit_file=a\\sb\n!includedir /etc/mysql/conf.d/\n[mysqld-10.11]\n"
    )
    assert lines("etc/mysql/my.cnf", body) == [
        "0 ",
        "2 mysqld",
        "3   skip_name_resolve",
        "4   innodb_file_per_table|1",
        "5   sql_mode|A,B # no comment",
        "7   init_file|a b",
        "8   !includedir|/etc/mysql/conf.d/",
        "9 mysqld-10.11",
    ]
    assert unreadable("my.cnf", "[mysqld]\n[client\n")[0] == 2


def test_a_configuration_of_openssl_is_no_option_file() -> None:
    assert kind_of(Text("etc/ssl/openssl.cnf", "[ ca ]\ndefault_ca = CA_default\n")) is None


def test_tables_and_folders_of_cron() -> None:
    body = "MAILTO=root\n# fernet\n\n 0  3 * * 1\tkeystone fernet_rotate && x\n@daily y\n0 3 * *\n"
    assert lines("etc/cron.d/keystone", body) == ["4 0 3 * * 1|keystone fernet_rotate && x", "5 @daily|y"]
    assert lines("etc/cron.weekly/keys", "#!/bin/sh\nfernet\n") == ["0 @weekly|#!/bin/sh\nfernet\n"]
    assert kind_of(Text("etc/cron.d/popularity", "0 3 * * 1 root popularity\n")) is None


def test_rabbitmq_conf() -> None:
    body = "## a comment\nlisteners.tcp.1 = 10.0.0.1:5672\ndefault_pass = 'a # b'  # secret\n\nheartbeat=60 # s\n"
    assert lines("rabbitmq.conf", body) == [
        "2 listeners.tcp.1|10.0.0.1:5672",
        "3 default_pass|a # b",
        "5 heartbeat|60",
    ]
    long = "a.query = '''{for,\n  # no comment\n}'''\nheartbeat = 60\n"
    assert lines("rabbitmq.conf", long) == ["1 a.query|{for,\n# no comment\n}", "4 heartbeat|60"]
    assert unreadable("rabbitmq.conf", "heartbeat = 60\nlisteners.tcp.1\n")[0] == 2
    assert unreadable("rabbitmq.conf", "heartbeat = 60\na = '''b\n")[0] == 2


def test_what_systemd_keeps_for_rabbitmq_is_no_rabbitmq_conf() -> None:
    assert kind_of(Text("usr/lib/tmpfiles.d/rabbitmq.conf", "d /run/rabbitmq 0755 rabbitmq rabbitmq -\n")) is None


def test_erlang_terms() -> None:
    body = (
        "%% kept\n[\n {kernel, [{net_ticktime, 1_0}, {inet_dist_use_interface, {10,0,0,1}}]},\n"
        " {rabbit, [\n  {tcp_listen_options, [{nodelay, true}, {linger, {true, 0}},\n"
        "   {raw, 6, 18, <<10000:32/native>>}]}, % here as well\n"
        '  {default_user, <<"no\\"va">>}, {empty, []},\n'
        "  {cluster_nodes, {['rabbit@a', 'rabbit@b'], disc}}\n ]},\n {auth, #{<<\"key\">> => 1, b => [c]}}\n].\n"
    )
    assert lines("advanced.config", body) == [
        "3 kernel",
        "3   net_ticktime|1_0",
        "3   inet_dist_use_interface",
        "3     10|0|0|1",
        "4 rabbit",
        "5   tcp_listen_options",
        "5     nodelay|true",
        "5     linger",
        "5       true|0",
        "6     raw|6|18|<<10000:32/native>>",
        '7   default_user|no\\"va',
        "7   empty",
        "8   cluster_nodes",
        "8     |rabbit@a",
        "8     |rabbit@b",
        "8     |disc",
        "10 auth",
        "10   key|1",
        "10   b",
        "10     |c",
    ]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("[{a, 1}]\n", 1),
        ("[\n{a, 1},\n{b 2}\n].", 3),
        ("[\n\n{a, 1}\n", 1),
        ("[{a, #{b => 1}].", 1),
        ("[" * 300 + "]" * 300 + ".", 1),
        ("[{a, 'open}].", 1),
        ("}", 1),
    ],
)
def test_what_is_no_erlang_term(body: str, line: int) -> None:
    assert unreadable("advanced.config", body)[0] == line


def test_definitions() -> None:
    body = '{\n "users": [\n  {"name": "n\\u0061", "limits": {}, "n": -1.5e3}],\n "policies": []\n}\n'
    assert lines("definitions.json", body) == [
        "2 users",
        "3   ",
        "3     name|na",
        "3     limits",
        "3     n|-1.5e3",
        "4 policies",
    ]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ('{"users": [\n1 2]}', 2),
        ('{"users": []}\n}', 1),
        ('{"users":\n', 2),
        ('{"users": [' + "[" * 200, 1),
        ('{"users": "open', 1),
        ('{"users": [nul]}', 1),
        ('{"users": [{\n"a" 1}]}', 2),
    ],
)
def test_what_is_no_json(body: str, line: int) -> None:
    assert unreadable("definitions.json", body)[0] == line


def test_environments() -> None:
    body = '# x\nexport ERL_EPMD_ADDRESS=10.0.0.1\nARGS="+sbwt none \\\n  +S 2" # two\nulimit -n 1024\nA=\'open\n'
    assert lines("rabbitmq-env.conf", body) == [
        "2 ERL_EPMD_ADDRESS|10.0.0.1",
        "3 ARGS|+sbwt none    +S 2",
        "6 A|'open",
    ]


def test_scripts() -> None:
    body = 'cd / && rabbitmqctl set_policy \\\n  ha \'{"a": 1}\'; true # b\nif [ "$x" = \'open ]\n'
    assert lines("setup.sh", body) == [
        "1 cd|/",
        '1 rabbitmqctl|set_policy|ha|{"a": 1}',
        "1 true",
        '3 if|[|"$x"|=|\'open|]',
    ]


def test_command_lines_of_memcached() -> None:
    assert lines(
        "memcached.conf", "# -m 1\n-d\nlogfile /var/log/memcached.log\n-m64\n  -l 127.0.0.1 # here\n-vv\n"
    ) == [
        "2 -d",
        "4 -m|64",
        "5 -l|127.0.0.1",
        "6 -v",
        "6 -v",
    ]
    assert lines("sysconfig/memcached", 'PORT="11212"\nMAXCONN=1024\nOPTIONS="--listen=::1 -U 0"\n') == [
        "1 -p|11212",
        "2 -c|1024",
        "3 -l|::1",
        "3 -U|0",
    ]
    assert unreadable("memcached.conf", "-m 64\n-Q\n")[0] == 2


def test_pools() -> None:
    body = "a:\n  listen: 127.0.0.1:1 # here\n  auto_eject_hosts: true\n  servers:\n    - 10.0.0.1:11211:1 c1\n"
    assert lines("nutcracker.yml", body) == [
        "1 a",
        "2   listen|127.0.0.1:1",
        "3   auto_eject_hosts|true",
        "4   servers",
        "5     |10.0.0.1:11211:1 c1",
    ]


@pytest.mark.parametrize(
    "body",
    [
        "a:\n  listen: [\n",
        "- a\n",
        "a: &a\n  b: 1\nc: *a\n",
        "a: {b: {c: {d: {e: {f: {g: 1}}}}}}\n",
        "a: " + "[" * 5000,
        "a: 1\n" * 60000,
        "a: \x07\n",
    ],
)
def test_what_are_no_pools(body: str) -> None:
    unreadable("nutcracker.yml", body)


def test_of_a_cookie_only_the_hash_is_kept() -> None:
    kept = lines(".erlang.cookie", "MONSTER\n")
    assert len(kept) == 1
    assert "MONSTER" not in kept[0]
    assert kept == lines(".erlang.cookie", "MONSTER")
    assert kept != lines(".erlang.cookie", "MONSTEP")


@pytest.mark.parametrize("path", BEGINNINGS)
@given(body=st.text(alphabet=st.characters() | st.sampled_from("[]{}<>'\"=,.:|#%\\-\n aA1")))
def test_any_text_is_read_or_said_to_be_unreadable(path: str, body: str) -> None:
    came = document(path, BEGINNINGS[path] + body)
    count = (BEGINNINGS[path] + body).count("\n") + len((BEGINNINGS[path] + body).splitlines()) + 1
    places = [came.place] if isinstance(came, Unread) else [node.place for node in came.root.walk()]
    assert all(0 <= place.line <= count for place in places)
