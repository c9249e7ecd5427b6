"""Connections of the client in drills."""

from __future__ import annotations

import asyncio

import aio_pika
import pytest
from aio_pika.connection import make_url

from quorate.systems.rabbitmq.client import Owned

THEIRS = pytest.param(aio_pika.Connection, marks=pytest.mark.xfail(strict=True, reason="else Owned could go"))


@pytest.mark.parametrize("kind", [Owned, THEIRS])
async def test_a_connection_that_never_stood_may_be_collected_in_any_thread(kind: type[aio_pika.Connection]) -> None:
    """Python's warning of a coroutine that nobody waited for is an error here."""
    held = [kind(make_url("amqp://guest@127.0.0.1/"))]
    await asyncio.to_thread(held.clear)
