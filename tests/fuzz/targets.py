"""What is fuzzed: for each target the property that bytes are held to, where they come from, and how long it may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fuzz import answers, files, shapes, talk


@dataclass(frozen=True)
class Target:
    """One property. `check` raises for bytes that break it; `words` is what the guided fuzzer puts in."""

    check: Callable[[bytes], None]
    strategy: shapes.Bytes
    seeds: Callable[[], list[bytes]]
    longest: int  # bytes of an input
    words: tuple[bytes, ...] = ()


_CLIENT_WORDS = (
    *(
        b"get ",
        b"gets ",
        b"gat 0 ",
        b"set a 0 0 3\r\nabc\r\n",
        b"add ",
        b"cas ",
        b"incr ",
        b"touch ",
        b"delete ",
        b" noreply",
    ),
    *(b"mg ", b"ms ", b"md ", b"ma ", b"me ", b"mn\r\n", b"quit\r\n", b"stats ", b"flush_all", b"verbosity 1", b"\r\n"),
    *(b" q", b" k", b" Oab", b" b", b" T9", b"\0", b"\x80", b" HTTP/1.1\r\n", b"99999999999999999999", b"version\r\n"),
)
_CONFIG_WORDS = (
    *(
        b"[[servers]]\n",
        b"name = ",
        b"address = ",
        b'"127.0.0.1:1"',
        b"copies = ",
        b"[ring]\n",
        b"kind = ",
        b'"ketama"',
    ),
    *(
        b"[timing]\n",
        b"[limits]\n",
        b"[metrics]\n",
        b"listen",
        b"[auth]\n",
        b"[tls]\n",
        b"hash: ",
        b"servers:\n",
        b"  - ",
    ),
)
TARGETS = {
    "client": Target(talk.check, shapes.CLIENT, shapes.client_seeds, 1024, _CLIENT_WORDS),
    "server": Target(answers.check, shapes.SERVER, shapes.server_seeds, 1024),
    "config": Target(files.check_config, shapes.CONFIG, shapes.config_seeds, 2048, _CONFIG_WORDS),
    "handover": Target(files.check_handover, shapes.HANDOVER, shapes.handover_seeds, 1024, (b"null", b"1e999", b"[[")),
    "register": Target(files.check_register, shapes.REGISTER, shapes.register_seeds, 128, (b"1 ", b":", b"9" * 20)),
}
