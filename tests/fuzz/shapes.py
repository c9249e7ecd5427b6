"""What inputs look like: strategies by which hypothesis makes every target's bytes, and seeds for the guided fuzzer."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from quorate.balancer.handover import ClientState, State
from quorate.balancer.registers import Register
from real.protocol_cases import CLASSIC, META, OTHER, STORAGE

Bytes = st.SearchStrategy[bytes]
ROOT = Path(__file__).parents[2]


def as_said(case: bytes) -> bytes:
    """Return a case as a client says it: its line, and the block that stands behind the bar."""
    line, bar, value = case.partition(b"|")
    return line + b"\r\n" + (value + b"\r\n" if bar else b"")


CASES = [as_said(case) for case in (*STORAGE, *CLASSIC, *META, *OTHER)]
KEYS = (b"a", b"b", b"bystander", b"t\tab", b"\xff", b"k" * 250, b"k" * 251, b"a\0b", b"", b"noreply", b"Zm9v", b"a\r")
NUMBERS = (b"0", b"1", b"3", b"1024", b"1025", b"-1", b"+1", b"x", b"4294967296", b"9" * 20, b"9" * 5000, b"1_0")
ENDS = (b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"", b" \r\n", b"\0\r\n")


# ---- clients

keys, numbers, ends = st.sampled_from(KEYS), st.sampled_from(NUMBERS), st.sampled_from(ENDS)
_quiet = st.sampled_from((b"", b" noreply", b" q", b" 7", b" noreply noreply"))
_stores = st.builds(
    lambda verb, key, flags, life, size, quiet, block, end: b"".join(
        (verb, b" ", key, b" ", flags, b" ", life, b" ", b"%d" % max(0, len(block) + size), quiet, b"\r\n", block, end)
    ),
    st.sampled_from((b"set", b"add", b"append", b"replace", b"cas")),
    keys,
    numbers,
    numbers,
    st.sampled_from((0, 0, 0, 0, 1, -1, 2000)),
    _quiet,
    st.sampled_from((b"", b"abc", b"get a\r\n", b"x" * 1024, b"x" * 1025)),
    ends,
)
_flags = st.lists(
    st.sampled_from([b"v", b"k", b"b", b"q", b"c", b"t", b"N5", b"T9", b"C7", b"MA", b"I", b"S", b"Oxy", b"!"])
)
_metas = st.builds(
    lambda verb, key, flags, end: verb + b" " + key + b"".join(b" " + flag for flag in flags) + end,
    st.sampled_from((b"mg", b"md", b"ma", b"me", b"mn")),
    keys,
    _flags,
    ends,
)
_meta_sets = st.builds(
    lambda key, flags, block, more: b"ms %b %d%b\r\n%b\r\n" % (key, len(block) + more, b" ".join([b"", *flags]), block),
    keys,
    _flags,
    st.sampled_from((b"", b"abc", b"x" * 1025)),
    st.sampled_from((0, 0, 0, 1)),
)
_reads = st.builds(
    lambda verb, several, end: verb + b" " + b" ".join(several) + end,
    st.sampled_from((b"get", b"gets", b"gat 9", b"gats 9", b"bget", b"delete", b"get ", b"stats", b"touch")),
    st.lists(keys, max_size=20),
    ends,
)
_long = st.builds(
    lambda word, size, end: word + b"x" * size + end,
    st.sampled_from((b"", b"get ", b"stats ", b"mg a T9\t", b"mg a v P", b"lru_crawler ", b"set a 0 0 1 ")),
    st.sampled_from((2000, 2048, 3000, 65530, 65536, 65537, 70000)),
    ends,
)
_binary = st.sampled_from((b"\x80" + bytes(23), b"\x80\x01", bytes(24)))
_commands = st.one_of(
    st.sampled_from(CASES), _stores, _stores, _metas, _meta_sets, _reads, _reads, st.binary(max_size=20), _long, _binary
)


def edited(data: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """Put other bytes in the place of some."""
    for at, size, more in edits:
        start = at % (len(data) + 1)
        data = data[:start] + more + data[start + size :]
    return data


_edits = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3), st.binary(max_size=3)), max_size=3)
CLIENT: Bytes = st.builds(
    lambda seed, parts, edits: seed + edited(b"".join(parts), edits),
    st.binary(min_size=4, max_size=4),
    st.lists(_commands, max_size=12),
    st.just([]) | _edits,
)
SERVER: Bytes = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 101)).map(bytes)
    | st.tuples(st.integers(5, 9), st.integers(0, 2), st.integers(0, 255)).map(bytes)
    | st.tuples(st.just(10), st.integers(0, 2), st.just(0) | st.integers(0, 255), st.just(1), st.integers(0, 40)).map(
        bytes
    )
    | st.binary(min_size=1, max_size=5),
    max_size=80,
).map(b"".join)


# ---- files

_TOML_KEYS = """listen name balancers copies workers servers ring kind hash hash_tag weighted timing probe suspect hedge
deadline lease settle dead fill rise limits connections value missed output metrics tls ca cert key verify auth user
password_file address near weight servers.name x"""
_TOML_VALUES = r"""1 0 -1 2 100 1e999 nan inf true false "a" "" "127.0.0.1:1" "[::1]:2" "x:70000" [] ["a","b"] [[1]] {}
{a=1} 1979-05-27 99999999999999999999 "ketama" "modula" "{}" 'a\b' "a\nb" "\u0000" "{{}}" 0x1F 1_000 "..:1" """
_YAML_KEYS = "listen hash hash_tag distribution client_connections timeout redis preconnect servers x"
_toml_keys, _toml_values, _yaml_keys = (
    st.sampled_from(words.split()) for words in (_TOML_KEYS, _TOML_VALUES, _YAML_KEYS)
)
_toml_lines = st.one_of(
    st.builds("{} = {}".format, _toml_keys, _toml_values),
    st.builds("{}.{} = {}".format, _toml_keys, _toml_keys, _toml_values),
    st.sampled_from(
        ("[[servers]]", "[ring]", "[timing]", "[limits]", "[metrics]", "[tls]", "[auth]", "[x]", "[[ring]]")
    ),
    st.sampled_from(('name = "a"', '[[servers]]\naddress = "127.0.0.1:11211"', "#", "[", '"', "\t=")),
    st.text(max_size=10),
)
_yaml_lines = st.one_of(
    st.builds(
        " {}: {}".format,
        _yaml_keys,
        st.sampled_from(
            ("127.0.0.1:1", "0", "x", "true", "ketama", "'a'", '"', "/run/s", "99999999999", "", "#", "{}")
        ),
    ),
    st.sampled_from(
        ("a:", " servers:", " - 127.0.0.1:1:1", " - 127.0.0.1:2:1 b", " - ::1:3:1", "-", "---", "\t", "a: 1")
    ),
    st.text(max_size=10),
)


def _file(lines: list[str]) -> bytes:
    return "\n".join(lines).encode("utf-8", "surrogatepass")


CONFIG: Bytes = st.one_of(
    st.lists(_toml_lines, max_size=20).map(lambda lines: b"\0" + _file(lines)),
    st.lists(_yaml_lines, max_size=20).map(lambda lines: b"\xff" + _file(lines)),
)
_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_b64 = st.sampled_from(("", "YQ==", "Y", "\u00e9", "YWJj"))
_clients = st.dictionaries(
    st.sampled_from(("1", "x", "-1", "9" * 30)), st.tuples(_b64, _b64, st.integers(-9, 9)) | _json
)
_debts = st.dictionaries(st.text(max_size=3), st.none() | st.lists(_b64, max_size=3) | _json, max_size=3)
HANDOVER: Bytes = st.one_of(
    st.fixed_dictionaries(
        {
            "clients": _clients | _json,
            "debts": _debts | _json,
            "life": st.text(max_size=3) | _json,
            "seq": st.integers() | _json,
            "filling": st.lists(st.text(max_size=3) | _json, max_size=3) | _json,
        }
    ).map(lambda whole: json.dumps(whole).encode()),
    _json.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=50),
)
_words = st.sampled_from(
    ("1", "me", "7", "...", "ddd", "wf.", "d", "-", "a:1", "a:1,b:2", "a:x", "\u00b2", "", "9" * 25, "9" * 5000)
)
REGISTER: Bytes = st.builds(
    lambda servers, words: bytes([servers]) + " ".join(words).encode(),
    st.integers(0, 255),
    st.lists(_words, max_size=7),
) | st.builds(
    lambda seq, marks, taken: f"\x031 me {seq} r {marks} {taken}".encode(),
    st.sampled_from(("7", "0", "x", "-1", "\u00b2", "9" * 20, "9" * 21, "9" * 5000)),
    st.sampled_from(("...", "dwf", "..", "x..")),
    st.sampled_from(("-", "a:1", "a:1,b:2", "a:x", "a", "", ",", "a:" + "9" * 5000)),
)


# ---- seeds


def client_seeds() -> list[bytes]:
    """One case each, and dozens together, cut in two ways."""
    joined = [b"".join(CASES[at : at + 12]) for at in range(0, len(CASES), 12)]
    return [b"abcd" + case for case in CASES] + [b"\0bcd" + several for several in joined]


def server_seeds() -> list[bytes]:
    """Scripts that were diced."""
    dice = random.Random(1)
    return [dice.randbytes(20 + 10 * number) for number in range(30)]


def config_seeds() -> list[bytes]:
    """The files of the test cases."""
    folder = ROOT / "src/quorate/systems/cache/cases/files"
    files = sorted(path for path in folder.iterdir() if path.suffix in {".toml", ".yml"})
    return [(b"\0" if path.suffix == ".toml" else b"\xff") + path.read_bytes() for path in files]


def handover_seeds() -> list[bytes]:
    """What a process leaves."""
    clients = {7: ClientState(b"get a", b"END\r\n", 3), 8: ClientState()}
    full = State(clients, {"s0": [b"md a\r\n"], "s1": None}, "life", 9, ("s2",))
    return [State().encode(), full.encode()]


def register_seeds() -> list[bytes]:
    """What balancers write."""
    return [b"\3" + Register("me", 7, "0badcafe", "d.f", {"b": 3}).encode(), b"\1" + Register("x", 0, "", ".").encode()]
