"""The registry of known options: its files, what it says of an option, and how they are written."""

from __future__ import annotations

import pytest
from tools.known_options import joined

from quorate.audit.options import Option, known
from quorate.audit.readers.ini import AGENTS, SERVICES

OLD, NEW = "2025.1", "2025.2"


@pytest.mark.parametrize("kind", SERVICES)
def test_every_service_is_known_in_the_releases_of_debian(kind: str) -> None:
    found = known(kind)
    assert found
    assert {"2022.2", "2025.1"} <= set(found.releases)
    assert found.find("DEFAULT", "debug")
    assert found.find("oslo_messaging_rabbit", "rabbit_quorum_queue")
    assert not found.find("oslo_messaging_rabbit", "rabbit_quorum_queues")
    assert found.find("Oslo_Messaging_Rabbit", "rabbit-quorum-queue")


def test_agents_know_what_neutron_knows_and_nobody_knows_what_others_read() -> None:
    assert known(AGENTS) == known("neutron")
    assert known("octavia") is None


def test_a_version_is_of_a_release() -> None:
    found = known("keystone")
    assert found
    assert found.release(22) == "2022.2"
    assert found.release(27) == "2025.1"
    assert found.release(9) == ""


def test_what_was_an_option_of_its_own_is_a_former_name_later() -> None:
    found = known("neutron")
    assert found
    own, former = found.find("ml2", "tenant_network_types")
    assert (own.to, former.to) == ("", "ml2.project_network_types")
    assert own.until < former.since


def test_a_section_that_logs_in_has_what_the_plugins_read() -> None:
    found = known("nova")
    assert found
    assert found.at_login("application_credential_secret")
    assert not found.at_login("admin_tenant_name")


def listed(version: str, *options: tuple[str, str, str, bool, str]) -> dict[str, object]:
    return {"versions": {"nova": version}, "options": {"nova": [list(one) for one in options]}}


def test_what_packages_say_becomes_one_line_an_option() -> None:
    before = listed(
        "31.0.0",
        ("DEFAULT", "debug", "", False, "b"),
        ("DEFAULT", "gone", "", True, ""),
        ("DEFAULT", "old-name", "vnc.name", False, ""),
        ("vnc", "name", "", False, ""),
    )
    after = listed("32.1.0", ("DEFAULT", "debug", "", False, "b"), ("Vnc", "name", "", False, ""))
    ((name, text),) = joined({OLD: before, NEW: after})
    assert name == "nova"
    assert text == (
        "releases 2025.1=31 2025.2=32\n"
        "[DEFAULT]\n"
        "debug =b\n"
        "gone ..2025.1 !2025.1\n"
        "old_name ..2025.1 >vnc.name\n"
        "[vnc]\n"
        "name\n"
    )


def test_an_option_that_is_one_of_its_own_is_no_former_name_until_it_is_nothing_else() -> None:
    before = listed("31", ("a", "x", "b.x", False, ""), ("a", "x", "", False, "i"), ("a", "z", "", False, "m"))
    after = listed("32", ("a", "y", "", False, "f"), ("a", "y", "", False, "i"), ("a", "z", "a.y", False, ""))
    ((_, text),) = joined({OLD: before, NEW: after})
    assert text == ("releases 2025.1=31 2025.2=32\n[a]\nx ..2025.1 =i\ny 2025.2..\nz ..2025.1 =m\nz 2025.2.. >a.y\n")


@pytest.mark.parametrize(
    ("option", "release", "reads"),
    [
        (Option(), OLD, True),
        (Option(since=NEW), OLD, False),
        (Option(since=NEW), NEW, True),
        (Option(until=OLD), NEW, False),
        (Option(since=OLD, until=OLD), OLD, True),
    ],
)
def test_an_option_is_known_from_one_release_to_another(option: Option, release: str, reads: bool) -> None:
    assert option.known(release) is reads
