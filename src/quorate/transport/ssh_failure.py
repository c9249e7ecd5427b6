"""Why an ssh connection did not come about, in words that an operator can act on."""

from __future__ import annotations

import contextlib
import errno
import shlex
import socket
from pathlib import Path

import asyncssh

from quorate.errors import Unreachable

_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN}


class Client(asyncssh.SSHClient):
    """How far an attempt to connect has come, for the message where it goes no further."""

    def __init__(self) -> None:
        self.conn: asyncssh.SSHClientConnection | None = None
        self.admitted = False
        self.offered: asyncssh.SSHKey | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """Notice that the machine accepted the connection."""
        self.conn = conn

    def auth_completed(self) -> None:
        """Notice that it let us in."""
        self.admitted = True

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Refuse, always: we are asked only about a key that is not known."""
        del host, addr, port
        self.offered = key
        return False

    @property
    def greeted(self) -> bool:
        """Whether its sshd has said a word."""
        return self.conn is not None and self.conn.get_extra_info("server_version") is not None


def explained(
    host: str,
    error: Exception,
    client: Client,
    options: asyncssh.SSHClientConnectionOptions | None,
    known_hosts: Path | None,
) -> Unreachable:
    """Turn what went wrong while opening a connection into Unreachable. `known_hosts`: the file that was asked for."""
    if options is None:
        return Unreachable(host, f"the ssh settings cannot be used: {error}", hint="See `ssh:` and ~/.ssh/config.")
    where = f"{options.host} port {options.port}"
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return _host_key(host, error, client.offered, options, known_hosts)
        case asyncssh.KeyExchangeFailed():
            hint = f"`ssh-keyscan -p {options.port} {options.host}` shows its host keys; another kind may be known."
            return Unreachable(host, f"ssh finds no common ground with {where}: {error.reason}", hint=hint)
        case asyncssh.PermissionDenied():
            login = shlex.join(["ssh", "-p", str(options.port), f"{options.username}@{options.host}", "true"])
            hint = f"`{login}` must work without a password: see `ssh:`, ~/.ssh/config and `ssh-add -l`."
            return Unreachable(host, f"authentication failed as {options.username} at {where}", hint=hint)
        case asyncssh.ChannelOpenError():
            return Unreachable(host, f"the jump host cannot reach {where}: {error.reason}")
        case asyncssh.Error() | ConnectionResetError() if not client.greeted:
            hint = "sshd may be starting, stopping, or dropping connections (MaxStartups, a firewall)."
            return Unreachable(host, f"{where} closed the connection without an ssh banner: {error}", hint=hint)
        case asyncssh.Error():
            return Unreachable(host, f"ssh to {where} ended: {error.reason}")
        case socket.gaierror():
            return Unreachable(host, f"the name {options.host} cannot be resolved: {error.strerror}")
        case ConnectionRefusedError():
            return Unreachable(host, f"refused: nothing listens at {where}")
        case OSError() if error.errno in _NO_ROUTE:
            return Unreachable(host, f"no route to {where}: {error.strerror}")
        case _:
            return Unreachable(host, f"cannot connect to {where}: {error}")


def _host_key(
    host: str,
    error: asyncssh.HostKeyNotVerifiable,
    offered: asyncssh.SSHKey | None,
    options: asyncssh.SSHClientConnectionOptions,
    known_hosts: Path | None,
) -> Unreachable:
    """Say which key was offered, and how it becomes a known one once a person has compared it."""
    if offered is None:  # a revoked or expired one, a certificate
        return Unreachable(host, f"host key refused: {error.reason}")
    name = str(options.host_key_alias or options.host)
    known = options.known_hosts
    configured = str(known[0]) if isinstance(known, list | tuple) and known else "~/.ssh/known_hosts"
    file = shlex.quote(str(known_hosts)) if known_hosts is not None else configured
    entry = name if options.port == 22 else f"[{name}]:{options.port}"
    key = f"{offered.get_algorithm()} {offered.get_fingerprint()}"
    compare = f"On its console `for k in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $k; done` must show {key}; if so: "
    add = f"ssh-keyscan -p {options.port} {shlex.quote(str(options.host))} >> {file}"
    if _is_known(known, name, options.port):
        remove = f"ssh-keygen -R {shlex.quote(entry)} -f {file}"
        why = f"its host key has changed to {key}: it was installed anew, or someone is in between"
        return Unreachable(host, why, hint=f"{compare}{remove}; {add}")
    return Unreachable(host, f"its host key is not known: {key}", hint=f"{compare}{add}")


def _is_known(known: object, name: str, port: int) -> bool:
    """Whether a key is known for this name; a file that cannot be read has none."""
    if not isinstance(known, str | bytes | list | tuple) or not known:
        known = ()
    with contextlib.suppress(OSError, ValueError):
        keys = asyncssh.match_known_hosts(known or b"# none\n", name, "", port if port != 22 else None)
        return bool(keys[0])
    return False
