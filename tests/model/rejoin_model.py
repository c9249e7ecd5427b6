"""The other half of the model of decision 8: probes, registers, mending, filling, faults, and all steps of a state."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from model.judge import is_valid, may_read, other_register
from model.protocol_model import (
    BALANCERS,
    COPIES,
    EVERYTHING,
    QUORUM,
    SERVERS,
    SETTLED,
    Answer,
    Balancer,
    Fill,
    Register,
    State,
    Step,
    World,
    acknowledge,
    apply,
    arrive,
    give_up,
    miss,
    put,
    put2,
    reachable,
    set_mark,
    steps_of_changes,
    with_balancer,
    with_server,
)


def ended(state: State) -> tuple[int, ...]:
    """Return for each key how many of its changes are over."""
    return tuple(len(kinds) - (op is not None) for kinds, op in zip(state.kinds, state.ops, strict=True))


def look(state: State, b: int, s: int) -> State:
    """Read the other's register at a server."""
    me = state.balancers[b]
    other = state.servers[s].registers[1 - b]
    known = max((r for r in (me.known, other) if r is not None), default=None)
    return with_balancer(state, b, view=put(me.view, s, Answer(other, state.acked, ended(state))), known=known)


def refresh(state: State) -> State:
    """Let every probe happen at once that would tell nobody anything new.

    It only makes answers younger: the reader is held to more and knows no more, so this leaves out no violation.
    """
    over = ended(state)
    for b, me in enumerate(state.balancers):
        view = me.view
        for s, answer in enumerate(view):
            if answer is None or (answer.acked == state.acked and answer.ended == over):
                continue
            registers = state.servers[s].registers
            same = me.stored[s] == me.seq and registers[b] is not None and answer.other == registers[1 - b]
            if same and me.connected[s] and reachable(state, b, s):
                view = put(view, s, Answer(answer.other, state.acked, over))
        if view is not me.view:
            state = with_balancer(state, b, view=view)
    return state


def probe(state: State, world: World, b: int, s: int) -> State:
    """Look, see whether the own register vanished, and write it (by `cas`, so that nothing falls in between)."""
    me = state.balancers[b]
    there = state.servers[s].registers[b]
    vanished = there is None or there.seq < me.stored[s]
    if vanished and me.stored[s] >= 0:
        if me.marks[s] == "w" and me.ready[s]:
            state = emptied(state, world, b, s)
        elif me.marks[s] == "." and world.filling:
            state = set_mark(state, b, s, "f")
    if vanished and not world.holds("gone-after-ready") and me.marks[s] in "dw":
        state = emptied(state, world, b, s)
    state = look(state, b, s)
    if not state.balancers[1 - b].up and world.holds("pass-on"):
        state = pass_on(state, b, s)
    me = state.balancers[b]
    registers = put(state.servers[s].registers, b, Register(me.seq, me.marks, me.taken))
    state = with_server(state, s, registers=registers)
    state = with_balancer(state, b, stored=put(me.stored, s, me.seq), ready=put(me.ready, s, me.marks[s] == "w"))
    return acknowledge(state, world, b)


def pass_on(state: State, b: int, s: int) -> State:
    """Write what is known of the other where it is older or missing (by `cas` or `add`: never over a newer one)."""
    known, registers = state.balancers[b].known, state.servers[s].registers
    if known is None or known <= (registers[1 - b] or Register(-1, "...", 0)):
        return state
    return with_server(state, s, registers=put(registers, 1 - b, known))


def emptied(state: State, world: World, b: int, s: int) -> State:
    """The server holds nothing any more of what it missed."""
    state = with_balancer(state, b, missed=put(state.balancers[b].missed, s, 0))
    return set_mark(state, b, s, "f" if world.filling else ".")


def is_drained(state: State, world: World, b: int, s: int) -> bool:
    """Whether nothing of what this balancer gave up is left in the server's sockets."""
    return not state.zombies[b][s] or not world.holds("drain")


def replay(state: State, world: World, b: int, s: int) -> State:
    """Delete each key that was missed, and be clean."""
    me = state.balancers[b]
    if world.holds("replay"):
        for k in range(world.keys):
            if me.missed[s] >> k & 1:
                state = apply(state, b, s, ("del", k, 0))
    return set_mark(with_balancer(state, b, missed=put(me.missed, s, 0)), b, s, ".")


def steps_of_rejoin(state: State, world: World, b: int) -> Iterator[Step]:
    """Yield the probes of one balancer and what it does to make good what servers missed."""
    me = state.balancers[b]
    for s in SERVERS:
        if (not reachable(state, b, s) or not me.connected[s]) and me.view[s] is not None:
            yield f"lease-ends {b} {s}", with_balancer(state, b, view=put(me.view, s, None))
        if not reachable(state, b, s):
            continue
        if not me.connected[s]:
            yield f"connect {b} {s}", with_balancer(state, b, connected=put(me.connected, s, True))
            continue
        yield f"probe {b} {s}", probe(state, world, b, s)
        if world.holds("pass-on") and state.balancers[1 - b].up:  # it only seems to be silent
            yield f"pass-on {b} {s}", pass_on(state, b, s)
        if me.marks[s] == "d" and is_drained(state, world, b, s):
            if me.missed[s] & EVERYTHING:
                yield f"wait {b} {s}", set_mark(state, b, s, "w")
            else:
                yield f"replay {b} {s}", replay(state, world, b, s)
        if me.marks[s] == "w" and me.ready[s]:
            other = other_register(state, world, b)
            if b == 0 or other is None or other.marks[s] != "w":
                empty = (None,) * world.keys
                yield f"flush {b} {s}", with_server(state, s, items=empty, registers=(None, None))


# --- filling -----------------------------------------------------------------------------------------------------


def is_announced(state: State, world: World, b: int, s: int) -> bool:
    """Whether a quorum holds the mark and every view that may be read by shows it (a lease and a probe have passed)."""
    me, other = state.balancers[b], state.balancers[1 - b]
    seen = other_register(state, world, 1 - b)
    stored = sum(seq == me.seq for seq in me.stored) >= QUORUM
    return stored and (not other.up or not is_valid(other) or (seen is not None and seen.marks[s] == "f"))


def source(state: State, world: World, b: int, s: int, k: int) -> int | None:
    """Return the copy to fill from: it is unmarked."""
    return next((t for t in COPIES[k] if t != s and may_read(state, world, b, t) == "."), None)


def settle(state: State, world: World, b: int, fill: Fill) -> State | None:
    """Look at the source again: keep the value or delete it, if it is still ours (`cas`); None: not yet."""
    me, op = state.balancers[b], state.ops[fill.key]
    if op is not None and op.version <= fill.until:
        return None
    young = all(answer is None or answer.ended[fill.key] >= fill.until for answer in me.view)
    origin = source(state, world, b, fill.server, fill.key)
    if world.holds("fresh-source") and not young:
        return None
    state = with_balancer(state, b, fill=None)
    items = state.servers[fill.server].items
    if items[fill.key] != (fill.version, b):
        return state
    same = origin is not None and state.servers[origin].items[fill.key] == (fill.version, SETTLED)
    kept = (fill.version, SETTLED) if same else None
    return with_server(state, fill.server, items=put(items, fill.key, kept))


def steps_of_filling(state: State, world: World, b: int) -> Iterator[Step]:
    """Yield the copying of values to servers that were emptied, one at a time."""
    me = state.balancers[b]
    for s in SERVERS:
        if me.marks[s] != "f" or not me.connected[s] or not reachable(state, b, s):
            continue
        if me.fill is None:
            yield f"filled {b} {s}", set_mark(state, b, s, ".")
        if me.fill is None and (is_announced(state, world, b, s) or not world.holds("announce-fills")):
            for k in range(world.keys):
                origin = source(state, world, b, s, k) if s in COPIES[k] else None
                item = state.servers[origin].items[k] if origin is not None else None
                if item is not None and item[1] == SETTLED:
                    fetched = with_balancer(state, b, fill=Fill(s, k, item[0], False, 0))
                    queue = (*state.live[b][s], ("add", k, item[0]))
                    yield f"copy {b} {k} to {s}", fetched._replace(live=put2(fetched.live, b, s, queue))
        if me.fill is not None and me.fill.added and me.fill.server == s:
            settled = settle(state, world, b, me.fill)
            if settled is not None:
                yield f"settle {b}", settled
    for s in SERVERS:  # five seconds to live, no longer than somebody may be at work on it
        for k, item in enumerate(state.servers[s].items):
            if item is not None and item[1] == b and (me.fill is None or me.fill[:2] != (s, k)):
                yield f"expire {s} {k}", with_server(state, s, items=put(state.servers[s].items, k, None))


# --- faults ------------------------------------------------------------------------------------------------------


def restart(state: State, world: World, s: int) -> State:
    """Kill a server and start it: it is empty, every connection is reset."""
    state = with_server(state, s, items=(None,) * world.keys, registers=(None, None), frozen=False)
    for b in BALANCERS:
        state = state._replace(live=put2(state.live, b, s, ()), zombies=put2(state.zombies, b, s, ()))
        if state.balancers[b].connected[s]:
            told = state.balancers[b].stored[s] >= 0
            state = give_up(state, world, b, s, lost=True)
            if told and world.filling and state.balancers[b].marks[s] == ".":
                state = set_mark(state, b, s, "f")
    return state


def crash(state: State, b: int, *, arrived: bool) -> State:
    """Kill a balancer: its memory is gone, its clients see their connections closed.

    What it sent is executed before anybody can know of the crash, or is thrown away; a frozen server keeps it.
    """
    for s in SERVERS:
        state = arrive(state, b, s) if arrived else state
        left = (*state.zombies[b][s], *state.live[b][s]) if arrived else state.zombies[b][s]
        state = state._replace(live=put2(state.live, b, s, ()), zombies=put2(state.zombies, b, s, left))
    ops = tuple(None if op is not None and op.balancer == b else op for op in state.ops)
    no = (False,) * 3
    dead = Balancer(False, 0, "...", no, (0,) * 3, (-1,) * 3, no, (None,) * 3, None, 0, state.balancers[b].own, None)
    return state._replace(ops=ops, balancers=put(state.balancers, b, dead))


def revive(state: State, world: World, b: int, seen: tuple[int, ...]) -> State:
    """Start a balancer that reads some servers; a former life's debts are for every key."""
    state = with_balancer(state, b, up=True)
    own = [r for s in seen if (r := state.servers[s].registers[b]) is not None]
    if not world.holds("look-before-tell"):
        own = []
    newest = max(own, default=Register(len(state.kinds[0]) * 10, "...", 0))
    state = with_balancer(state, b, seq=newest.seq + 1, taken=newest.taken)
    for s in SERVERS:
        if newest.marks[s] in "dw":
            state = miss(state, world, b, s, EVERYTHING)
        elif newest.marks[s] == "f" and world.holds("keep-filling"):
            state = set_mark(state, b, s, "f")
    for s in seen:
        state = look(with_balancer(state, b, connected=put(state.balancers[b].connected, s, True)), b, s)
    return state


def bury(state: State, world: World, b: int) -> State | None:
    """Take over what a dead balancer owes; the register that marks `w` says so, and nobody's is deleted.

    (Why not deleted shows only with a third balancer: it may have asked one server before `w` was written there and
    another after the deletion, and so know of neither.)
    """
    me, register = state.balancers[b], other_register(state, world, b)
    if register is None or not set(register.marks) & set("dwf") or not is_valid(me):
        return None
    for s in SERVERS:
        if register.marks[s] in "dw":
            if not (me.connected[s] and reachable(state, b, s) and not state.zombies[1 - b][s]):
                return None
            state = miss(state, world, b, s, EVERYTHING)
    return with_balancer(state, b, taken=register.seq, seq=state.balancers[b].seq + 1)


def steps_of_death(state: State, world: World, b: int) -> Iterator[Step]:
    """Yield a balancer's start, and what the other does about its death."""
    me = state.balancers[b]
    if not me.up:
        seen = [s for s in SERVERS if state.links[b][s] and not state.servers[s].frozen]
        for size in range(QUORUM, len(seen) + 1):
            for some in combinations(seen, size):
                yield f"start {b} {' '.join(map(str, some))}", revive(state, world, b, some)
        return
    if state.balancers[1 - b].up:
        return
    buried = bury(state, world, b)
    if buried is not None and buried != state:
        yield f"take-over {b}", buried


def steps_of_faults(state: State, world: World) -> Iterator[Step]:
    """Yield what breaks, and what heals."""
    for fault in world.faults:
        name, *where = fault.split()
        place = [int(word) for word in where]
        left = state._replace(faults=state.faults + 1)
        can = state.faults < world.budget
        if name == "cut" and can and state.links[place[0]][place[1]]:
            yield fault, left._replace(links=put2(state.links, place[0], place[1], False))
        elif name == "freeze" and can and not state.servers[place[0]].frozen:
            yield fault, with_server(left, place[0], frozen=True)
        elif name == "restart" and can:
            yield fault, restart(left, world, place[0])
        elif name == "crash" and can and state.balancers[place[0]].up:
            yield fault, crash(left, place[0], arrived=True)
            if any(state.live[place[0]]):
                yield f"{fault} lost", crash(left, place[0], arrived=False)
        if name == "cut" and not state.links[place[0]][place[1]] and not state.live[place[0]][place[1]]:
            yield f"heal {' '.join(where)}", state._replace(links=put2(state.links, place[0], place[1], True))
        elif name == "freeze" and state.servers[place[0]].frozen:
            yield f"thaw {' '.join(where)}", with_server(state, place[0], frozen=False)


def steps(state: State, world: World) -> Iterator[Step]:
    """Yield everything that may happen next."""
    for label, after in raw_steps(state, world):
        yield label, refresh(after)


def raw_steps(state: State, world: World) -> Iterator[Step]:
    """Yield every single step."""
    for b in BALANCERS:
        yield from steps_of_death(state, world, b)
        if state.balancers[b].up:
            yield from steps_of_changes(state, world, b)
            yield from steps_of_rejoin(state, world, b)
            if world.filling:
                yield from steps_of_filling(state, world, b)
        for s in SERVERS:
            if state.zombies[b][s] and not state.servers[s].frozen:
                request, *rest = state.zombies[b][s]
                left = state._replace(zombies=put2(state.zombies, b, s, tuple(rest)))
                yield f"zombie {b} {s}", apply(left, b, s, request)
    yield from steps_of_faults(state, world)


def is_fault(label: str) -> bool:
    """Whether a step is a fault or a client's new change: what stops when all is to become well."""
    return label.split(maxsplit=1)[0] in {"cut", "freeze", "restart", "crash", "begin"}
