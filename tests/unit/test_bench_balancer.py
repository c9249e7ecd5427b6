from __future__ import annotations

import tomllib
from typing import Any

import pytest
from balancer_figures import ALL, DIRECT, OURS, SCENARIOS, Scenario, at, cores, doubts, faults, figures, heading, row
from daemons import Proxy, nutcracker_yml, pinned, ports, proxy_command, quorate_toml, routelib_lua
from ruamel.yaml import YAML

PROMISED = {"c1", "c50", "c200", "p16", "v2k", "mget20", "mget50"}


def run(throughput: float, cpu: float | None = None, **others: float) -> dict[str, Any]:
    """What the load generator prints."""
    found: dict[str, Any] = {"throughput": throughput, "p50_us": 10.0, "p99_us": 100.0, "p999_us": 1000.0, "misses": 0}
    found |= {"load_share": 0.3, "wrong": 0, "refused": 0, "closed": 0, "stalled": 0}
    return {**found, "cpu_us": {"load": 5.0} | ({} if cpu is None else {"proxy": cpu}), **others}


def test_every_promised_scenario_is_there_once() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(names) == len(set(names))
    assert set(names) >= PROMISED


def test_each_scenario_has_ours_and_no_name_twice() -> None:
    for scenario in SCENARIOS:
        names = [proxy.name for proxy in scenario.proxies]
        assert names[0] == "quorate"
        assert len(names) == len(set(names))


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    rounds = [
        {"quorate": run(100, 10), "twemproxy": run(100, 20)},
        {"quorate": run(30, 10), "twemproxy": run(10, 10)},  # a slow moment of the machine, for both
        {"quorate": run(120, 30), "twemproxy": run(100, 10)},
    ]
    found = figures(rounds)
    assert found["throughput"] == 100
    assert found["throughput_vs_twemproxy"] == 1.2
    assert found["cpu_vs_twemproxy"] == 1.0
    assert found["proxies"]["twemproxy"]["throughput"] == 100


def test_what_was_not_measured_is_null() -> None:
    found = figures([{"quorate": run(100, 10), "direct": run(200)}])
    assert found["throughput_vs_memcached_proxy"] is None
    assert found["cpu_vs_twemproxy"] is None
    assert found["throughput_vs_direct"] == 0.5
    assert found["proxies"]["direct"]["cpu_us"] is None
    assert "cpu_vs_direct" not in found


def test_the_cores_that_a_proxy_used_follow_from_its_cpu_time() -> None:
    assert figures([{"quorate": run(50_000, 19.8)}])["cores_used"] == 0.99


def test_faults_and_a_busy_generator_are_said() -> None:
    good, bad = run(100, 10), run(100, 10, wrong=2, stalled=1)
    result = {"c50": figures([{"quorate": good, "twemproxy": bad}]), "rounds": 1, "absent": {"direct": "why"}}
    assert faults(result) == ["c50 twemproxy: 3 wrong, refused or missing replies"]
    assert doubts(result) == []
    busy = run(100, 10, load_share=0.97)
    assert doubts({"c1": figures([{"quorate": busy, "direct": busy}])}) == [
        "c1 quorate: the load generator was the bottleneck"
    ]
    assert doubts({"c1": figures([{"quorate": run(100, 10, misses=7)}])}) == ["c1 quorate: 7 misses"]


@pytest.mark.parametrize("run_of", [None, {}, {"cpu_us": 3}, {"cpu_us": {"proxy": "x"}}])
def test_a_figure_that_is_not_there(run_of: object) -> None:
    assert at(run_of, ("cpu_us", "proxy")) is None


def test_a_saturated_proxy_has_its_cores_for_itself() -> None:
    saturated, two = Scenario("s", ALL, stubs=True), Proxy("quorate", "quorate", workers=2)
    assert cores(saturated, OURS, [0, 1]) == ([1], [0])
    assert cores(saturated, two, [0, 1, 2, 3]) == ([2, 3], [0, 1])


def test_elsewhere_the_kernel_decides() -> None:
    saturated, two = Scenario("s", ALL, stubs=True), Proxy("quorate", "quorate", workers=2)
    for scenario, proxy, available in (
        (Scenario("s", ALL), OURS, [0, 1]),
        (saturated, OURS, [0]),
        (saturated, two, [0, 1]),
        (saturated, DIRECT, [0, 1]),
    ):
        assert cores(scenario, proxy, available) == ([], [])


def test_pinned() -> None:
    assert pinned(["a", "b"], []) == ["a", "b"]
    assert pinned(["a", "b"], [0, 2])[1:] == ["-c", "0,2", "a", "b"]


def test_the_load_generator_is_told_the_scenario() -> None:
    scenario = Scenario("x", ALL, connections=1, depth=2, gets=3, size=4, keys=5)
    assert scenario.arguments() == ["-c", "1", "-d", "2", "-g", "3", "-v", "4", "-k", "5"]


def test_configurations() -> None:
    ours = tomllib.loads(quorate_toml(1, [2, 3], 2, 4))
    assert (ours["listen"], ours["copies"], ours["workers"]) == ("127.0.0.1:1", 2, 4)
    assert [server["address"] for server in ours["servers"]] == ["127.0.0.1:2", "127.0.0.1:3"]
    theirs = YAML(typ="safe").load(nutcracker_yml(1, [2, 3]))["bench"]
    assert theirs["listen"] == "127.0.0.1:1"
    assert theirs["servers"] == ["127.0.0.1:2:1 server1", "127.0.0.1:3:1 server2"]
    assert 'backends = { "127.0.0.1:2", "127.0.0.1:3" }' in routelib_lua([2, 3])


def test_another_balancer_can_stand_in(tmp_path: Any) -> None:
    proxy = Proxy("quorate", "quorate", copies=2, workers=3)
    command = proxy_command(proxy, "x {port} {servers} -r {copies} -w {workers} {config}", 1, [2, 3], tmp_path)
    config = tmp_path / "quorate.conf"
    assert command == ["x", "1", "127.0.0.1:2", "127.0.0.1:3", "-r", "2", "-w", "3", str(config)]
    assert tomllib.loads(config.read_text())["copies"] == 2


def test_our_own_is_the_default(tmp_path: Any) -> None:
    command = proxy_command(OURS, "", 1, [2], tmp_path)
    assert command[1:] == [str(tmp_path / "quorate-balancer"), "-c", str(tmp_path / "quorate.conf")]


def test_ports_differ() -> None:
    assert len(set(ports(5))) == 5


def test_the_table_has_a_column_for_each_figure() -> None:
    line = row("c50", figures([{"quorate": run(100, 10)}]))
    assert len(line) == len(heading())
    assert line.endswith("-")
