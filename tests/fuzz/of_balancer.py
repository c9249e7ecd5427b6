"""What the balancer is held to, from all sides."""

from __future__ import annotations

from fuzz import answers, files, shapes, talk
from fuzz.targets import Property

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
PROPERTIES = {
    "client": Property(talk.check, shapes.CLIENT, shapes.client_seeds, 1024, _CLIENT_WORDS),
    "server": Property(answers.check, shapes.SERVER, shapes.server_seeds, 1024),
    "config": Property(files.check_config, shapes.CONFIG, shapes.config_seeds, 2048, _CONFIG_WORDS),
    "handover": Property(
        files.check_handover, shapes.HANDOVER, shapes.handover_seeds, 1024, (b"null", b"1e999", b"[[")
    ),
    "register": Property(files.check_register, shapes.REGISTER, shapes.register_seeds, 128, (b"1 ", b":", b"9" * 20)),
}
