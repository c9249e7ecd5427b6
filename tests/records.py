"""Records of drills as tests need them: what clients did, in few words."""

from __future__ import annotations

from typing import Any

from quorate.core.history import Operation
from quorate.core.record import (
    Client,
    Done,
    Final,
    Header,
    HitLine,
    LookLine,
    Mark,
    PredictionLine,
    Record,
    Watched,
)

VIP = "10.0.0.10"


def client(function: str, at: str = "", shows: str = "") -> Client:
    """A client of a function, named after it and its controller."""
    name = f"{function}@{at}" if at else function
    return Client(name=name, function=function, objective=function, rate=10, at=at, shows=shows)


def header(**changes: Any) -> Header:
    """A power cut of controller1, which held everything."""
    told: dict[str, Any] = {
        "run": "run-1",
        "cloud": "lab",
        "began": "2026-01-31T12:00:00+00:00",
        "drill": "power-cut",
        "summary": "controller1 loses its power",
        "seed": 7,
        "hits": (HitLine(host="controller1", part="machine", loss="silent"),),
        "roles": {"virtual-ip": "controller1", "writer": "controller1"},
        "within": True,
        "hold": 10.0,
        "workloads": (
            Client(
                name="database_write", function="database_write", objective="database_write", rate=10, shows="writer"
            ),
            Client(name="cache@controller1", function="cache", objective="cache", rate=10, at="controller1"),
            Client(name="cache@controller2", function="cache", objective="cache", rate=10, at="controller2"),
        ),
        "objectives": {"database_write": 6.0, "cache": 2.0},
        "predictions": (
            PredictionLine(function="database_write", seconds=4.0),
            PredictionLine(function="cache", seconds=0.0),
        ),
        "vips": (VIP,),
        "watched": (VIP,),
    }
    return Header(**{**told, **changes})


def written(down: tuple[float, float] = (5.0, 7.0), until: float = 30.0) -> list[Operation]:
    """Ten rows a second, none of which is acknowledged while the database is down; then by controller2."""
    rows = []
    for number in range(int(until * 10)):
        start = number / 10
        if down[0] <= start < down[1]:
            rows.append(Operation(start, start + 0.5, "failed", "OperationalError: 2013 lost"))
        else:
            server = "controller1" if start < down[0] else "controller2"
            rows.append(Operation(start, start + 0.01, "ok", "", {"number": number, "server": server}))
    return rows


def cached(*operations: tuple[float, str, int | None], key: str = "a") -> list[Operation]:
    """Operations on one key: when, what (set, get, delete), and which version."""
    return [
        Operation(at, at + 0.01, "ok", "", {"key": key, "kind": do, "version": version})
        for at, do, version in operations
    ]


def record(**changes: Any) -> Record:
    """A power cut that went as it should; the changes are those of a Record's fields."""
    rows = written()
    numbers = [int(row.facts["number"]) for row in rows if row.outcome == "ok"]
    quiet = cached((1.0, "set", 1), (2.0, "get", 1), (9.0, "get", 1))
    told: dict[str, Any] = {
        "operations": {"database_write": rows, "cache@controller1": [], "cache@controller2": quiet},
        "marks": [
            Mark(name="calm", at=0.0),
            Mark(name="inject", at=5.0),
            Mark(name="injected", at=5.1),
            Mark(name="heal", at=15.0),
            Mark(name="healed", at=16.0),
            Mark(name="whole", at=21.0),
        ],
        "looks": [
            LookLine(at=3.0, level="ok"),
            LookLine(at=6.5, level="failing", why={"database": "2 of 3"}),
            LookLine(at=20.0, level="unknown", why={"database": "booting"}),
            LookLine(at=21.0, level="ok"),
            LookLine(at=25.0, level="ok"),
        ],
        "watches": [Watched(address=VIP, two_holders=False)],
        "finals": {"database_write": {"numbers": [[one, one] for one in numbers], "more_than_once": []}},
        "complete": True,
    }
    told |= {name: value for name, value in changes.items() if name != "header"}
    return Record(header=changes.get("header", header()), **told)


def lines(told: Record) -> list[Any]:
    """The record's lines but for the operations, in an order in which they could have been written."""
    finals = [Final(by=by, facts=dict(facts)) for by, facts in told.finals.items()]
    return [told.header, *told.marks, *told.looks, *told.watches, *finals, *([Done()] if told.complete else [])]
