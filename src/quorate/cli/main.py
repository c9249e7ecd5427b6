"""The `quorate` program: finds its verbs, and turns whatever they raise into a message and an exit code.

A verb is a module of this folder with a click command named `command`, or named like the module; adding one needs no
other edit. Modules are imported when their verb is called, or when all verbs are listed.
"""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import sys
import tempfile
import traceback
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

import click

from quorate import cli
from quorate.cli import render
from quorate.errors import QuorateError

INTERRUPTED = 130
_FIRST = ("init", "check", "plan", "apply", "status", "drill")
"""The order in which a newcomer meets the verbs; the others follow by name."""


class Verbs(click.Group):
    """The group of all verbs. Run directly or through a test's runner, it exits with the documented codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, first those that come first in the life of a cloud."""
        modules = {module.name for module in pkgutil.iter_modules(cli.__path__)}
        verbs = sorted(name for name in modules if self.get_command(ctx, name))
        return [verb for verb in _FIRST if verb in verbs] + [verb for verb in verbs if verb not in _FIRST]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module. None where there is no such verb."""
        if cmd_name not in {module.name for module in pkgutil.iter_modules(cli.__path__)}:
            return None
        module = importlib.import_module(f"{cli.__name__}.{cmd_name}")
        candidates = (getattr(module, "command", None), getattr(module, cmd_name, None))
        return next((found for found in candidates if isinstance(found, click.Command)), None)

    def main(self, args: Sequence[str] | None = None, *_rest: Any, **extra: Any) -> NoReturn:
        """Run, and exit: 0, the error's own code, 2 for wrong arguments, 130 when interrupted."""
        given = list(sys.argv[1:] if args is None else args)
        extra = {"prog_name": "quorate", **extra, "standalone_mode": False}
        try:
            code = super().main(given, **extra)
        except BaseException as error:  # noqa: BLE001 - nothing leaves as a traceback
            code = _exit_code(error, "json" if _wants_json(given) else "text")
        finally:
            render.finish()
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="quorate", prog_name="quorate")
def quorate() -> None:
    """One file to an OpenStack control plane that survives the loss of any controller, and proves it.

    \b
      quorate init                      a few questions; writes cloud.yaml and secrets.yaml
      quorate check                     is the file right, and what will hurt one day?
      quorate plan                      what would change, before it does
      quorate apply                     do it, one controller at a time
      quorate status                    what is well, what is not, what is unknown
      quorate drill power-cut           what should happen when it breaks, and what does
      quorate backup /srv/backups       what cannot be made again, sealed; then `backup verify`
      quorate audit /etc                what is wrong with configuration that somebody else wrote

    Exit codes: 0 done, 1 failed, 2 wrong files or arguments, 3 refused because it would do harm, 4 a machine did not
    answer, 5 this machine lacks something, 130 interrupted.
    """  # noqa: D301 - click's paragraph mark


def main() -> NoReturn:
    """Run the program."""
    quorate.main()


def _wants_json(args: Sequence[str]) -> bool:
    return "--output=json" in args or ("--output", "json") in pairwise(args)


def _exit_code(error: BaseException, output: str) -> int:
    """Say what happened, as far as it is the reader's to know, and choose the exit code."""
    error = _first(error)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        render.page("interrupted")
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has gone: say no more, also not at the end
        return 1
    if not isinstance(error, QuorateError):
        error = _bug(error)
    render.error(error, output)
    return error.exit_code


def _bug(error: BaseException) -> QuorateError:
    """Keep the traceback, without the values of variables, in a file that only this user can read."""
    said = f"this is a bug in Quorate ({type(error).__name__})"
    try:
        handle, path = tempfile.mkstemp(prefix="quorate-bug-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(traceback.format_exception(error))
    except OSError as full:
        return QuorateError(said, hint=f"Its traceback could not be kept: {full.strerror}.")
    return QuorateError(said, hint=f"Report it with {path}; read it first, it may name your hosts.")


def _first(error: BaseException) -> BaseException:
    """Take what ended a group of tasks: something unexpected before anything that is explained."""
    while isinstance(error, BaseExceptionGroup):
        error = next((one for one in error.exceptions if not isinstance(one, QuorateError)), error.exceptions[0])
    return error


if __name__ == "__main__":
    main()
