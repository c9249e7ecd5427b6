"""Questions in Python are answered by copies of the process that looks, as a new Python would; and looks stand back."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from quorate.core.observed import Answer, Unknown
from quorate.core.system import Question
from quorate.transport.local import LocalTransport
from quorate.transport.remote import observe
from quorate.transport.request import observe_request, read_observed


async def put(code: str, *arguments: str, timeout: float = 20.0, nice: int = 0) -> Answer | Unknown:
    """Put a Python question as a controller is asked, in a process of its own, which copies itself for it."""
    request = observe_request([], {"a": [Question("q", ("python3", "-c", code, *arguments), timeout)]}, nice=nice)
    reply = await LocalTransport("c1").run(request.argv, request.stdin, timeout=request.timeout)
    return read_observed("c1", reply).answers["a"]["q"]


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("import sys; print(*sys.argv); print('err', file=sys.stderr)", (0, "-c 1 two words\n", "err\n")),
        ("import sys; sys.exit(int(sys.argv[1]) + 4)", (5, "", "")),
        ("import sys; sys.exit('no such thing')", (1, "", "no such thing\n")),
        ("raise ValueError('so')", (1, "", "ValueError: so\n")),
        ("if __name__ == '__main__': print(open(0).read() == '')", (0, "True\n", "")),
        ("import os; print(os.getcwd(), sorted(map(int, os.listdir('/proc/self/fd')))[:-1])", (0, "/ [0, 1, 2]\n", "")),
        ("import os; print(os.environ['HOME'], len(os.environ))", (0, "/root 3\n", "")),
        ("import signal; print(signal.getsignal(15) == signal.SIG_DFL)", (0, "True\n", "")),
        ("import threading as t; a = t.Thread(target=print, args=['b']); a.start(); a.join()", (0, "b\n", "")),
    ],
)
async def test_a_copy_answers_as_a_new_python_would(code: str, answer: tuple[int, str, str]) -> None:
    assert await put(code, "1", "two words") == Answer(code=answer[0], out=answer[1], err=answer[2])


async def test_a_copy_that_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    start = f"import subprocess, time; open({str(note)!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))"
    answer = await put(f"{start}; time.sleep(60)", timeout=0.5)
    assert isinstance(answer, Unknown)
    assert "no answer within 0.5 s" in answer.why
    assert not os.path.exists(f"/proc/{note.read_text()}/cwd")  # noqa: ASYNC240, PTH110 - one look


async def test_what_is_not_seen_in_time_hides_nothing_and_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    slow = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    asked = [Question("slow", ("python3", "-c", slow), 30.0), Question("quick", ("echo", "here"), 30.0)]
    request = observe_request([], {"a": asked})
    reply = await LocalTransport("c1").run(request.argv, request.stdin, timeout=observe.WAY + 2.0)
    answers = read_observed("c1", reply).answers["a"]
    assert answers["quick"] == Answer(code=0, out="here\n", err="")
    assert isinstance(answers["slow"], Unknown)
    assert re.fullmatch(r"no answer within [12][.0-9]* s: python3", answers["slow"].why)
    assert not os.path.exists(f"/proc/{note.read_text()}/cwd")  # noqa: ASYNC240, PTH110 - one look


async def test_what_cannot_be_imported_hurts_nobody_else() -> None:
    lacks, has = "import json, no_such_module", "import json; print(json.dumps(1))"
    asked = {name: [Question("q", ("python3", "-c", code), 20.0)] for name, code in (("a", lacks), ("b", has))}
    request = observe_request([], asked)
    answers = read_observed("c1", await LocalTransport("c1").run(request.argv, request.stdin, timeout=20.0)).answers
    assert "No module named 'no_such_module'" in repr(answers["a"]["q"])
    assert answers["b"]["q"] == Answer(code=0, out="1\n", err="")


async def test_a_look_stands_back() -> None:
    answer = await put("import os; print(os.nice(0))", nice=7)
    assert answer == Answer(code=0, out=f"{os.nice(0) + 7}\n", err="")


GROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(not GROUP.exists(), reason="a kernel without CONFIG_SCHED_AUTOGROUP")
@pytest.mark.parametrize("argv", [("python3", "-c", f"print(open('{GROUP}').read())"), ("cat", str(GROUP))])
async def test_a_look_stands_back_as_one_session_among_others(argv: tuple[str, ...]) -> None:
    own = GROUP.read_text()  # noqa: ASYNC240 - one look
    request = observe_request([], {"a": [Question("q", argv)]}, nice=7)
    reply = await LocalTransport("c1").run(request.argv, request.stdin, timeout=request.timeout)
    answer = read_observed("c1", reply).answers["a"]["q"]
    assert f" nice {os.nice(0) + 7}\\n" in repr(answer)
    assert GROUP.read_text() == own  # noqa: ASYNC240 - one look
