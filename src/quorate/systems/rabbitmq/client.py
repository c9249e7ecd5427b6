"""RabbitMQ's clients in a drill: messages that are confirmed and consumed, and calls as OpenStack's services make them.

`Messages` publishes numbered messages to a quorum queue, each confirmed, and a consumer takes them. It knows all nodes
and no proxy, as services do: whoever does not confirm in time is left for the next node. A message that was confirmed
must be taken in the end. One that is taken twice counts only where the broker did not say that it delivers it again.

What the record says of it: of a message `number`, and `server`, the node that it was given to; at the end `numbers` as
ranges and `more_than_once`.

`Calls` is oslo.messaging's RPC: one caller, and two servers of the topic that answer it, each with connections of its
own. What it does about a silent node is the library's affair; the options are those that services get.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, DeliveryError
from oslo_config.cfg import CONF

from quorate.core.client import Facts, Failed, Surroundings, Uncertain, ranges
from quorate.openstack.options import transport_url
from quorate.systems.rabbitmq.workloads import CONFIRM, CONNECT

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its libraries announce their end to whoever loads them
    import oslo_messaging  # type: ignore[import-untyped]  # it has no types

QUEUE, TOPIC = "messages", "calls"
HEARTBEAT = 2
"""Seconds between signs of life on a connection that carries nothing else: the consumer's."""
QUIET = 3.0
"""Seconds without a message after which none is expected any more."""
for _chatty in ("aio_pika", "aiormq", "oslo", "oslo_messaging", "amqp", "kombu"):
    logging.getLogger(_chatty).addHandler(logging.NullHandler())  # what they say of lost nodes is in the record
BROKEN = (AMQPError, OSError, asyncio.TimeoutError, RuntimeError)
"""What ends a connection; aiormq raises RuntimeError for a channel that has just been closed."""


class Owned(aio_pika.Connection):
    """A connection that is closed by whoever has it.

    aio-pika's own is closed when it is collected, which one that never stood is in whatever thread that happens: there
    it cannot be, and Python warns of it.
    """

    def __del__(self) -> None:
        """Leave it."""


class Line:
    """A connection to one of the nodes, opened again to the next one when it is lost."""

    def __init__(self, surroundings: Surroundings, *, first: int) -> None:
        self._settings = surroundings.settings
        self._password = surroundings.passwords[self._settings["user"]]
        self._next = first
        self._lock = asyncio.Lock()
        self._open: tuple[AbstractConnection, str, AbstractExchange] | None = None

    async def exchange(self) -> tuple[str, AbstractExchange]:
        """Say the node and how to publish there; Failed if no node takes the connection."""
        async with self._lock:
            if self._open is None or self._open[0].is_closed:
                self._open = await self._connect()
            return self._open[1], self._open[2]

    async def channel(self) -> Any:
        """A further channel."""
        await self.exchange()
        if self._open is None:
            raise Failed("the connection is gone again")
        return await self._open[0].channel()

    async def drop(self, server: str) -> None:
        """Leave the node for the next one, if that has not happened by now."""
        if self._open is None or self._open[1] != server:
            return
        lost, self._open = self._open, None
        self._next += 1
        await _close(lost[0])

    async def close(self) -> None:
        """Close it, whatever its state."""
        if self._open is not None:
            await self.drop(self._open[1])

    async def _connect(self) -> tuple[AbstractConnection, str, AbstractExchange]:
        nodes: dict[str, str] = self._settings["nodes"]
        why = ""
        for _ in nodes:
            server = list(nodes)[self._next % len(nodes)]
            try:
                async with contextlib.AsyncExitStack() as unless_done, asyncio.timeout(CONNECT):
                    connection = await aio_pika.connect(
                        host=nodes[server],
                        port=self._settings["port"],
                        login=self._settings["user"],
                        password=self._password,
                        virtualhost=self._settings["vhost"],
                        heartbeat=HEARTBEAT,
                        connection_class=Owned,
                    )
                    unless_done.push_async_callback(_close, connection)
                    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
                    unless_done.pop_all()
                    return connection, server, channel.default_exchange
            except BROKEN as error:
                why = f"{server}: {type(error).__name__}: {error}"
                self._next += 1
        raise Failed(f"no node takes a connection; {why}")


async def _close(connection: AbstractConnection) -> None:
    """Close it, whatever its state."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CONNECT):
            await connection.close()


class Messages:
    """Publishes one message an operation."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._publisher = Line(surroundings, first=0)
        self._consumer = Line(surroundings, first=1)
        self._taken: Counter[int] = Counter()
        self._came = asyncio.Event()
        self._consuming: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Declare the queue, and begin to consume."""
        channel = await self._publisher.channel()
        arguments = {"x-queue-type": "quorum", "x-queue-leader-locator": "client-local"}
        await channel.declare_queue(QUEUE, durable=True, arguments=arguments)
        self._consuming = asyncio.create_task(self._consume())
        await self.operate(-1, {})

    async def operate(self, number: int, facts: Facts) -> None:
        """Publish the message of this number, and wait until it is confirmed."""
        facts["number"] = number
        server, exchange = await self._publisher.exchange()
        facts["server"] = server
        message = aio_pika.Message(b"%d" % number, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        try:
            async with asyncio.timeout(CONFIRM):
                await exchange.publish(message, QUEUE, mandatory=True)
        except DeliveryError as error:
            raise Failed(f"{server} refused it: {error}") from None
        except BROKEN as error:
            await self._publisher.drop(server)
            raise Uncertain(f"{server}: {type(error).__name__}: {error}") from None

    async def finish(self) -> Mapping[str, Any]:
        """Wait until nothing more comes, and say what came."""
        with contextlib.suppress(TimeoutError):
            while True:
                self._came.clear()
                async with asyncio.timeout(QUIET):
                    await self._came.wait()
        return {
            "numbers": ranges(self._taken),
            "more_than_once": [[number, count] for number, count in sorted(self._taken.items()) if count > 1],
        }

    async def close(self) -> None:
        """Stop consuming, and close both connections."""
        if self._consuming is not None:
            self._consuming.cancel()
            await asyncio.gather(self._consuming, return_exceptions=True)
        await self._publisher.close()
        await self._consumer.close()

    async def _consume(self) -> None:
        while True:
            server = ""
            try:
                server, _ = await self._consumer.exchange()
                channel = await self._consumer.channel()
                await channel.set_qos(prefetch_count=100)
                queue = await channel.get_queue(QUEUE, ensure=False)
                async with queue.iterator() as messages:
                    async for message in messages:
                        await self._take(message)
            except (*BROKEN, Failed):
                await self._consumer.drop(server)
                await asyncio.sleep(0.1)

    async def _take(self, message: AbstractIncomingMessage) -> None:
        number = int(message.body)
        await message.ack()
        self._came.set()
        if number >= 0 and not (message.redelivered and self._taken[number]):
            self._taken[number] += 1


class Answering:
    """What the servers do: the endpoint of oslo.messaging."""

    def echo(self, _context: Mapping[str, Any], number: int) -> int:
        """Return what was said."""
        return number


class Calls:
    """One call an operation."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._stops: list[Any] = []
        self._caller: Any = None

    async def prepare(self) -> None:
        """Start the servers, and call them once."""
        await self._surroundings.in_thread(self._begin)
        await self.operate(-1, {})

    async def operate(self, number: int, facts: Facts) -> None:
        """Call, and wait for the answer."""
        facts["call"] = number
        try:
            said = await self._surroundings.in_thread(self._call, number)
        except oslo_messaging.MessagingTimeout as error:
            raise Uncertain(f"no answer: {error}") from None
        if said != number:
            raise Failed(f"{said} came back")

    async def finish(self) -> Mapping[str, Any]:
        """Nothing is left to be seen: what counts is that calls were answered."""
        return {}

    async def close(self) -> None:
        """Stop the servers, and close all connections. A node that is gone may keep that from ending."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2 * CONNECT):
                await self._surroundings.in_thread(self._end)

    def _begin(self) -> None:
        self._configure()
        for place in range(2):
            target = oslo_messaging.Target(topic=TOPIC, server=f"server{place}")
            transport = self._transport(place + 1)
            server = oslo_messaging.get_rpc_server(transport, target, [Answering()])
            server.start()
            self._stops += [server.stop, server.wait, transport.cleanup]
        transport = self._transport(0)
        self._caller = oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic=TOPIC))
        self._stops.append(transport.cleanup)

    def _configure(self) -> None:
        """Read the options as a service does. Into the one that all share: the library looks nowhere else for some."""
        lines = [f"{name} = {value}" for name, value in self._surroundings.settings["options"].items()]
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            Path(file.name).write_text("\n".join(["[oslo_messaging_rabbit]", *lines, ""]), encoding="utf-8")
            CONF(["--config-file", file.name], project="quorate")

    def _transport(self, first: int) -> Any:
        """A connection as one service has it; each begins with another node."""
        settings = self._surroundings.settings
        secret = self._surroundings.passwords[settings["user"]]
        nodes = list(settings["nodes"].values())
        rotated = nodes[first % len(nodes) :] + nodes[: first % len(nodes)]
        url = transport_url(rotated, settings["port"], settings["user"], secret, settings["vhost"])
        return oslo_messaging.get_rpc_transport(CONF, url=url)

    def _call(self, number: int) -> Any:
        return self._caller.prepare(timeout=self._surroundings.bound).call({}, "echo", number=number)

    def _end(self) -> None:
        for stop in self._stops:
            stop()
