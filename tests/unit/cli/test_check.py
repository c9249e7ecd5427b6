from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import NoReturn

import pytest
from click.testing import CliRunner

from quorate.cli.main import quorate

MINIMAL = Path(__file__).parents[3] / "examples" / "minimal.yaml"

BAD = """\
cloud: My Cloud
os: debian-11
networks:
  management: 10.0.0.0/24
  storage: 10.0.0.128/25
vips:
  api: 10.0.1.10
  web: 10.0.0.256
controllers:
  controller1: {addresses: 10.0.0.11, fencing: {address: 10.1.0.11, port: 70000}}
  controller2: {addresses: 10.0.0.11, fencing: {username: quorate}}
  controller3: {addresses: {management: 10.0.0.13, backup: 10.9.0.13}}
objectives: {cache: -1, database_writes: 3}
systems:
  galeria: {}
"""


@pytest.fixture(autouse=True)
def _no_host_is_contacted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("check opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def test_a_valid_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL)])
    assert result.exit_code == 0
    assert "example is valid: 3 controllers" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_warnings_have_reasons_and_exit_code_0(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text(MINIMAL.read_text(encoding="utf-8").replace(", fencing: 10.1.0.11", ""), encoding="utf-8")
    result = CliRunner().invoke(quorate, ["check", "-c", str(path), "--output", "json"])
    data = json.loads(result.stdout)
    assert (result.exit_code, data["valid"], data["problems"]) == (0, True, [])
    assert {"path": "controllers.controller1", "reason": data["warnings"][0]["reason"]} in data["warnings"]
    text = CliRunner().invoke(quorate, ["check", "-c", str(path)]).stdout
    assert "warning: controllers.controller1: no fencing" in text


def test_what_is_lost_with_what() -> None:
    said = CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL)])
    assert "\nno single point of failure among 37 parts\nnot counted: the switches of management; is " in said.stdout
    assert "\n105 pairs of parts, lost at once, stop something" in said.stdout
    said = CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL), "--losses", "2"])
    told = "galera stops, and 1 more that need them: nobody can write a row, read a row, issue a token, and 1 more such"
    assert f"\ncontroller1 + mariadb on controller2: {told} things\n" in said.stdout
    said = CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL), "--losses", "2", "--output", "json"])
    assert {
        "lost": ["mariadb on controller1", "mariadb on controller3"],
        "stopped": ["galera", "keystone"],
        "denied": ["write a row", "read a row", "issue a token", "validate a token"],
    } in json.loads(said.stdout)["losses"]


def test_programs_get_the_minimal_cut_sets_of_each_function() -> None:
    said = CliRunner().invoke(quorate, ["check", str(MINIMAL), "--output", "json"])
    found = json.loads(said.stdout)["cut_sets"]
    assert {tuple(one) for one in found} == {("order", "function", "parts", "kind")}
    assert {one["order"] for one in found} == {2, 3}
    assert {one["function"] for one in found} >= {"issue_token", "validate_token", "write_row", "read_row"}
    two = {"order": 2, "function": "write_row", "parts": ["controller1", "controller2"], "kind": "outage"}
    disks = ["disk of controller1", "disk of controller2", "disk of controller3"]
    assert two in found
    assert {"order": 3, "function": "write_row", "parts": disks, "kind": "loss"} in found
    said = CliRunner().invoke(quorate, ["check", str(MINIMAL), "--losses", "1", "--output", "json"])
    assert json.loads(said.stdout)["cut_sets"] == []


def test_only_one_file_is_checked() -> None:
    assert CliRunner().invoke(quorate, ["check", str(MINIMAL), "-c", str(MINIMAL)]).exit_code == 2


def test_one_controller_is_a_single_point_of_failure_and_what_to_do_is_said(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    kept = [
        line for line in MINIMAL.read_text(encoding="utf-8").splitlines() if not re.match("  controller[23]:", line)
    ]
    path.write_text("\n".join(kept), encoding="utf-8")
    said = CliRunner().invoke(quorate, ["check", "-c", str(path)])
    assert said.exit_code == 0
    assert "single point of failure: controller1: corosync, " in said.stdout
    assert "; three controllers, or five, survive the loss of one" in said.stdout


def test_a_loss_that_is_asked_about() -> None:
    asked = ["check", "-c", str(MINIMAL), "--what-if"]
    said = CliRunner().invoke(quorate, [*asked, "controller1"])
    assert said.stdout == "controller1: everything works\n"
    said = CliRunner().invoke(quorate, [*asked, "controller2, BMC of controller2", "--output", "json"])
    assert json.loads(said.stdout)["stopped"] == ["pacemaker", "keystone"]
    said = CliRunner().invoke(quorate, [*asked, "contoller1"])
    assert said.exit_code == 2
    assert "no such part: contoller1" in said.stderr
    assert "Perhaps controller1? " in said.stderr


def test_a_rack_that_holds_a_majority_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    domains = "failure_domains:\n  rack-a: [controller1, controller2]\n  rack-b: [controller3]\n"
    path.write_text(MINIMAL.read_text(encoding="utf-8") + domains, encoding="utf-8")
    said = CliRunner().invoke(quorate, ["check", "-c", str(path)])
    assert "single point of failure: rack-a: corosync, galera, cache stop, and 2 more that need them: " in said.stdout
    assert "nobody can write a row, read a row, use the cache, and 3 more such things; no fail" in said.stdout


def test_disks_that_are_lost_take_what_is_kept_along() -> None:
    lost = ", ".join(f"disk of controller{number}" for number in (1, 2, 3))
    said = CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL), "--what-if", lost])
    assert "  works: nothing\n  nobody can: write a row, read a row, " in said.stdout
    assert "\n  may be lost for ever: committed rows (galera)\n" in said.stdout


def test_a_failure_domain_of_nobody_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    domains = "failure_domains:\n  rack-a: [controller1, contoller2]\n"
    path.write_text(MINIMAL.read_text(encoding="utf-8") + domains, encoding="utf-8")
    said = CliRunner().invoke(quorate, ["check", "-c", str(path)])
    assert said.exit_code == 2
    assert "no such controller: 'contoller2' (is 'controller2' a slip of the pen?)" in said.stderr


def test_a_pair_that_nobody_fences_is_told_to_be_fenced(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text(
        "cloud: pair\n"
        "networks: {management: 10.0.0.0/24, public: {subnet: 10.0.8.0/24, interface: eth1, switches: [left, right]}}\n"
        "vips: {api: 10.0.0.10, public: {address: 10.0.8.10, network: public}}\n"
        "controllers:\n"
        "  controller1: {addresses: {management: 10.0.0.11, public: 10.0.8.11}}\n"
        "  controller2: {addresses: {management: 10.0.0.12, public: 10.0.8.12}}\n"
        "arbiter: 10.2.0.9\n",
        encoding="utf-8",
    )
    said = CliRunner().invoke(quorate, ["check", "-c", str(path)])
    assert said.exit_code == 0
    assert (
        "\nsingle point of failure: eth0 of controller1: nobody can reach the VIP public; two that do not hear each "
        "other both hold a VIP: fencing leaves one of them\n"
    ) in said.stdout


def test_one_switch_is_a_single_point_of_failure_and_two_are_none(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    text = MINIMAL.read_text(encoding="utf-8")

    def checked(switches: str) -> str:
        network = f"management: {{subnet: 10.0.0.0/24, switches: [{switches}]}}"
        path.write_text(text.replace("management: 10.0.0.0/24", network), encoding="utf-8")
        said = CliRunner().invoke(quorate, ["check", "-c", str(path)])
        return said.stdout + said.stderr

    one = checked("switch-a")
    assert "single point of failure: switch-a: corosync, galera, haproxy, memcached stop, and 3 more" in one
    assert "; with ports at a second switch, a bond over both survives the loss of either\n" in one
    assert "not counted" not in one
    assert "no single point of failure among 42 parts\n" in checked("switch-a, switch-b")
    assert "networks.management.switches.0: 'galera' is already the name of a system" in checked("galera, switch-b")


def test_a_year_is_foretold_and_what_would_help_most() -> None:
    said = CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL)])
    assert "\nwrite a row " in said.stdout
    assert "\ncommitted rows (galera) lost for ever: once in more than a million years\n" in said.stdout
    data = json.loads(CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL), "--output", "json"]).stdout)
    rows = {row["function"]: row for row in data["expected"]}
    assert rows["database_write"]["does"] == "write a row"
    assert rows["database_write"]["exact"]
    assert rows["database_write"]["hours"] == rows["database_write"]["outages"] + rows["database_write"]["pauses"]
    assert 4 < rows["token_issue"]["nines"] < 7
    assert rows["token_issue"]["because"][0]["group"] == "BMCs"


def test_rates_of_your_own_are_used_and_those_of_strangers_refused(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    rates = "failure_rates:\n  bmc: {mttf_hours: 1e9, mttr_hours: 1}\n  parts:\n    "
    often = "{mttf_hours: 100, mttr_hours: 10}\n"
    path.write_text(MINIMAL.read_text(encoding="utf-8") + rates + f"mariadb on controller2: {often}", encoding="utf-8")
    data = json.loads(CliRunner().invoke(quorate, ["check", "-c", str(path), "--output", "json"]).stdout)
    because = {row["function"]: [share["group"] for share in row["because"]] for row in data["expected"]}
    assert because["database_write"][0] == "mariadb.service"
    assert "BMCs" not in because["token_validation"]
    path.write_text(MINIMAL.read_text(encoding="utf-8") + rates + f"mariadb at controller2: {often}", encoding="utf-8")
    said = CliRunner().invoke(quorate, ["check", "-c", str(path)])
    assert said.exit_code == 2
    line = len(path.read_text().splitlines())
    assert f"cloud.yaml:{line}: failure_rates.parts.'mariadb at controller2': no such part: " in said.stderr
    assert "(did you mean 'mariadb on controller2'?)" in said.stderr


def test_takeovers_may_be_those_that_drills_measured() -> None:
    campaign = MINIMAL.parents[1] / "docs" / "drills" / "2026-11-29-all.json"

    def waits(*more: str) -> float:
        said = CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL), "--output", "json", *more])
        rows = {row["function"]: row["pauses"] for row in json.loads(said.stdout)["expected"]}
        return float(rows["token_issue"])

    assert 0 < waits("--measured", str(campaign)) < waits()
    said = CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL), "--measured", str(MINIMAL)])
    assert (said.exit_code, f"{MINIMAL} is no campaign of drills" in said.stderr) == (2, True)


def test_a_picture_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "cloud.svg"
    said = CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL), "--picture", str(path)])
    assert (said.exit_code, f"wrote {path}" in said.stderr) == (0, True)
    drawn = path.read_text(encoding="utf-8")
    assert drawn.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert ">no single point of failure, not counting the switches of management<" in drawn
    said = CliRunner().invoke(quorate, ["check", "-c", str(MINIMAL), "--picture", str(tmp_path / "no" / "cloud.svg")])
    assert (said.exit_code, "cannot be written: No such file" in said.stderr) == (2, True)


def test_a_dozen_mistakes_are_a_dozen_messages(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text(BAD, encoding="utf-8")
    result = CliRunner().invoke(quorate, ["check", "-c", str(path)])
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = [line.strip() for line in result.stderr.splitlines() if line.startswith("  ")]
    assert [int(line.removeprefix(f"{path}:").partition(":")[0]) for line in lines] == [
        *(1, 2, 5, 7, 8, 10, 11, 11, 12, 13, 13, 15),
    ]
    data = json.loads(CliRunner().invoke(quorate, ["check", "-c", str(path), "--output=json"]).stdout)
    assert len(data["problems"]) == 12
    assert not data["valid"]
    assert {"file", "line", "path", "message", "allowed"} == set(data["problems"][0])


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"", b"a: ["])
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cloud.yaml"
    if content is not None:
        path.write_bytes(content)
    result = CliRunner().invoke(quorate, ["check", "-c", str(path)])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")


def test_missing_secrets_are_warned_about_where_there_are_any(tmp_path: Path) -> None:
    path = tmp_path / "cloud.yaml"
    path.write_text(MINIMAL.read_text(encoding="utf-8"), encoding="utf-8")
    secrets = tmp_path / "secrets.yaml"
    secrets.touch(mode=0o600)
    result = CliRunner().invoke(quorate, ["check", "-c", str(path)])
    assert "is missing in" in result.stdout
    secrets.chmod(0o640)
    result = CliRunner().invoke(quorate, ["check", "-c", str(path)])
    assert (result.exit_code, f"hint: chmod 600 {secrets}" in result.stderr) == (2, True)


def test_the_schema_is_printed_without_a_cloud() -> None:
    result = CliRunner().invoke(quorate, ["check", "--schema"])
    assert result.exit_code == 0
    assert "controllers" in json.loads(result.stdout)["properties"]


def test_what_a_system_needs_and_nobody_offers_is_a_mistake(tmp_path: Path) -> None:
    cloud = tmp_path / "cloud.yaml"
    cloud.write_text(
        MINIMAL.read_text().rstrip() + "\nsystems:\n  placement: {}\n  heat: {}\n  memcached: {enabled: false}\n"
    )
    done = CliRunner().invoke(quorate, ["check", "-c", str(cloud)], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    lines = len(MINIMAL.read_text().rstrip().splitlines())
    assert f"cloud.yaml:{lines + 3}: systems.heat: heat needs 'messaging', which rabbitmq offers" in done.output
    assert "cache needs 'cache-servers', which memcached offers" in done.output
    assert "placement needs" not in done.output


def test_what_an_older_release_lacks_is_refused_with_the_reason(tmp_path: Path) -> None:
    cloud = tmp_path / "cloud.yaml"
    cloud.write_text(MINIMAL.read_text().rstrip() + "\nos: debian-12\nsystems: {placement: {}}\n")
    done = CliRunner().invoke(quorate, ["check", "-c", str(cloud)], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    assert "systems.placement: placement cannot be set up on debian-12: it has OpenStack 2022.2" in done.output
