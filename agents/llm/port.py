"""The engine's ModelPort: picks who answers by the model's name."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.engine.messages import Reply
from agents.engine.ports import ModelRequest
from agents.llm.config import OFFLINE, ModelConfig, ModelName
from agents.llm.offline import OfflineModel

if TYPE_CHECKING:
    from agents.llm.remote import RemoteModels


class ModelAccess:
    """Answers requests by the offline model or by a server that speaks the OpenAI protocol."""

    def __init__(self, config: Callable[[], ModelConfig] = ModelConfig.from_settings) -> None:
        """Take where to read the configuration from; it is read anew for each request."""
        self._config = config
        self._offline = OfflineModel()
        self._remote: RemoteModels | None = None

    async def respond(self, request: ModelRequest, stream: Callable[[str], None]) -> Reply:
        """Ask the model once; see the errors of agents.llm.errors for what may come instead of an answer."""
        if request.model in ("", OFFLINE):
            return await self._offline.respond(request, stream)
        name = ModelName.parse(request.model)
        remote = self._remote or await self._load_remote()
        return await remote.respond(name, request, stream, self._config())

    async def aclose(self) -> None:
        """Close the connections that belong to the running event loop."""
        if self._remote is not None:
            await self._remote.aclose()

    async def _load_remote(self) -> RemoteModels:
        # pydantic-ai takes seconds to import: on a thread, so that the runs of this loop go on meanwhile.
        module = await asyncio.to_thread(importlib.import_module, "agents.llm.remote")
        if self._remote is None:
            self._remote = module.RemoteModels()
        return self._remote
