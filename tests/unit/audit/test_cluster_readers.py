"""Corosync, Pacemaker, keepalived, DRBD and sysctl: every word with its line, and nonsense is said to be unreadable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit_reading import document, lines
from quorate.audit.estate import Unread
from quorate.audit.tree import DEEPEST

BEGINNINGS = {
    "corosync.conf": "",
    "cib.xml": "<cib>",
    "a.crm": "group a b\n",
    "keepalived.conf": "global_defs {\n}\n",
    "a.res": "resource a {}\n",
    "sysctl.conf": "",
}
"""What makes each of them known for what it is."""


def unreadable(path: str, body: str) -> Unread:
    came = document(path, body)
    assert isinstance(came, Unread), came
    return came


def test_corosync() -> None:
    body = "# a comment\ntotem {\n\tversion: 2\n  interface {\n    bindnetaddr: 10.0.0.0\n  }\n}\nquorum {\n}\n"
    assert lines("corosync.conf", body) == [
        "2 totem",
        "3   version|2",
        "4   interface",
        "5     bindnetaddr|10.0.0.0",
        "8 quorum",
    ]


@pytest.mark.parametrize(
    ("body", "line", "why"),
    [
        ("totem {\n  version 2\n}\n", 2, "'version 2' is no section, no end of one and no `key: value`"),
        ("totem {\n  version: 2\n", 1, "the block 'totem' never ends"),
        ("totem {\n}\n}\n", 3, "a block ends that never began"),
        ("{\n}\n", 1, "a section begins without a name"),
        ("a {\n" * (DEEPEST + 1), DEEPEST + 1, f"more than {DEEPEST} blocks lie in each other"),
    ],
)
def test_what_corosync_refuses(body: str, line: int, why: str) -> None:
    came = unreadable("corosync.conf", body)
    assert (came.place.line, came.why) == (line, why)


def test_keepalived() -> None:
    body = (
        'global_defs { # all\n  router_id "a b"\n}\n'
        "vrrp_script look\n{\n  script \"/bin/look ! '#'\" ! as it is\n}\n"
        "vrrp_instance V {\n  track_interface { eth0 }\n  virtual_ipaddress {\n    10.0.0.9/24 dev eth0\n  }\n"
        "  notify_master \\\n    /bin/tell\n}\n"
    )
    assert lines("keepalived.conf", body) == [
        "1 global_defs",
        "2   router_id|a b",
        "4 vrrp_script|look",
        "6   script|/bin/look ! '#'",
        "8 vrrp_instance|V",
        "9   track_interface",
        "9     eth0",
        "10   virtual_ipaddress",
        "11     10.0.0.9/24|dev|eth0",
        "14   notify_master|/bin/tell",
    ]


def test_a_quotation_that_never_ends() -> None:
    assert unreadable("keepalived.conf", 'global_defs {\n  router_id "a\n}\n').place.line == 2
    assert unreadable("a.res", 'resource a {\n  disk "/dev/sda;\n}\n').place.line == 2
    assert unreadable("a.crm", 'primitive a b params c="d\n').place.line == 1


def test_drbd() -> None:
    body = (
        '# one\nresource "db" {\n  net { protocol C; after-sb-0pri\n    disconnect; }\n'
        "  on alpha {\n    device minor 0; address\n      10.0.0.1:7788; # here\n  }\n}\n"
    )
    assert lines("a.res", body) == [
        "2 resource|db",
        "3   net",
        "3     protocol|C",
        "3     after-sb-0pri|disconnect",
        "5   on|alpha",
        "6     device|minor|0",
        "6     address|10.0.0.1:7788",
    ]
    assert unreadable("a.res", "resource a {}\ninclude x").why == "'include x' never ends"


def test_sysctl() -> None:
    body = "# no\n; no\nnet.ipv4.a = 1\n-net/ipv4/conf/eth0.100/b=2  3\nnonsense\nnet.ipv4.conf.eth0/100.c=4\n"
    assert lines("/etc/sysctl.d/10-a.conf", body) == [
        "3 net.ipv4.a|1",
        "4 net.ipv4.conf.eth0/100.b|2 3",
        "6 net.ipv4.conf.eth0/100.c|4",
    ]


CRM = """node 1: ctl1
node $id="2" ctl2 attributes standby=off
primitive vip ocf:heartbeat:IPaddr2 \\
    params ip="10.0.0.9" \\
    # a comment between
    op monitor interval=10s \\
    meta target-role=Started
group all vip proxy meta a=b
ms pairs disk \\ # <co>
    meta notify=true
colocation here inf: all pairs:Master
order after Mandatory: ( pairs:promote x ) all:start symmetrical=false
location away all rule -inf: #uname eq ctl1
location some { vip disk } 100: ctl1
property cib-bootstrap-options: no-quorum-policy=ignore
crm configure rsc_defaults resource-stickiness=100
crm(live)configure# group more x
params lost=1
"""
XML = """<?xml version="1.0"?>
<cib><configuration>
<crm_config><cluster_property_set id="o">
<nvpair id="p" name="no-quorum-policy" value="ignore"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="ctl1"/></nodes>
<resources>
<group id="all">
<primitive id="vip" class="ocf" provider="heartbeat" type="IPaddr2">
<instance_attributes id="i"><nvpair id="n" name="ip" value="10.0.0.9"/></instance_attributes>
<operations><op id="m" name="monitor" interval="10s"/></operations>
</primitive>
</group>
<master id="pairs"><meta_attributes id="ma"><nvpair id="nn" name="notify" value="true"/></meta_attributes>
<primitive id="disk" template="any"/></master>
</resources>
<constraints>
<rsc_colocation id="here" rsc="all" with-rsc="pairs" with-rsc-role="Master"/>
<rsc_order id="after"><resource_set id="s" action="promote"><resource_ref id="pairs"/></resource_set></rsc_order>
</constraints>
</configuration><status><node_state id="1"><nvpair name="shutdown" value="0"/></node_state></status></cib>
"""


def test_what_crmsh_writes() -> None:
    assert lines("a.crm", CRM) == [
        "1 node|ctl1",
        "2 node|ctl2",
        "3 primitive|vip|ocf:heartbeat:IPaddr2",
        "4   param|ip|10.0.0.9",
        "6   op|monitor",
        "6     interval|10s",
        "7   meta|target-role|Started",
        "8 group|all",
        "8   member|vip",
        "8   member|proxy",
        "8   meta|a|b",
        "9 ms|pairs",
        "9   member|disk",
        "10   meta|notify|true",
        "11 colocation|here",
        "11   rsc|all",
        "11   rsc|pairs|Master",
        "12 order|after",
        "12   rsc|pairs|promote",
        "12   rsc|x",
        "12   rsc|all|start",
        "13 location|away",
        "13   rsc|all",
        "14 location|some",
        "14   rsc|vip",
        "14   rsc|disk",
        "15 property|no-quorum-policy|ignore",
        "16 rsc_defaults|resource-stickiness|100",
        "17 group|more",
        "17   member|x",
        "18 unknown|params|lost=1",
    ]


def test_the_cib_has_the_same_shape() -> None:
    assert lines("/var/lib/pacemaker/cib/cib.xml", XML) == [
        "4 property|no-quorum-policy|ignore",
        "5 node|ctl1",
        "7 group|all",
        "8   member|vip",
        "8 primitive|vip|ocf:heartbeat:IPaddr2",
        "9   param|ip|10.0.0.9",
        "10   op|monitor",
        "10     id|m",
        "10     name|monitor",
        "10     interval|10s",
        "13 ms|pairs",
        "14   member|disk",
        "13   meta|notify|true",
        "14 primitive|disk|",
        "17 colocation|here",
        "17   rsc|all",
        "17   rsc|pairs|Master",
        "18 order|after",
        "18   rsc|pairs|promote",
    ]


def test_a_cib_may_not_bring_entities() -> None:
    bomb = '<!DOCTYPE cib [<!ENTITY a "b">]>\n<cib>&a;</cib>'
    assert unreadable("cib.xml", bomb).why == "a CIB has no document type"
    assert unreadable("cib.xml", "<cib>\n<configuration>\n</cib>").place.line == 3
    assert lines("cib.xml", '<?xml version="1.0" encoding="latin-1"?>\n<cib>\ud800é</cib>') == []


@given(
    st.sampled_from(sorted(BEGINNINGS)), st.text(st.sampled_from(list("ab=:;{}()[]<>/\"'\\#!$@ \n")) | st.characters())
)
def test_nonsense_is_read_or_unreadable_and_nothing_else(path: str, tail: str) -> None:
    came = document(path, BEGINNINGS[path] + tail)
    if isinstance(came, Unread):
        assert came.why
