"""What the tests of verbs share."""

from __future__ import annotations

import socket
from typing import NoReturn

import pytest


@pytest.fixture
def nobody_is_contacted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every connection fail the test."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
