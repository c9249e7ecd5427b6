"""Target `server`: whatever servers answer while requests of every kind are outstanding.

The input is a script: which client says what, which server answers, how much of it arrives and what is spoiled on the
way, what is lost, how time passes. Afterwards servers answer as they should, and then not at all.
"""

from __future__ import annotations

from collections import deque

from fuzz.judge import Said, commands, judge
from fuzz.pipe import Link, Pipe, Talker
from fuzz.played import require

MOST_STEPS = 200
"""Of a script: what is longer shows nothing new."""
NUMBER = b"9" * 5000
"""A number with more digits than Python takes by default."""
SAID = [
    one
    for key in (b"a", b"b", b"cc", b"d")
    for one in (
        b"get %b\r\n" % key,
        b"get %b a b cc d e\r\n" % key,
        b"gets %b\r\n" % key,
        b"gets a %b b\r\n" % key,
        b"set %b 0 0 2\r\nhi\r\n" % key,
        b"set %b 0 0 2 noreply\r\nhi\r\n" % key,
        b"set %b 0 0 2000\r\n%b\r\n" % (key, b"x" * 2000),
        b"add %b 0 0 2\r\nhi\r\n" % key,
        b"append %b 0 0 2 noreply\r\nhi\r\n" % key,
        b"cas %b 0 0 2 5\r\nhi\r\n" % key,
        b"incr %b 5\r\n" % key,
        b"touch %b 5\r\n" % key,
        b"gat 9 %b\r\n" % key,
        b"gats 9 %b a b\r\n" % key,
        b"delete %b\r\n" % key,
        b"mg %b v c k Oq1\r\n" % key,
        b"mg %b v\r\n" % key,
        b"mg %b T9 v\r\n" % key,
        b"ms %b 2 c Oq2\r\nhi\r\n" % key,
        b"ms %b 2 ME\r\nhi\r\n" % key,
        b"md %b k\r\n" % key,
        b"md %b C5\r\n" % key,
        b"ma %b v c\r\n" % key,
        b"me %b\r\n" % key,
    )
] + [b"stats\r\n", b"stats items\r\n", b"flush_all\r\n", b"verbosity 1\r\n", b"version\r\n", b"nonsense\r\n"]
"""What clients say."""
GARBAGE = [
    *(b"END\r\n", b"STORED\r\n", b"HD\r\n", b"EN\r\n", b"OK\r\n", b"5\r\n", b"VALUE a 0 2\r\nhi\r\n", b"\r\n", b"\0"),
    *(b"VALUE a 0 2\r\nhi\r\nEND\r\n", b"VALUE a 0 -1\r\n", b"VALUE a 0 99999999999\r\n", b"VALUE a 0 " + NUMBER),
    *(b"STAT a " + NUMBER + b"\r\nEND\r\n", b"HD c" + NUMBER + b"\r\n", b"VA 2 c" + NUMBER + b"\r\nhi\r\n", NUMBER),
    *(b"VA 2\r\nhi\r\n", b"VA 9999999999\r\n", b"STAT pid 1\r\nSTAT uptime x\r\nEND\r\n", b"SERVER_ERROR busy\r\n"),
    *(b"VALUX a 0 2\r\nhi\r\nEND\r\n", b"VALUE a x 2\r\nhi\r\nEND\r\n", b"VALUE a 0 +2\r\nhi\r\nEND\r\n"),
    *(
        b"VALUE quorate:balancer:s1 0 24\r\n1 x %b r ... -\r\nEND\r\n" % (b"9" * 12),
        b"ERROR\r\n",
        b"CLIENT_ERROR x\r\n",
    ),
    b"VALUE quorate:balancer:s1 0 %d\r\n1 x %b r ... -\r\nEND\r\n" % (len(NUMBER) + 12, NUMBER),
]
"""What servers say that nobody expects now."""


class Caller:
    """A client that keeps what it said, to judge what it hears."""

    def __init__(self, pipe: Pipe) -> None:
        self.talker: Talker = pipe.join()
        self.said: deque[Said] = deque()
        self.heard = b""

    def say(self, data: bytes) -> None:
        """Say one command."""
        if not self.talker.client.closed:
            self.said.extend(commands(data))
            self.talker.say(data)

    def judge(self, *, exact: bool) -> None:
        """Require that what was heard by now are replies to the oldest commands, in order, or part of one."""
        self.heard += self.talker.answer()
        while self.said and (self.heard or self.hides(self.said[0])):
            self.heard = self.heard[judge(self.said.popleft(), self.heard, exact=exact) :]
        require(not self.heard, "more was answered than was asked", self.heard)

    @staticmethod
    def hides(said: Said) -> bool:
        """Whether nothing will be heard of it."""
        return said.command is not None and said.command.silent == (b"",)


class Script:
    """The input, read from the front; zeros when it is used up."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def below(self, limit: int) -> int:
        """Return a number."""
        self.at += 1
        return self.data[self.at - 1] % limit if self.at <= len(self.data) else 0

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        self.at += size
        return self.data[self.at - size : self.at]

    @property
    def is_over(self) -> bool:
        """Whether it is used up."""
        return self.at >= len(self.data)


class Play:
    """One script, played."""

    def __init__(self, data: bytes) -> None:
        self.script = Script(data)
        self.pipe = Pipe()
        self.callers = [Caller(self.pipe) for _ in range(3)]
        self.spoiled = False

    def run(self) -> None:
        """Play it to its end and beyond."""
        steps = 0
        while not self.script.is_over and steps < MOST_STEPS:
            steps += 1
            self.step()
        self.recover()
        self.fall_silent()

    def link(self) -> Link:
        """Return the server that the script means."""
        return self.pipe.links[self.script.below(3)]

    def step(self) -> None:
        """Do one thing."""
        script, pipe = self.script, self.pipe
        match script.below(16):
            case 0 | 1 | 2 | 3 | 4:
                self.callers[script.below(3)].say(SAID[script.below(len(SAID))])
            case 5 | 6:
                link = self.link()
                link.execute()
                link.arrive(len(link.back))
            case 7:
                self.link().execute()
            case 8 | 9:
                self.link().arrive(1 + script.below(256))
            case 10 | 11:
                self.spoil(self.link())
            case 12:
                self.pass_time(script.below(64) / 1000)
            case 13:
                pipe.worker.now += 0.1
                pipe.worker.probe()
            case 14:
                link = self.link()
                if link.backend.closed:
                    self.connect(link.number)
                else:
                    pipe.worker.give_up(link.backend, "closed the connection")
            case _:
                self.callers[script.below(3)].talker.leave()
        self.flush()

    def flush(self) -> None:
        """End a tick of the loop."""
        self.pipe.worker.flush()
        for talker in self.pipe.talkers:
            talker.read()
        self.pipe.worker.flush()
        for caller in self.callers:
            caller.judge(exact=not self.spoiled)

    def spoil(self, link: Link) -> None:
        """Change what a server says."""
        script = self.script
        self.spoiled = True
        at = min(script.below(256), len(link.back))
        kind = script.below(4)
        if kind == 0:
            more = script.take(script.below(24))
        elif kind == 1:
            more = GARBAGE[script.below(len(GARBAGE))]
        else:
            more = script.take(kind - 2)  # nothing, or one byte, in the place of one
        link.back = link.back[:at] + more + link.back[at + (kind >= 2) :]

    def connect(self, number: int) -> None:
        """A new connection to a server stands."""
        self.pipe.links[number] = Link(self.pipe, number)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with a look for what is late."""
        self.pipe.worker.now += seconds
        self.pipe.worker.sweep()

    def recover(self) -> None:
        """Let all servers be there and answer as they should: every client gets what it asked for."""
        for link in list(self.pipe.links):
            if link.backend.closed:
                self.connect(link.number)
        for _ in range(4):
            self.pipe.settle()
            self.pipe.worker.now += 0.1
            self.pipe.worker.probe()
        for caller in self.callers:
            caller.say(b"get a\r\nget b\r\nmg d v k\r\n")
        self.pipe.settle()
        self.flush()

    def fall_silent(self) -> None:
        """Let no server answer any more: after three deadlines nobody waits, and nothing is kept."""
        for caller in self.callers:
            caller.say(SAID[self.script.below(len(SAID))] + b"get a\r\n")
        for _ in range(150):
            self.pass_time(0.01)
            self.flush()
        for caller in self.callers:
            client = caller.talker.client
            if not client.closed:
                require(not caller.said, "nobody answered", [said.data for said in caller.said])
                require(not client.queue and not client.need, "something is left of a client")
        require(not self.pipe.worker.waiting, "somebody waits")


def check(data: bytes) -> None:
    """Hold the balancer to its laws whatever servers say: every client hears one well-formed reply to each request."""
    Play(data).run()
