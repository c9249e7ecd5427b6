"""What is wrong with what guides say: the configuration of a reader who followed each, and every finding on it.

The folders hold what the examples of six published guides come to, on each machine: the values are theirs.
`expected.txt` beside them has every finding. After a wanted change, write it again with `QUORATE_BLESS=1` and read the
difference against the guide. `KNOWN` are the mistakes of the guides themselves, each compared with its text by hand.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quorate.audit.judge import Audit, audit
from quorate.engine.audit import collect, sources

GUIDES = Path(__file__).parent
NAMES = sorted(path.name for path in GUIDES.iterdir() if path.is_dir() and not path.name.startswith("_"))

ACTIVE_ACTIVE = "ha-guide-2014-active-active"
ACTIVE_PASSIVE = "ha-guide-2014-active-passive"
STATEFUL = "ha-guide-stateful-services"
SUSE = "suse-upgrade-part-iii"
KNOWN = (
    (ACTIVE_ACTIVE, "HAP001", "controller1/etc/haproxy/haproxy.cfg:62"),
    (ACTIVE_ACTIVE, "NAM001", "controller1/etc/haproxy/haproxy.cfg:113"),
    (ACTIVE_ACTIVE, "NAM001", "controller1/etc/haproxy/haproxy.cfg:121"),
    (ACTIVE_ACTIVE, "HAP002", "controller1/etc/haproxy/haproxy.cfg:32"),
    (ACTIVE_ACTIVE, "HAP006", "controller1/etc/haproxy/haproxy.cfg:27"),
    (ACTIVE_ACTIVE, "HAP014", "controller1/etc/haproxy/haproxy.cfg:17"),
    (ACTIVE_ACTIVE, "HAP018", "controller1/etc/haproxy/haproxy.cfg:11"),
    (ACTIVE_ACTIVE, "HAP007", "controller1/etc/haproxy/haproxy.cfg:34"),
    (ACTIVE_ACTIVE, "HAP005", "controller1/etc/haproxy/haproxy.cfg:90"),
    (ACTIVE_ACTIVE, "HAP013", "controller1/etc/haproxy/haproxy.cfg:68"),
    (ACTIVE_ACTIVE, "HAP022", "controller1/etc/haproxy/haproxy.cfg:67"),
    (ACTIVE_ACTIVE, "NAM006", "controller1/etc/haproxy/haproxy.cfg:34"),
    (ACTIVE_ACTIVE, "GAL020", "controller1/etc/mysql/conf.d/wsrep.cnf:2"),
    (ACTIVE_ACTIVE, "GAL022", "controller2/etc/mysql/conf.d/wsrep.cnf:2"),
    (ACTIVE_ACTIVE, "GAL006", "controller2/etc/mysql/conf.d/wsrep.cnf:2"),
    (ACTIVE_ACTIVE, "GAL064", "controller1/root/setup.sh:2"),
    (ACTIVE_ACTIVE, "RMQ002", "controller1/root/setup.sh:4"),
    (ACTIVE_ACTIVE, "OSO002", "controller1/etc/nova/nova.conf:2"),
    (ACTIVE_ACTIVE, "OSO002", "controller1/etc/nova/nova.conf:6"),
    (ACTIVE_ACTIVE, "CLI005", "controller1/etc/nova/nova.conf:7"),
    (ACTIVE_PASSIVE, "NAM002", "node1/etc/glance/glance-api.conf:10"),
    (ACTIVE_PASSIVE, "NAM002", "node1/etc/cinder/cinder.conf:8"),
    (ACTIVE_PASSIVE, "NAM002", "node1/etc/neutron/neutron.conf:8"),
    (ACTIVE_PASSIVE, "NAM002", "node1/etc/ceilometer/ceilometer.conf:6"),
    (ACTIVE_PASSIVE, "PCM004", "node1/root/cluster.crm:78"),
    (ACTIVE_PASSIVE, "PCM004", "node1/root/cluster.crm:80"),
    (ACTIVE_PASSIVE, "PCM002", "node1/root/cluster.crm"),
    (ACTIVE_PASSIVE, "PCM003", "node1/root/cluster.crm:89"),
    (ACTIVE_PASSIVE, "PCM020", "node1/root/cluster.crm:54"),
    (ACTIVE_PASSIVE, "PCM021", "node1/root/cluster.crm:50"),
    (ACTIVE_PASSIVE, "GAL025", "node1/root/cluster.crm:54"),
    (ACTIVE_PASSIVE, "SEC002", "node1/root/cluster.crm:50"),
    (ACTIVE_PASSIVE, "DRB001", "node1/etc/drbd.d/mysql.res:1"),
    (ACTIVE_PASSIVE, "COR001", "node1/etc/corosync/corosync.conf:1"),
    (ACTIVE_PASSIVE, "COR015", "node1/etc/corosync/corosync.conf:3"),
    (ACTIVE_PASSIVE, "KEY004", "node1/etc/keystone/keystone.conf:6"),
    (ACTIVE_PASSIVE, "KEY008", "node1/etc/keystone/keystone.conf:2"),
    (ACTIVE_PASSIVE, "OSO002", "node1/etc/glance/glance-api.conf:7"),
    (ACTIVE_PASSIVE, "CLI012", "node1/etc/neutron/neutron.conf:12"),
    (STATEFUL, "RMQ003", "controller2/root/setup.sh:3"),
    (STATEFUL, "RMQ002", "controller2/root/setup.sh:5"),
    (STATEFUL, "OSO002", "controller1/etc/nova/nova.conf:2"),
    (SUSE, "GAL026", "controller01/etc/my.cnf.d/75-galera-custom.cnf:21"),
    (SUSE, "RMQ002", "controller01/root/setup.sh:6"),
    (SUSE, "PCM021", "controller01/root/cluster.crm:17"),
    ("fuel-memcache-pool", "KEY004", "controller1/etc/keystone/keystone.conf:2"),
    ("fuel-memcache-pool", "OSO002", "controller1/etc/keystone/keystone.conf:13"),
)


def judged(guide: str) -> Audit:
    found, hosts = sources([str(GUIDES / guide)])
    collected = collect(found, hosts, lambda _text: None)
    return audit(collected.texts, {}, collected.unread)


def found_in(guide: str) -> set[tuple[str, str]]:
    return {(one.rule.name, str(one.hit.place).removeprefix(f"{GUIDES / guide}/")) for one in judged(guide).findings}


@pytest.mark.parametrize("guide", NAMES)
def test_every_finding_on_a_guide_was_reviewed(guide: str) -> None:
    came = judged(guide)
    assert came.unread == ()
    told = "".join(
        f"{one.rule.name} {one.rule.severity} {str(one.hit.place).removeprefix(f'{GUIDES / guide}/')}: {one.hit.seen}\n"
        for one in came.findings
    ).replace(str(GUIDES / guide), "")
    expected = GUIDES / guide / "expected.txt"
    if os.environ.get("QUORATE_BLESS"):
        expected.write_text(told, encoding="utf-8")
    assert told == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize(("guide", "rule", "place"), KNOWN)
def test_the_mistakes_of_the_guides_are_found(guide: str, rule: str, place: str) -> None:
    assert (rule, place) in found_in(guide)


def test_there_are_enough_of_them() -> None:
    assert len(KNOWN) >= 25
    assert len(set(KNOWN)) == len(KNOWN)
