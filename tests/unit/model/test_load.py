from __future__ import annotations

from typing import ClassVar, Literal

import pytest
from pydantic import Field

from quorate.errors import InvalidInput, Problem
from quorate.model.cloud import Cloud, Spec
from quorate.model.load import load


class Store(Spec):
    """A toy."""

    size_mb: int = Field(default=64, ge=1, description="Size.")
    mode: Literal["fast", "safe"] = Field(default="safe", description="Mode.")
    peers: tuple[str, ...] = Field(default=(), description="Names.")


class Extra(Spec):
    """Not everybody wants it."""

    optional: ClassVar[bool] = True
    size: int = Field(default=1, description="Size.")


SPECS: dict[str, type[Spec]] = {"store": Store, "queue": Spec}

GOOD = """\
cloud: example
networks: {management: 10.0.0.0/24}
vips: {api: 10.0.0.10}
controllers:
  controller1: 10.0.0.11
  controller2: 10.0.0.12
  controller3: 10.0.0.13
"""

TWELVE = """\
cloud: My Cloud
os: debian-11
networks:
  management: 10.0.0.5/24
  public: {subnet: 10.0.1.0/24, iface: eth1}
vips:
  api: 10.0.0.300
  web: {address: 10.0.2.9, network: public}
contollers: {}
controllers:
  controller1: 10.0.0.11
  controller2: 10.0.0.11
  controller3: {addresses: {management: 10.0.0.13, storage: 10.9.0.1}, fencing: {port: 0, address: 10.1.0.1}}
  controller4: {addresses: 10.0.0.14, fencing: {port: 443}}
systems:
  store: {size_mb: many}
  stroe: {}
"""


def problems_of(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InvalidInput) as caught:
        load(text, "cloud.yaml", SPECS)
    return caught.value.problems


def good(extra: str) -> Cloud:
    return load(GOOD + extra, "cloud.yaml", SPECS)


NO_MAJORITY = "have no majority once half of them are lost or cut off"


def test_every_mistake_is_reported_at_once_with_its_line() -> None:
    assert [(p.line, p.path, p.message) for p in problems_of(TWELVE)] == [
        (1, "cloud", "'My Cloud' has not the right form"),
        (2, "os", "'debian-11' is not known here"),
        (4, "networks.management", "'10.0.0.5/24' is an address inside a subnet, not a subnet"),
        (5, "networks.public.iface", "unknown key 'iface' (did you mean 'interface'?)"),
        (7, "vips.api", "'10.0.0.300' is not an IPv4 address"),
        (8, "vips.web.address", "10.0.2.9 lies outside public (10.0.1.0/24)"),
        (9, "contollers", "unknown key 'contollers' (did you mean 'controllers'?)"),
        (10, "controllers", f"4 controllers {NO_MAJORITY}: 2 of 4 votes are left, and it takes 3"),
        (12, "controllers.controller2", "10.0.0.11 is already controller1's address"),
        (13, "controllers.controller3.addresses.storage", "there is no network 'storage'"),
        (13, "controllers.controller3.fencing.port", "0 is too small"),
        (14, "controllers.controller4.fencing", "the key 'address' is missing"),
        (16, "systems.store.size_mb", "'many' is not a whole number"),
        (17, "systems.stroe", "unknown system 'stroe' (did you mean 'store'?)"),
    ]


def test_problems_say_what_is_allowed() -> None:
    allowed = {p.path: p.allowed for p in problems_of(TWELVE)}
    assert allowed["os"] == "debian-13 or debian-12"
    assert allowed["networks.management"] == "10.0.0.0/24"
    assert allowed["networks.public.iface"] == "subnet, interface, switches"
    assert allowed["vips.web.address"] == "10.0.1.1 to 10.0.1.254"
    assert allowed["controllers.controller3.fencing.port"] == "at least 1"
    assert allowed["systems.stroe"] == "queue, store"
    assert "an 'arbiter'" in allowed["controllers"]


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("", 1, "", "the file is empty"),
        ("# nothing\n", 1, "", "the file is empty"),
        ("- a\n", 1, "", "a list is not a mapping of keys and values"),
        ("a: [1\nb: 2", 2, "", "is not valid YAML: while parsing a flow sequence, expected ',' or ']', but got ':'"),
        ("a:\n\t- b", 2, "", "is not valid YAML: while scanning for the next token, found character '\\t' that "),
        ("a: 1\nb: \x01", 2, "", "is not valid YAML: a character that text must not contain"),
        ("a: 1\n---\nb: 2", 2, "", "is not valid YAML: expected a single document in the stream"),
        ("[" * 1000, 0, "", "is nested too deeply"),
        ('a: "\\UFFFFFFFF"', 0, "", "is not valid YAML"),
        ("a: &a\n  b: *a", 1, "", "an alias stands inside what it stands for"),
        ("[" * 60 + "]" * 60, 1, "", "is nested too deeply"),
        ("x" * (1024 * 1024 + 1), 0, "", "has 1048577 characters, a cloud needs a few thousand"),
    ],
)
def test_files_that_are_no_mapping(text: str, line: int, path: str, message: str) -> None:
    (problem,) = problems_of(text)
    assert (problem.line, problem.path) == (line, path)
    assert problem.message.startswith(message)


def test_anchors_that_multiply_are_stopped() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    (problem,) = problems_of(bomb)
    assert problem.message == "holds too much, counting what aliases repeat"


@pytest.mark.parametrize(
    ("extra", "line", "path", "message"),
    [
        ("os: debian-13\nos: debian-12\n", 9, "os", "stands twice, the first time in line 8"),
        ("os: !!python/name:os.system debian-13\n", 8, "", "the tag 'tag:yaml.org,2002:python/name:os.system'"),
        ("? [a]\n: 1\n", 8, "", "a key must be a word"),
        ("<<: 5\n", 8, "", "'<<' takes an alias of a mapping"),
        ("ssh: {port: true}\n", 8, "ssh.port", "true is not a number"),
        ("ssh: {port: 22.5}\n", 8, "ssh.port", "22.5 is not a whole number"),
        ("ssh: {sudo: maybe}\n", 8, "ssh.sudo", "'maybe' is not true or false"),
        ("ssh: {user: 5}\n", 8, "ssh.user", "5 is not text"),
        ("ssh:\n", 8, "ssh", "nothing is not a mapping"),
        ("objectives: {cache: 0}\n", 8, "objectives.cache", "0 is too small"),
        ("objectives: {cache: .inf}\n", 8, "objectives.cache", "inf is not a finite number"),
        ("arbiter: 167772161\n", 8, "arbiter", "167772161 is not a mapping"),
        ("arbiter: {address: 1.5}\n", 8, "arbiter.address", "1.5 is not an IPv4 address"),
        ("systems: [store]\n", 8, "systems", "a list is not a mapping"),
        ("systems:\n  store:\n    mode: slow\n", 10, "systems.store.mode", "'slow' is not known here"),
        ("systems:\n  store: {peers: a}\n", 9, "systems.store.peers", "'a' is not a list"),
        ("fencing: {port: 0}\n", 8, "fencing.port", "0 is too small"),
    ],
)
def test_single_mistakes(extra: str, line: int, path: str, message: str) -> None:
    found = problems_of(GOOD + extra)
    assert any(one.line == line and one.message.startswith(message) and (not path or one.path == path) for one in found)
    assert len(found) <= 1 + ("arbiter" in extra)


@pytest.mark.parametrize(("port", "times"), [("0", 1), ("8443", 0)])
def test_a_mistake_in_what_all_bmcs_share_is_one_mistake(port: str, times: int) -> None:
    text = GOOD.replace(": 10.0.0.11", ": {addresses: 10.0.0.11, fencing: 10.1.0.11}")
    text = text.replace(": 10.0.0.12", ": {addresses: 10.0.0.12, fencing: {address: 10.1.0.12, port: 1}}")
    text += f"fencing: {{port: {port}, username: quorate}}\n"
    if times:
        assert [p.path for p in problems_of(text)] == ["fencing.port"]
        return
    cloud = load(text, "cloud.yaml", SPECS)
    first, second, third = (controller.fencing for controller in cloud.controllers.values())
    assert first is not None
    assert second is not None
    assert third is None
    assert (first.port, first.username, second.port, second.username) == (8443, "quorate", 1, "quorate")


def test_short_forms_mean_the_long_ones() -> None:
    long = """\
cloud: example
networks: {management: {subnet: 10.0.0.0/24}}
vips: {api: {address: 10.0.0.10, network: management}}
controllers:
  controller1: {addresses: {management: 10.0.0.11}}
  controller2: {addresses: 10.0.0.12}
  controller3: {addresses: {management: 10.0.0.13}, fencing: null}
"""
    assert load(long, "x", SPECS) == good("")


def test_systems_get_their_defaults() -> None:
    cloud = good("systems: {queue: {enabled: false}, store: }\n")
    assert cloud.systems == {"store": Store(), "queue": Spec(enabled=False)}
    assert good("").systems == {"store": Store(), "queue": Spec()}


@pytest.mark.parametrize(
    ("text", "enabled"), [("", False), ("x:", True), ("x: {size: 2}", True), ("x: {enabled: false}", False)]
)
def test_an_optional_system_is_part_of_the_cloud_where_the_file_names_it(text: str, enabled: bool) -> None:
    cloud = load(f"{GOOD}systems: {{{text} }}\n", "cloud.yaml", {"x": Extra})
    assert cloud.systems["x"].enabled is enabled


def test_anchors_and_merge_keys() -> None:
    text = GOOD.replace(
        "controller1: 10.0.0.11", "controller1: {addresses: 10.0.0.11, fencing: &f {address: 10.1.0.1}}"
    )
    text = text.replace(
        "controller2: 10.0.0.12", "controller2: {addresses: 10.0.0.12, fencing: {<<: *f, address: 10.1.0.2, port: 9}}"
    )
    fencing = load(text, "x", SPECS).controllers["controller2"].fencing
    assert fencing is not None
    assert (str(fencing.address), fencing.port) == ("10.1.0.2", 9)


def test_names_that_could_steer_a_terminal_are_quoted() -> None:
    (problem,) = problems_of(GOOD + '"\\e[31m\\ud800": 1\n')
    assert "\x1b" not in str(problem)
    str(problem).encode("utf-8")
