"""What Pacemaker takes from where: what holds a resource, and whose meta attributes count."""

from __future__ import annotations

from quorate.audit.cluster import Cluster, clusters
from quorate.audit.estate import Text
from quorate.audit.judge import estate_of


def cluster(body: str) -> Cluster:
    (one,) = clusters(estate_of([Text("all.crm", body)], {}))
    return one


def test_a_resource_is_meant_by_the_names_of_all_that_hold_it() -> None:
    one = cluster("primitive a ocf:x:y\ngroup g a\nclone c g\nprimitive b ocf:x:y\n")
    assert one.family("a") == {"a", "g", "c"}
    assert one.family("b") == {"b"}


def test_the_nearest_meta_attribute_counts() -> None:
    body = "primitive a ocf:x:y\nprimitive b ocf:x:y meta m=own\ngroup g a b meta m=group\nprimitive c ocf:x:y\n"
    one = cluster(f"{body}rsc_defaults m=all\n")
    assert [one.meta(one.resources[name], "m") for name in "abc"] == ["group", "own", "all"]
    assert one.meta(one.resources["c"], "other") == ""


def test_groups_that_hold_each_other_hold_nothing_for_ever() -> None:
    one = cluster("primitive x ocf:x:y\ngroup a x b\ngroup b a\n")
    assert one.family("x") == {"x", "a", "b"}


def test_part_of_a_configuration_is_not_taken_for_all_of_it() -> None:
    assert not cluster("primitive a ocf:x:y\n").whole
    assert cluster("primitive a ocf:x:y\nproperty b=c\n").whole
