"""The only file that prints. Results go to stdout; progress, questions and errors go to stderr.

A program that reads stdout gets the result and nothing else: one JSON value with `--output json`. `NO_COLOR` and
outputs that are no terminals get plain text.
"""

from __future__ import annotations

import json
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from quorate.core.visible import visible
from quorate.errors import InvalidInput, QuorateError

_WIDE = 200


def result(data: Any, output: str, text: Callable[[], RenderableType]) -> None:
    """Print what came of it: `data` as JSON, or what `text` makes for a person."""
    _STATUS.end()
    if output == "json":
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
        sys.stdout.flush()
        return
    _print(_console(), text())


def page(text: RenderableType) -> None:
    """Print something to read that is not the result: a plan before a question, a word on what happens next."""
    _STATUS.end()
    _print(_console(stderr=True), text)


def progress(text: str) -> None:
    """Say what is being done now: a status line with its elapsed time on a terminal, else a plain line."""
    _STATUS.say(visible(text))


def finish() -> None:
    """Take the status line away."""
    _STATUS.end()


def can_ask() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def ask(question: str, *, default: str | None = None, check: Callable[[str], str] = str, hidden: bool = False) -> str:
    """Ask, and ask again until `check` (which raises click.UsageError) takes the answer."""
    _STATUS.end()
    if hidden:
        return str(click.prompt(question, default=default, value_proc=check, hide_input=True, err=True))
    shown = f" [{default}]" if default else ""
    while True:
        click.echo(f"{question}{shown}: ", nl=False, err=True)
        answer = _line() or default
        try:
            if answer is not None:
                return check(answer)
        except click.UsageError as wrong:
            click.echo(f"Error: {wrong.message}", err=True)


def _line() -> str:
    """Wait for a line. A Ctrl-C that comes right before read(2) would be noticed only behind the line: so not there."""
    if sys.stdin.isatty():
        woken, waker = socket.socketpair()
        waker.setblocking(False)
        before = signal.set_wakeup_fd(waker.fileno())
        try:
            while sys.stdin not in select.select([sys.stdin, woken], [], [])[0]:
                woken.recv(64)
        finally:
            signal.set_wakeup_fd(before)
            woken.close()
            waker.close()
    line = sys.stdin.readline()
    if not line:
        raise click.Abort
    return line.strip()


def error(problem: QuorateError, output: str = "text") -> None:
    """Say what went wrong, each mistake in its own line, and what can be done about it."""
    _STATUS.end()
    problems = problem.problems if isinstance(problem, InvalidInput) else ()
    if output == "json":
        told = {
            "message": problem.message,
            "hint": problem.hint,
            "exit_code": problem.exit_code,
            "problems": [vars(one) for one in problems],
        }
        result({"error": told}, "json", str)
    console = _console(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), visible(problem.message)), soft_wrap=True)
    for one in problems:
        console.print(Text(f"  {visible(str(one))}"), soft_wrap=True)
    if problem.hint:
        console.print(Text.assemble(("hint: ", "bold"), visible(problem.hint)), soft_wrap=True)


def _print(console: Console, text: RenderableType) -> None:
    if isinstance(text, str):
        console.print(visible(text), markup=False, highlight=False, soft_wrap=True)
    elif console.is_terminal:
        console.print(text)
    else:  # rich fills every cell of a table with blanks
        with console.capture() as captured:
            console.print(text)
        console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _console(*, stderr: bool = False) -> Console:
    """Make a console for the present stream; text for programs is not wrapped at an imagined terminal's edge."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _WIDE, emoji=False)


class _Status:
    """The one line of a terminal that says what is being done and for how long."""

    def __init__(self) -> None:
        self._live: Progress | None = None
        self._said = ""

    def say(self, text: str) -> None:
        """Replace the line. Without a terminal, print it if it is new."""
        if not sys.stderr.isatty():
            if text != self._said:
                _print(_console(stderr=True), text)
            self._said = text
            return
        if self._live is not None and text == self._said:
            return
        self.end()
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self._live = Progress(*columns, console=_console(stderr=True), transient=True, get_time=time.monotonic)
        self._live.add_task(text)
        self._live.start()
        self._said = text

    def end(self) -> None:
        """Take the line away, if there is one."""
        self._said = ""
        if self._live is not None:
            self._live.stop()
            self._live = None


_STATUS = _Status()
