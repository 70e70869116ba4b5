"""Fixtures of the tools' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.tools.local_server import LocalServer, local_server
from tools.http import Outbound


@pytest.fixture
async def server() -> AsyncIterator[LocalServer]:
    async with local_server() as local:
        yield local


@pytest.fixture
async def guarded() -> AsyncIterator[Outbound]:
    """A client as it is without any setting."""
    async with Outbound() as client:
        yield client


@pytest.fixture
async def client() -> AsyncIterator[Outbound]:
    """A client that may reach the local server."""
    async with Outbound(allowed_networks=["127.0.0.0/8"], max_bytes=100_000, timeout=5) as client:
        yield client
