"""The engine's ModelPort: picks who answers by the model's name."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from agents.engine.canonical import message_of
from agents.engine.errors import Permanent, Retryable
from agents.engine.messages import Reply
from agents.engine.ports import CallInfo, ModelRequest
from agents.llm.config import OFFLINE, SECRET, ModelConfig, ModelName
from agents.llm.errors import refused
from agents.llm.offline import OfflineModel
from tools.errors import ToolFailed, UnknownSecret
from tools.redaction import everywhere

if TYPE_CHECKING:
    from agents.llm.remote import RemoteModels
    from tools.limits.limiter import Admission, Limiter


Reveal = Callable[[int, str], Awaitable[str]]
"""Gives a secret of a workspace by its name."""

CHARACTERS_PER_TOKEN = 4
ANSWER_TOKENS = 1000
"""What an answer is taken to have, until it is known, where a limit of tokens asks."""


class ModelAccess:
    """Answers requests by the offline model or by a server that speaks the OpenAI protocol."""

    def __init__(
        self,
        config: Callable[[], ModelConfig] = ModelConfig.from_settings,
        secret: Reveal | None = None,
        limits: Callable[[], Limiter] | None = None,
    ) -> None:
        """Take where to read the configuration from; it is read anew for each request. So are keys that are secrets.

        `limits` gives the limiter of the running event loop; without it nothing is limited.
        """
        self._config = config
        self._reveal = secret
        self._limits = limits
        self._offline = OfflineModel()
        self._remote: RemoteModels | None = None

    async def respond(self, request: ModelRequest, stream: Callable[[str], None]) -> Reply:
        """Ask the model once; see the errors of agents.llm.errors for what may come instead of an answer."""
        if request.model in ("", OFFLINE):
            await _begin(request.info)
            return await self._offline.respond(request, stream)
        name = ModelName.parse(request.model)
        remote = self._remote or await self._load_remote()
        config = await self._with_key(self._config(), request.workspace_id)
        admission = await self._admit(name, request)
        try:
            await _begin(request.info)
            reply = await remote.respond(name, request, stream, config)
            if admission is not None and reply.usage is not None:
                admission.settle(reply.usage.input_tokens + reply.usage.output_tokens)
            return reply
        except (Retryable, Permanent) as error:
            # A server may quote the key that it refuses.
            error.args = tuple(everywhere.text(str(argument)) for argument in error.args)
            if admission is not None and isinstance(error, Retryable) and error.retry_after:
                await admission.pause(error.retry_after, message_of(error))
            raise
        finally:
            if admission is not None:
                admission.release()

    async def _admit(self, name: ModelName, request: ModelRequest) -> Admission | None:
        """Wait until the limits of the provider and of the model let the request begin."""
        if self._limits is None or request.info is None:
            return None
        tokens = sum(len(message.text) for message in request.messages) // CHARACTERS_PER_TOKEN
        tokens += request.max_output_tokens or ANSWER_TOKENS
        keys = [f"llm:{name.provider}", f"llm:{name}"]
        return await self._limits().admit(keys, request.info, tokens=tokens, pauses=keys[:1])

    async def _with_key(self, config: ModelConfig, workspace_id: int) -> ModelConfig:
        """Put a workspace's secret in the place of its name."""
        if not config.api_key.startswith(SECRET):
            everywhere.know(config.api_key, "OPENAI_API_KEY")
            return config
        name = config.api_key.removeprefix(SECRET)
        try:
            if self._reveal is None:
                raise UnknownSecret(f"There is no secret named {name!r}.")
            return replace(config, api_key=await self._reveal(workspace_id, name))
        except ToolFailed as error:
            raise refused("ModelNotConfigured", f"The key of the model is a secret: {error}") from error

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


async def _begin(info: CallInfo | None) -> None:
    if info is not None:
        await info.begin()
