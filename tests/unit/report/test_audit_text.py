from __future__ import annotations

from quorate.audit.estate import Text
from quorate.audit.judge import audit
from quorate.report.audit import as_text

WRONG = "listen a\n  server x 10.0.0.2.42:80 check\n"


def lines_of(*texts: Text) -> list[str]:
    return [line for line in as_text(audit(texts, {})).splitlines() if "10.0.0.2.42" in line]


def test_the_same_on_several_machines_is_said_once() -> None:
    several = [Text(f"{host}/etc/haproxy/haproxy.cfg", WRONG, host) for host in ("c1", "c2", "c3")]
    assert [one for one in lines_of(*several) if "/haproxy.cfg:2: a: x" in one] == [
        "  c1/etc/haproxy/haproxy.cfg:2: a: x 10.0.0.2.42:80 check; the same on c2, c3"
    ]


def test_what_differs_is_said_of_each() -> None:
    one = Text("c1/haproxy.cfg", WRONG, "c1")
    other = Text("c2/haproxy.cfg", WRONG.replace("listen a", "listen b"), "c2")
    told = [line for line in lines_of(one, other) if ":2: " in line]
    assert told[:2] == [
        "  c1/haproxy.cfg:2: a: x 10.0.0.2.42:80 check",
        "  c2/haproxy.cfg:2: b: x 10.0.0.2.42:80 check",
    ]
