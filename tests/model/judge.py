"""What a balancer of the model knows, whom it may read by that, and whether what it would read is right."""

from __future__ import annotations

from model.protocol_model import (
    BALANCERS,
    COPIES,
    QUORUM,
    SERVERS,
    SETTLED,
    Balancer,
    Register,
    State,
    World,
    reachable,
)


def other_register(state: State, world: World, b: int) -> Register | None:
    """Return what the balancer takes the other's register for."""
    me = state.balancers[b]
    shown = [a.other for a in me.view if a is not None and a.other is not None]
    if world.holds("remember") and me.known is not None:
        shown.append(me.known)
    newest = max(shown, default=None)
    return None if newest is not None and newest.seq <= me.taken else newest


def is_valid(me: Balancer) -> bool:
    """Whether a quorum answered within the lease."""
    return sum(answer is not None for answer in me.view) >= QUORUM


def may_read(state: State, world: World, b: int, s: int) -> str:
    """Return how a server may be read: ``"."`` gladly, ``"f"`` when nobody else can be, ``""`` not at all."""
    me = state.balancers[b]
    if not (me.up and me.connected[s] and reachable(state, b, s) and is_valid(me) and me.marks[s] in ".f"):
        return ""
    other = other_register(state, world, b)
    theirs = other.marks[s] if other is not None else "."
    if theirs in "dw":
        return "" if world.holds("read-clean") else "."
    return "f" if "f" in (theirs, me.marks[s]) else "."


def floor(me: Balancer, k: int) -> int:
    """Return the newest version that the guarantee lets no read through this balancer fall below."""
    held = [answer.acked[k] for answer in me.view if answer is not None]
    return max(me.own[k], min(held, default=0))


def readers(state: State, world: World, b: int, k: int) -> list[int]:
    """Return the servers that may be read for a key."""
    ways = {s: may_read(state, world, b, s) for s in COPIES[k]}
    best = [s for s, way in ways.items() if way == "."] or [s for s, way in ways.items() if way == "f"]
    if not world.holds("no-substitutes") and len(best) < len(COPIES[k]):
        best += [s for s in SERVERS if s not in COPIES[k] and may_read(state, world, b, s)]
    return best


def violation(state: State, world: World) -> str | None:
    """Say what is wrong in this state: some read would return less than what is guaranteed."""
    for b in BALANCERS:
        me = state.balancers[b]
        if not me.up or not is_valid(me):
            continue
        for k in range(world.keys):
            least = floor(me, k)
            for s in readers(state, world, b, k):
                item = state.servers[s].items[k]
                if item is None or item[0] >= least:
                    continue
                if item[1] != SETTLED and world.holds("skip-provisional") and may_read(state, world, b, s) == "f":
                    continue
                what = "resurrected" if "d" in state.kinds[k][item[0] : least] else "stale"
                return (
                    f"{what}: balancer {b} reads version {item[0]} of key {k} at server {s}, {least} was acknowledged"
                )
    return None


def is_well(state: State, world: World) -> bool:
    """Whether nothing is outstanding, and every balancer reads every copy."""
    return all(
        me.up and me.marks == "..." and all(may_read(state, world, b, s) == "." for s in SERVERS)
        for b, me in enumerate(state.balancers)
    )
