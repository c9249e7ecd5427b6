"""Read the request, have it answered by the file of its verb, write the reply, and go without waiting for anything."""

from __future__ import annotations

import json
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Answer one request and end the process."""
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # whoever asked may be cut off: what was begun is brought to its end
    code = 0
    try:
        request = json.loads(sys.stdin.buffer.read())
        reply = sys.modules[f"quorate.transport.remote.{request['verb']}"].handle(request)
    except Exception as error:  # noqa: BLE001 - the operator reads it, not this machine's console
        reply, code = {"error": f"{type(error).__name__}: {error}"}, 1
    try:
        sys.stdout.write(f"{json.dumps(reply)}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        code = 1
    _kill_running()
    os._exit(code)  # threads that hang on a disk are not waited for


def _kill_running() -> None:
    program = sys.modules.get("quorate.transport.remote.program")
    for group in list(program.RUNNING) if program else ():
        program.kill(group)  # type: ignore[union-attr]


def _stop(_number: int, _frame: Any) -> None:
    """End on SIGTERM, and with us the programs that we run; `finally` clauses are done."""
    _kill_running()
    raise SystemExit(143)
