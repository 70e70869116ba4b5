"""Fixtures of the triggers' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from agents.triggers.looks.base import Surroundings
from tests.unit.tools.local_server import LocalServer, local_server
from tools.http import Outbound


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with local_server() as local:
        yield local


@pytest.fixture
async def around() -> AsyncIterator[Surroundings]:
    """What a look may use, with a client that may reach the local server."""
    async with Outbound(allowed_networks=["127.0.0.0/8"], max_bytes=100_000, timeout=5) as client:
        yield Surroundings(client, 1, lambda: datetime.now(UTC))
