"""What belongs in the CIB, and that only what is ours is compared."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, fromstring, tostring

import pytest

from quorate.core.system import Endpoint, Site
from quorate.model.cloud import Cloud
from quorate.systems.pacemaker import config
from quorate.systems.pacemaker.cib import desired
from quorate.systems.pacemaker.config import PacemakerSpec
from quorate.systems.pacemaker.form import difference


def site(controllers: int = 3, *, fenced: int | None = None, address: str = "10.1.0.10") -> Site:
    cloud = Cloud.model_validate(
        {
            "cloud": "lab",
            "networks": {"management": {"subnet": "10.1.0.0/24", "interface": "bond0"}},
            "vips": {"api": {"address": address}},
            "controllers": {
                f"controller{n}": {
                    "addresses": {"management": f"10.1.0.{10 + n}"},
                    "fencing": {"address": f"10.1.1.{n}", "tls_verify": n == 1}
                    if n <= (controllers if fenced is None else fenced)
                    else None,
                }
                for n in range(1, controllers + 1)
            },
        }
    )
    return Site(cloud, (Endpoint("proxy", "127.0.0.1", 8098, agent="ocf:quorate:proxy"),))


def values(configuration: Element, owner: str) -> dict[str, str]:
    return {
        pair.get("name", ""): pair.get("value", "") for pair in configuration.iterfind(f".//*[@id='{owner}']//nvpair")
    }


def test_nothing_differs_from_itself_whatever_the_blanks_and_the_order_of_attributes() -> None:
    wanted = desired(PacemakerSpec(), site())
    turned = fromstring(tostring(wanted, encoding="unicode").replace("><", ">\n  <"))  # noqa: S314 - our own
    for element in turned.iter():
        reversed_attributes = dict(reversed(element.attrib.items()))
        element.attrib.clear()
        element.attrib.update(reversed_attributes)
    assert not difference(turned, wanted).lines


def test_a_changed_vip_is_one_line_out_and_one_in() -> None:
    spec = PacemakerSpec()
    found = difference(desired(spec, site()), desired(spec, site(address="10.1.0.20")))
    assert [line[:9] for line in found.lines] == ["- <nvpair", "+ <nvpair"]
    assert 'value="10.1.0.20"' in found.lines[1]
    assert not found.stale


def test_a_controller_that_left_takes_its_device_and_its_constraint_along() -> None:
    spec = PacemakerSpec()
    found = difference(desired(spec, site(4)), desired(spec, site(3)))
    assert [element.get("id") for element in found.stale] == [
        "quorate-fencing-controller4",
        "quorate-fencing-controller4-elsewhere",
    ]


def test_what_an_operator_hung_below_ours_is_shown_and_removed() -> None:
    spec = PacemakerSpec()
    current = desired(spec, site())
    meta = current.find(".//*[@id='quorate-vip-api-meta_attributes']")
    assert meta is not None
    SubElement(meta, "nvpair", id="quorate-vip-api-meta_attributes-target-role", name="target-role", value="Stopped")
    found = difference(current, desired(spec, site()))
    assert len(found.lines) == 1
    assert found.lines[0].startswith("- ")
    assert 'value="Stopped"' in found.lines[0]


def test_a_stray_attribute_of_an_operation_is_not_overlooked() -> None:
    spec = PacemakerSpec()
    current = desired(spec, site())
    operation = current.find(".//op[@name='monitor']")
    assert operation is not None
    operation.set("on-fail", "ignore")
    found = difference(current, desired(spec, site()))
    assert [element.get("id") for element in found.stale] == [operation.get("id")]
    assert found.lines


@pytest.mark.parametrize(("controllers", "delay"), [(2, "5s"), (3, None)])
def test_only_two_controllers_have_a_head_start_in_a_fencing_race(controllers: int, delay: str | None) -> None:
    properties = values(desired(PacemakerSpec(), site(controllers)), "cib-bootstrap-options")
    assert properties.get("priority-fencing-delay") == delay


def test_fencing_is_on_only_if_every_controller_can_be_fenced() -> None:
    spec = PacemakerSpec()
    assert values(desired(spec, site()), "cib-bootstrap-options")["stonith-enabled"] == "true"
    assert values(desired(spec, site(fenced=2)), "cib-bootstrap-options")["stonith-enabled"] == "false"
    assert not config.warnings(spec, site().cloud)
    assert "no fencing of controller3" in config.warnings(spec, site(fenced=2).cloud)[0]


def test_passwords_are_in_no_element_and_certificates_are_verified_unless_told_otherwise() -> None:
    configuration = desired(PacemakerSpec(), site())
    assert "secret" not in tostring(configuration, encoding="unicode")
    first = values(configuration, "quorate-fencing-controller1")
    assert first["password_script"] == "cat /etc/quorate/fencing/controller1.password"
    # The agent takes any value, "0" too, for a yes.
    assert "ssl_insecure" not in first
    assert values(configuration, "quorate-fencing-controller2")["ssl_insecure"] == "1"


def test_a_device_is_kept_off_its_own_victim() -> None:
    places = {
        location.get("rsc"): (location.get("node"), location.get("score"))
        for location in desired(PacemakerSpec(), site()).iter("rsc_location")
    }
    assert places == {f"quorate-fencing-controller{n}": (f"controller{n}", "-INFINITY") for n in (1, 2, 3)}
