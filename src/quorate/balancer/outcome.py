"""What a server's reply to a command means: for the copies that follow, for the client, and for law 3."""

from __future__ import annotations

from quorate.balancer import meta
from quorate.balancer.command import VERBS, Command, Shape, Way
from quorate.balancer.replies import ERRORS, keys, values

_FOLLOWED_BY_SET = frozenset({b"add", b"replace", b"cas"})
_STORAGE = frozenset({b"set", b"append", b"prepend"}) | _FOLLOWED_BY_SET
_YES = (b"STORED", b"HD", b"VA ", b"DELETED", b"TOUCHED", b"OK", b"RESET", b"VALUE ", *[b"%d" % d for d in range(10)])
_DROPPED = (b"SERVER_ERROR object too large for cache\r\n", b"SERVER_ERROR out of memory storing object\r\n")
_CERTAIN = {
    b"set": (b"STORED\r\n", *_DROPPED),
    b"ms": (b"HD", *_DROPPED),
    b"delete": (b"DELETED\r\n", b"NOT_FOUND\r\n"),
    b"md": (b"HD", b"NF"),
}


def fits(command: Command, reply: bytes) -> bool:
    """Whether a complete reply can be one to this command at all; if not, it belongs to something else (law 1)."""
    if reply.startswith(b"VALUE "):
        return all(key in command.keys for key in keys(reply))
    return reply.startswith(VERBS[command.verb].replies + ERRORS)


def certain(command: Command, reply: bytes) -> bool:
    """Whether the server that replied surely holds nothing older than this set or delete.

    A `set` or `ms` for which memcached finds no room drops the old value, so these two errors are certain as well.
    """
    return reply.startswith(_CERTAIN[command.verb])


def succeeded(command: Command, reply: bytes) -> bool:
    """Whether the reply is the verb's yes. A delete that found nothing is certain, but no yes."""
    del command
    return reply.startswith(_YES)


def hidden(command: Command, reply: bytes) -> bool:
    """Whether the client asked not to see this reply (noreply, meta's q)."""
    return reply.startswith(command.silent)


def with_cas(command: Command, token: int) -> bytes:
    """Return the line with the server's own token (cas.NEVER for a token of another server or life)."""
    if command.shape is Shape.META:
        return meta.with_cas(command, token)
    return command.line[: command.line.rindex(b" ")] + b" %d\r\n" % token


def follow(command: Command, home_reply: bytes) -> bytes | None:
    """Return the line for the other copies after the home's reply; None: they need nothing.

    The reply to it has the command's own shape. What depends on the old value is done again, the rest becomes a `set`.
    """
    if command.shape is Shape.META:
        return meta.follow(command, home_reply)
    if not home_reply.startswith(_YES):
        return None
    if command.verb in _FOLLOWED_BY_SET:
        return b"set " + b" ".join(command.line.rstrip().split(b" ")[1:5]) + b"\r\n"
    if command.verb == b"gats":
        return b"gat" + command.line[4:]
    return command.line


def follow_has_block(command: Command) -> bool:
    """Whether the command's data block goes with `follow`'s line."""
    if command.verb == b"ms":
        return not meta.follows_by_delete(command)
    return command.verb in _STORAGE


def agrees(command: Command, home_reply: bytes, copy_reply: bytes) -> bool:
    """Whether a copy that was sent `follow`'s line now holds what the home holds, or nothing. If not: delete there."""
    if command.shape is Shape.META:
        return meta.agrees(command, home_reply, copy_reply)
    verb = command.verb
    if verb in _STORAGE:
        return copy_reply == b"STORED\r\n"  # NOT_STORED after append: nothing there, or no room for the longer value
    if command.shape is Shape.VALUES:
        return copy_reply == b"END\r\n" or _contents(home_reply) == _contents(copy_reply)
    return copy_reply in {b"NOT_FOUND\r\n", home_reply}


def _contents(reply: bytes) -> list[tuple[bytes, int, bytes]] | None:
    if not reply.startswith(b"VALUE "):
        return None
    return [(key, flags, reply[start:end]) for key, flags, start, end, _cas in values(reply)]


def delete_line(command: Command, index: int = 0) -> bytes:
    """Return the line that deletes one of the command's keys; the reply is HD or NF (Shape.META)."""
    return meta.delete_key(command.hashed[index])


def miss(command: Command) -> bytes:
    """Return what a read that cannot be answered gets; `hidden` may still apply."""
    return meta.reply(command, b"EN") if command.shape is Shape.META else b"END\r\n"


def exists(command: Command) -> bytes:
    """Return what a change gets whose token cannot match."""
    return meta.reply(command, b"EX") if command.shape is Shape.META else b"EXISTS\r\n"


def gone(command: Command) -> bytes | None:
    """Return the yes of a delete that is done by nobody reading what it deletes; None: it is no delete."""
    if command.verb == b"delete":
        return b"DELETED\r\n"
    if command.verb == b"md" and command.way is Way.EVERY:
        return meta.reply(command, b"HD")
    return None


def refusal(command: Command) -> bytes:
    """Return what a command gets that cannot be carried out: a miss, not stored, or an error line."""
    if command.shape is Shape.VALUES or command.verb in {b"mg", b"me"}:
        return miss(command)
    if command.verb == b"ms":
        return meta.reply(command, b"NS")
    return VERBS[command.verb].refusal
