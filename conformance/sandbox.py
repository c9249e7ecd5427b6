"""One run of tests in a network of its own: start the daemons, wait until they answer, run the command, look who lives.

`python -m conformance.sandbox JOB`, as the first process of new network and process namespaces (run.py makes them): all
that it starts dies with it. JOB is a JSON file: engine, servers, copies, folder, proxy, command, where, environment.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from conformance.engines import HOST, ROOT, Command, Layout, daemons

SILENT = 3
"""Exit code: the engine did not answer."""
ENDED = 4
"""Exit code: the engine ended while the tests ran."""
PATIENCE = 60.0
"""Seconds until a daemon must answer; on a busy machine python3 alone takes several to start."""
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def main(arguments: Sequence[str]) -> int:
    """Run the job; the exit code tells only how the engine fared."""
    job = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    folder = Path(job["folder"])
    up()
    with (folder / "engine.log").open("a", encoding="utf-8") as log:
        wanted = daemons(job["engine"], Layout(job["servers"], job["copies"]), folder, job["proxy"])
        running = []
        for (
            command
        ) in wanted:  # one after the other: twemproxy does not look again for 30 s at a server that was not there
            running.append(start(command, folder, log.fileno()))
            if not answers(running[-1], command.port, log):
                return SILENT
        with (folder / "output.txt").open("w", encoding="utf-8") as output:
            environment = {**os.environ, **job["environment"], "PYTHONPATH": str(ROOT / "conformance/supplied")}
            subprocess.run(
                job["command"], cwd=job["where"], env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        ended = any(process.poll() is not None for process in running)
    return ENDED if ended else 0


def up() -> None:
    """Bring up the loopback interface of the new network."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))


def start(command: Command, folder: Path, log: int) -> subprocess.Popen[bytes]:
    """Start a daemon; what it says goes to the log."""
    if command.file is not None:
        name, text = command.file
        (folder / name).write_text(text, encoding="utf-8")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    environment = {**os.environ, "PATH": path, **(command.environment or {})}
    return subprocess.Popen(command.words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def answers(daemon: subprocess.Popen[bytes], port: int, log: TextIO) -> bool:
    """Wait until a value can be stored, in vain if the daemon ends or takes too long; the log tells which."""
    end = time.monotonic() + PATIENCE
    last = b"nothing"
    while time.monotonic() < end and daemon.poll() is None:
        try:
            with socket.create_connection((HOST, port), timeout=1) as link:
                link.sendall(b"set conformance 0 1 1\r\nx\r\n")
                last = link.recv(100)
                if last == b"STORED\r\n":
                    return True
        except OSError as error:
            last = str(error).encode()
        time.sleep(0.02)
    how = f"ended with {daemon.returncode}" if daemon.returncode is not None else f"no STORED within {PATIENCE:.0f} s"
    log.write(f"port {port}: {how}; last seen: {last!r}\n")
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
