"""oslo.config's grammar, held against oslo.config itself: what it reads is read, what it refuses is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg, iniparser

from quorate.audit.configs import configs
from quorate.audit.estate import Document, Text, Unread
from quorate.audit.judge import estate_of
from quorate.audit.kinds import Kind, kind_of, read
from quorate.audit.readers import ini

OSLO = Kind("nova", ("nova.conf",), ini.oslo)


def parsed(body: str) -> Document | Unread:
    return read(Text("nova.conf", body), OSLO)


def options(body: str) -> dict[str, dict[str, str]]:
    document = parsed(body)
    assert isinstance(document, Document)
    return {section.name: {one.name: one.value for one in section.inside} for section in document.root.inside}


def test_sections_and_options_have_their_places() -> None:
    document = parsed("# first\n[DEFAULT]\ndebug = true\n\n[vnc]\nenabled: false\n")
    assert isinstance(document, Document)
    found = [(node.name, node.place.line) for node in document.root.walk()]
    assert found == [("", 0), ("DEFAULT", 2), ("debug", 3), ("vnc", 5), ("enabled", 6)]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("name=value", "value"),
        ("name : value", "value"),
        ("name = a=b:c", "a=b:c"),
        ("name = 'quoted'", "quoted"),
        ('name = "quoted"', "quoted"),
        ("name = \"mixed'", "\"mixed'"),
        ("name =", ""),
        ("name = value # not a comment", "value # not a comment"),
        ("name = one\n  two\n\tthree", "one\ntwo\nthree"),
        ("name =\n  two", "two"),
        ("name = one\n  # not a comment", "one\n# not a comment"),
    ],
)
def test_a_value_is_read_as_oslo_config_reads_it(line: str, value: str, tmp_path: Path) -> None:
    body = f"[DEFAULT]\n{line}\nother = 1\n"
    assert options(body)["DEFAULT"] == {"name": value, "other": "1"}
    (tmp_path / "nova.conf").write_text(body, encoding="utf-8")
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(tmp_path / "nova.conf")])
    conf.register_opt(cfg.StrOpt("name"))
    assert str(conf.name or "").strip() == value


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("[DEFAULT]\nno assignment\n", 2),
        ("[DEFAULT\ndebug = true\n", 1),
        ("[DEFAULT] # a comment\ndebug = true\n", 1),
        ("[]\n", 1),
        ("[DEFAULT]\n= value\n", 2),
        ("[DEFAULT]\ndebug = true\n\n  continued = true\n", 4),
        ("[DEFAULT]\n# comment\n  continued\n", 3),
    ],
)
def test_what_oslo_config_refuses_is_not_read(body: str, line: int) -> None:
    found = parsed(body)
    assert isinstance(found, Unread)
    assert found.place.line == line
    with pytest.raises(iniparser.ParseError):
        Quiet().parse(body.splitlines(keepends=True))


def test_no_more_than_a_name_is_said_of_what_could_not_be_read() -> None:
    found = parsed("[DEFAULT]\npassword s3cret\n")
    assert isinstance(found, Unread)
    assert "s3cret" not in found.why


class Quiet(iniparser.BaseParser):
    """oslo.config's own parser, which keeps what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def assignment(self, key: str, value: list[str]) -> None:
        self.found.append((key, "\n".join(value).strip("\n")))

    def new_section(self, section: str) -> None:
        self.found.append(("[", section))


LINES = st.sampled_from(
    (
        "[DEFAULT]", "[a b]", "[", "[]", "[x] ", "name = 1", "na-me: '2'", "  more", "\tmore = 3", "", "   ", "# c",
        " # c", "; c", "=", ":", "x", "a = ", "b==", "c = [x]", "\ufeffd = 1", "e = \"'", "f = '", "g='",
    )
)  # fmt: skip


@given(st.lists(LINES, max_size=12))
def test_any_text_is_read_or_refused_as_oslo_config_does_it(lines: list[str]) -> None:
    body = "".join(f"{line}\n" for line in lines)
    own = parsed(body)
    theirs = Quiet()
    try:
        theirs.parse(body.removeprefix("\ufeff").splitlines(keepends=True))
    except iniparser.ParseError:
        assert isinstance(own, Unread)
        return
    assert isinstance(own, Document)
    flat: list[tuple[str, str]] = []
    for section in own.root.inside:
        flat += [("[", section.name)] if section.place.line else []
        flat += [(one.name, one.value) for one in section.inside]
    assert flat == theirs.found


@given(st.text(max_size=400))
def test_no_text_makes_a_traceback(body: str) -> None:
    for name in ("nova.conf", "api-paste.ini", "l3_agent.ini", "local_settings.py", "x.service"):
        text = Text(name, body)
        kind = kind_of(text)
        if kind:
            read(text, kind)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("controller1/etc/nova/nova.conf", "nova"),
        ("etc/nova/nova.conf.d/100-custom.conf", "nova"),
        ("etc/kolla/nova-api/nova.conf", "nova"),
        ("etc/glance/glance-api.conf", "glance"),
        ("etc/neutron/plugins/ml2/ml2_conf.ini", "neutron"),
        ("etc/neutron/l3_agent.ini", "neutron-agent"),
        ("etc/octavia/octavia.conf", "octavia"),
    ],
)
def test_files_are_known_by_their_names(path: str, kind: str) -> None:
    found = kind_of(Text(path, "[DEFAULT]\ndebug = true\n"))
    assert found
    assert found.name == kind


def test_drop_ins_and_plugins_belong_to_the_service_and_containers_to_none_but_themselves() -> None:
    texts = [
        Text("etc/neutron/neutron.conf", "[DEFAULT]\ndebug = true\n", "c1"),
        Text("etc/neutron/neutron.conf.d/9.conf", "[DEFAULT]\ndebug = false\n", "c1"),
        Text("etc/neutron/plugins/ml2/ml2_conf.ini", "[ml2]\nmechanism_drivers = ovn\n", "c1"),
        Text("etc/kolla/neutron-server/neutron.conf", "[DEFAULT]\ndebug = true\n", "c1"),
    ]
    first, second = sorted(configs(estate_of(texts, {}), "neutron"), key=lambda one: one.value("DEFAULT", "debug"))
    assert first.value("ml2", "mechanism_drivers") == "ovn"
    assert first.value("DEFAULT", "debug") == "false"
    assert second.value("DEFAULT", "debug") == "true"


def test_sections_are_compared_as_oslo_config_compares_them() -> None:
    (one,) = configs(estate_of([Text("nova.conf", "[Vnc]\nenabled = x\n[default]\ndebug = true\n")], {}), "nova")
    assert one.value("vnc", "enabled") == "x"
    assert re.fullmatch("", one.value("DEFAULT", "debug"))
