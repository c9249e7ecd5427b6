"""Decision 8 as a machine of states: two balancers, three servers, two keys, and everything that may happen to them.

What is modelled. A change travels in a first-in-first-out queue for each connection; a server takes requests out of
any queue, in any order of queues, at any time. Giving up leaves what was in the queue behind as *zombies*: the server
may still execute them, unless a cut threw them away. A probe writes the own register and reads the other's at once.
Changes of one key begin one after the other (the guarantee says so); changes of two keys overlap.

Time. There is no clock. A view is what a balancer holds of the servers' answers; the lease lets it drop the answer of a
server that does not answer. Each answer carries what was acknowledged when it was given, so "no read that begins
more than one lease and one probe later" is: a reader is held to what was acknowledged before
ALL answers that it still holds.

Versions of a key count up with each change, so "older" is a comparison. Reads have no state of their own: in every
state each balancer is asked what each key would be read as.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

BALANCERS, SERVERS = (0, 1), (0, 1, 2)
COPIES = ((0, 1), (0, 2))  # the third server is the spare of the first key, the second of the second
QUORUM = 2
EVERYTHING = 4  # in a mask of missed keys: any key
SETTLED = -1

LAWS = frozenset(
    {
        "publish",  # a change that a copy missed is acknowledged when a quorum holds the mark
        "read-clean",  # a server that another marks `d` or `w` is not read
        "drain",  # nothing is mended before the connections given up are gone
        "replay",  # each key missed is deleted
        "settle-fills",  # a copied value stays provisional until changes that may overlap have ended
        "gone-after-ready",  # a vanished register counts only if it was set after draining, on this connection
        "no-substitutes",  # no other server than the copies ever holds a key
        # what this model showed the first draft to lack (test_model.py has a trace for each):
        "apart",  # the guarantee takes changes of a key through two balancers within one lease as simultaneous
        "look-before-tell",  # a balancer that starts reads a quorum before it writes any register
        "keep-filling",  # ... and keeps its former life's `f`
        "announce-fills",  # nothing is copied before every view that may be read by shows `f`
        "fresh-source",  # the second look at a source needs a view that is younger than the changes it waited for
        "missed-fills",  # a copy under way on a connection that is given up is missed like a change
        "skip-provisional",  # a provisional value is a miss to readers, whatever else is lost
        "pass-on",  # ... and who remembers it writes it where a server shows an older one, when its owner is silent
        "remember",  # what was once seen of a register holds until its owner, or who takes it over, says otherwise
    }
)


@dataclass(frozen=True)
class World:
    """What may happen in an exploration, and which laws hold."""

    off: frozenset[str] = frozenset()
    changes: int = 2
    deletes: bool = True
    keys: int = 1
    log: int = 2  # keys that fit into the log of a server
    filling: bool = False
    prompt: tuple[int, ...] = ()  # servers that execute at once: with nothing wrong there, order does not matter
    faults: tuple[str, ...] = ()  # "cut", "freeze", "restart", "crash", each with its place: "cut 0 0"
    budget: int = 1

    def holds(self, law: str) -> bool:
        """Whether a law is in force."""
        assert law in LAWS
        return law not in self.off


class Register(NamedTuple):
    """What a balancer writes of itself; `taken`: up to this number the other's debts are its own now."""

    seq: int
    marks: str
    taken: int


class Answer(NamedTuple):
    """A server's answer to a probe; `acked` and `ended` (for judging): the changes of each key over by then."""

    other: Register | None
    acked: tuple[int, ...]
    ended: tuple[int, ...]


class Fill(NamedTuple):
    """A value on its way from a copy to a server that was emptied; `until` is the change that may overlap with it."""

    server: int
    key: int
    version: int
    added: bool
    until: int


class Server(NamedTuple):
    """A memcached: items are (version, who holds it provisional or SETTLED)."""

    frozen: bool
    items: tuple[tuple[int, int] | None, ...]
    registers: tuple[Register | None, ...]


class Balancer(NamedTuple):
    """A balancer: tuples have an entry for each server."""

    up: bool
    seq: int
    marks: str
    connected: tuple[bool, ...]
    missed: tuple[int, ...]
    stored: tuple[int, ...]  # the newest own register there, as written on this connection; -1: none
    ready: tuple[bool, ...]  # the register there was set after draining
    view: tuple[Answer | None, ...]
    known: Register | None  # the other's newest register ever seen
    taken: int
    own: tuple[int, ...]  # acknowledged here (for judging)
    fill: Fill | None


class Op(NamedTuple):
    """A change under way."""

    balancer: int
    version: int
    kind: str
    waiting: frozenset[int]
    applied: frozenset[int]
    alone: bool


Request = tuple[str, int, int]  # set, del or add; key; version
Queues = tuple[tuple[tuple[Request, ...], ...], ...]


class State(NamedTuple):
    """Everything; `live` and `zombies` are the queues of each balancer at each server."""

    servers: tuple[Server, ...]
    balancers: tuple[Balancer, ...]
    links: tuple[tuple[bool, ...], ...]
    live: Queues
    zombies: Queues
    ops: tuple[Op | None, ...]
    acked: tuple[int, ...]
    kinds: tuple[str, ...]  # of the changes of each key so far: "sd" is a write, then a delete
    faults: int


Step = tuple[str, State]
T = TypeVar("T")


def put(row: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    """Return the tuple with one entry replaced."""
    return (*row[:index], value, *row[index + 1 :])


def put2(rows: tuple[tuple[T, ...], ...], first: int, second: int, value: T) -> tuple[tuple[T, ...], ...]:
    """Return the table with one entry replaced."""
    return put(rows, first, put(rows[first], second, value))


def mark(marks: str, server: int, new: str) -> str:
    """Return the marks with one replaced."""
    return marks[:server] + new + marks[server + 1 :]


def start(world: World) -> State:
    """Everything is well: one written value of each key on both copies, everybody knows everybody."""
    register = Register(1, "...", 0)
    old = (1,) * world.keys
    servers = tuple(
        Server(False, tuple((1, SETTLED) if s in COPIES[k] else None for k in range(world.keys)), (register, register))
        for s in SERVERS
    )
    answer = Answer(register, old, old)
    balancer = Balancer(
        True, 1, "...", (True,) * 3, (0,) * 3, (1,) * 3, (False,) * 3, (answer,) * 3, register, 0, old, None
    )
    none: Queues = (((), (), ()),) * 2
    return State(
        servers, (balancer, balancer), ((True,) * 3,) * 2, none, none, (None,) * world.keys, old, ("s",) * world.keys, 0
    )


def reachable(state: State, b: int, s: int) -> bool:
    """Whether the server would answer the balancer now."""
    return state.links[b][s] and not state.servers[s].frozen and state.balancers[b].up


def with_balancer(state: State, b: int, **changes: object) -> State:
    """Return the state with one balancer changed."""
    return state._replace(balancers=put(state.balancers, b, state.balancers[b]._replace(**changes)))  # type: ignore[arg-type]


def with_server(state: State, s: int, **changes: object) -> State:
    """Return the state with one server changed."""
    return state._replace(servers=put(state.servers, s, state.servers[s]._replace(**changes)))  # type: ignore[arg-type]


def set_mark(state: State, b: int, s: int, new: str) -> State:
    """Mark a server; a new mark is a new register."""
    me = state.balancers[b]
    if me.marks[s] == new:
        return state
    return with_balancer(state, b, marks=mark(me.marks, s, new), seq=me.seq + 1)


# --- a change ----------------------------------------------------------------------------------------------------


def miss(state: State, world: World, b: int, s: int, keys: int) -> State:
    """Remember keys that a server missed, and mark it."""
    me = state.balancers[b]
    missed = me.missed[s] | keys
    if missed & EVERYTHING or (missed).bit_count() > world.log:
        missed = EVERYTHING
    state = with_balancer(state, b, missed=put(me.missed, s, missed))
    return set_mark(state, b, s, "d") if me.marks[s] in ".f" else state


def begin(state: State, world: World, b: int, k: int, kind: str) -> State:
    """Pass a client's change on to every copy that is connected; the others miss it."""
    me = state.balancers[b]
    version = len(state.kinds[k]) + 1
    targets = [s for s in COPIES[k] if me.connected[s]]
    if not world.holds("no-substitutes") and len(targets) < len(COPIES[k]):
        targets += [s for s in SERVERS if s not in COPIES[k] and me.connected[s]]
    # what another balancer did to this key just before is known here: every answer held is younger
    alone = min((a.ended[k] for a in me.view if a is not None), default=0) == version - 1
    for s in targets:
        if state.links[b][s]:
            queue = (*state.live[b][s], ("set" if kind == "s" else "del", k, version))
            state = state._replace(live=put2(state.live, b, s, queue))
    op = Op(b, version, kind, frozenset(targets), frozenset(), alone)
    state = state._replace(ops=put(state.ops, k, op), kinds=put(state.kinds, k, state.kinds[k] + kind))
    for s in COPIES[k]:
        if s not in targets:
            state = miss(state, world, b, s, 1 << k)
    for s in targets:
        if s in world.prompt and state.live[b][s]:
            state = execute(state, world, b, s)
    return acknowledge(state, world, b)


def acknowledge(state: State, world: World, b: int) -> State:
    """Answer the clients whose changes are certain: applied by every copy, or marked where a quorum sees it."""
    for k, op in enumerate(state.ops):
        if op is None or op.balancer != b or op.waiting or (op.kind == "s" and not op.applied):
            continue
        me = state.balancers[b]
        published = sum(seq == me.seq for seq in me.stored) >= QUORUM or not world.holds("publish")
        if not all(s in op.applied or (me.marks[s] in "dw" and published) for s in COPIES[k]):
            continue
        state = state._replace(ops=put(state.ops, k, None), acked=put(state.acked, k, op.version))
        if op.alone or not world.holds("apart"):
            state = with_balancer(state, b, own=put(me.own, k, op.version))
    return state


def apply(state: State, b: int, s: int, request: Request) -> State:
    """Let a server execute a request."""
    verb, k, version = request
    items = state.servers[s].items
    if verb == "add":
        return state if items[k] is not None else with_server(state, s, items=put(items, k, (version, b)))
    return with_server(state, s, items=put(items, k, (version, SETTLED) if verb == "set" else None))


def execute(state: State, world: World, b: int, s: int) -> State:
    """Let a server take the next request of a connection and answer it; a cut link loses the answer."""
    request, *rest = state.live[b][s]
    was = state.servers[s].items[request[1]]
    state = state._replace(live=put2(state.live, b, s, tuple(rest)))
    state = apply(state, b, s, request)
    verb, k, version = request
    if not state.links[b][s]:
        return state
    op, fill = state.ops[k], state.balancers[b].fill
    if verb == "add" and fill is not None:
        under_way = op.version if op is not None else 0
        added = fill._replace(added=True, until=under_way) if was is None else None
        if added is not None and not world.holds("settle-fills"):
            state, added = with_server(state, s, items=put(state.servers[s].items, k, (version, SETTLED))), None
        state = with_balancer(state, b, fill=added)
    elif op is not None and op.balancer == b and op.version == version:
        op = op._replace(waiting=op.waiting - {s}, applied=op.applied | {s})
        state = state._replace(ops=put(state.ops, k, op))
    return acknowledge(state, world, b)


def arrive(state: State, b: int, s: int, *, late: bool = False) -> State:
    """Let a server that runs execute what it holds of a connection: only a frozen or slow one keeps it for later."""
    if not state.servers[s].frozen and not late:
        for request in (*state.zombies[b][s], *state.live[b][s]):
            state = apply(state, b, s, request)
        state = state._replace(live=put2(state.live, b, s, ()), zombies=put2(state.zombies, b, s, ()))
    return state


def give_up(state: State, world: World, b: int, s: int, *, lost: bool) -> State:
    """Reset the connection: what is under way is missed; what the server holds in its sockets is left or lost."""
    me = state.balancers[b]
    left = state.live[b][s]
    fill = me.fill
    copying = fill is not None and fill.server == s and not fill.added
    zombies = () if lost else (*state.zombies[b][s], *left)
    state = state._replace(live=put2(state.live, b, s, ()), zombies=put2(state.zombies, b, s, zombies))
    state = with_balancer(
        state, b, connected=put(me.connected, s, False), stored=put(me.stored, s, -1), ready=put(me.ready, s, False),
        fill=None if fill is not None and fill.server == s else fill,
    )  # fmt: skip
    if me.marks[s] == "w":
        state = set_mark(state, b, s, "d")
    for k, op in enumerate(state.ops):
        if op is not None and op.balancer == b and s in op.waiting:
            state = state._replace(ops=put(state.ops, k, op._replace(waiting=op.waiting - {s})))
            state = miss(state, world, b, s, 1 << k) if s in COPIES[k] else state
    if me.fill is not None and copying and world.holds("missed-fills"):
        state = miss(state, world, b, s, 1 << me.fill.key)
    return acknowledge(state, world, b)


def must_refuse(state: State, b: int) -> bool:
    """Whether a change with nothing under way is refused: no quorum can be told, or it was and no copy applied it."""
    me = state.balancers[b]
    can_tell = sum(me.connected[s] and reachable(state, b, s) for s in SERVERS) >= QUORUM
    return not can_tell or sum(seq == me.seq for seq in me.stored) >= QUORUM


def steps_of_changes(state: State, world: World, b: int) -> Iterator[Step]:
    """Yield what may happen to the changes of one balancer."""
    me = state.balancers[b]
    for k in range(world.keys):
        op = state.ops[k]
        if op is None and sum(map(len, state.kinds)) - world.keys < world.changes:
            for kind in "sd" if world.deletes else "s":
                yield f"begin {b} {kind}{k}", begin(state, world, b, k, kind)
        if op is not None and op.balancer == b and not op.waiting and must_refuse(state, b):
            yield f"fail {b} {k}", state._replace(ops=put(state.ops, k, None))
    for s in SERVERS:
        if state.live[b][s] and not state.servers[s].frozen:
            yield f"execute {b} {s}", execute(state, world, b, s)
        waiting = any(op is not None and op.balancer == b and s in op.waiting for op in state.ops)
        late = bool(waiting or state.live[b][s]) and "late" in world.faults
        if me.connected[s] and (late or not reachable(state, b, s)):
            yield f"give-up {b} {s}", give_up(arrive(state, b, s, late=late), world, b, s, lost=False)
            if not state.links[b][s] and state.live[b][s]:
                yield f"give-up-and-lose {b} {s}", give_up(state, world, b, s, lost=True)
