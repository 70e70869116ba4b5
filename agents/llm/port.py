"""The engine's ModelPort: picks who answers by the model's name, in the run's workspace first."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from agents.engine.canonical import message_of
from agents.engine.errors import Permanent, Retryable
from agents.engine.measuring import estimate, estimate_text
from agents.engine.messages import Reply, Usage
from agents.engine.ports import CallInfo, ModelRequest
from agents.engine.thinking import LONG_WAIT
from agents.engine.worker_threads import until_available, with_django
from agents.llm.config import OFFLINE, SECRET, Endpoint, KnownProvider, ModelConfig, ModelName
from agents.llm.errors import RateLimited, refused
from agents.llm.offline import OfflineModel, is_heavy
from agents.llm.prices import Tokens, context_of, cost_microusd
from agents.llm.summarising import summarising
from tools.errors import ToolFailed, UnknownSecret
from tools.redaction import everywhere
from tools.threads import run_in_thread

if TYPE_CHECKING:
    from agents.llm.remote import RemoteModels
    from tools.limits.limiter import Admission, Limiter


Reveal = Callable[[int, str, str], Awaitable[str]]
"""Gives a secret of a workspace by its name, for a host; the operator's own addresses are named by none."""
Providers = Callable[[int], Mapping[str, KnownProvider]]
"""Gives the providers of a workspace by their names. It may block."""

CPU = "cpu"
"""The name of the limit for what computes on the workers' own processors."""
LONG_ANSWER_TOKENS = 8000
"""What an answer has at most, where a cap asks and nobody has said."""
ANSWER_TOKENS = 1000
"""What an answer is taken to have, until it is known, where a limit of tokens asks."""
PROVIDERS_AGE = 1.0
"""Seconds for which what is known of a workspace's providers counts."""

ANOTHER_MAY = ("ModelNotConfigured", "ModelAuthentication", "ModelNotFound", "ModelQuota")
"""Failures for good that say nothing about the request: another model may well answer it."""


class ModelAccess:
    """Answers requests by the offline model, or by a server that speaks the protocol of OpenAI or of Anthropic."""

    def __init__(
        self,
        config: Callable[[], ModelConfig] = ModelConfig.from_settings,
        secret: Reveal | None = None,
        limits: Callable[[], Limiter] | None = None,
        providers: Providers | None = None,
    ) -> None:
        """Take where to read the configuration from; it is read anew for each request. So are keys that are secrets.

        `limits` gives the limiter of the running event loop; without it nothing is limited.
        """
        self._config = config
        self._reveal = secret
        self._limits = limits
        self._providers = providers
        self._known: dict[int, tuple[Mapping[str, KnownProvider], float]] = {}
        self._offline = OfflineModel()
        self._remote: RemoteModels | None = None

    async def respond(self, request: ModelRequest, stream: Callable[[str], None]) -> Reply:
        """Ask the model once; see the errors of agents.llm.errors for what may come instead of an answer.

        An error says which of the request's `others` may be asked instead, if one of them may.
        """
        if request.model in ("", OFFLINE):
            return await self._compute(request, stream)
        try:
            return await self._ask(request, stream)
        except (Retryable, Permanent) as error:
            # A server may quote the key that it refuses.
            error.args = tuple(everywhere.text(str(argument)) for argument in error.args)
            if request.others:
                error.instead = await self._instead(error, request)
            raise

    async def context(self, model: str, workspace_id: int) -> int | None:
        """Give how many tokens a model takes, None if nobody says."""
        if model in ("", OFFLINE):
            return None
        name = ModelName.parse(model)
        return context_of(name, await self._endpoint(name, workspace_id))

    async def _compute(self, request: ModelRequest, stream: Callable[[str], None]) -> Reply:
        """Have the offline model answer: on this machine's processors, for which all wait by one name."""
        admission = None
        if self._limits is not None and request.info is not None and is_heavy(request):
            admission = await self._limits().admit([CPU], request.info)
        try:
            await _begin(request.info)
            return await self._offline.respond(request, stream)
        finally:
            if admission is not None:
                admission.release()

    async def _ask(self, request: ModelRequest, stream: Callable[[str], None]) -> Reply:
        name = ModelName.parse(request.model)
        remote = self._remote or await self._load_remote()
        endpoint = await self._with_key(await self._endpoint(name, request.workspace_id), request.workspace_id)
        if request.purpose == "compact":
            request = summarising(request, context_of(name, endpoint))
        admission = await self._admit(name, request, endpoint)
        try:
            await _begin(request.info)
            reply = await remote.respond(name, request, stream, endpoint)
            if admission is not None and reply.usage is not None:
                admission.settle(reply.usage.input_tokens + reply.usage.output_tokens)
            return reply
        except Retryable as error:
            if admission is not None and error.retry_after:
                await admission.pause(error.retry_after, everywhere.text(message_of(error)))
            raise
        finally:
            if admission is not None:
                admission.release()

    async def at_most(self, request: ModelRequest) -> Usage:
        """Give the most that a request will take, as far as can be told; raises Permanent for a name of no model."""
        if request.model in ("", OFFLINE):
            return Usage(0, 0, cost_microusd=0)
        name = ModelName.parse(request.model)
        endpoint = await self._endpoint(name, request.workspace_id)
        tools = "".join(f"{tool.name}{tool.description}{tool.parameters}" for tool in request.tools)
        given = estimate(request.messages) + estimate_text(tools)
        tokens = Tokens(given, request.max_output_tokens or LONG_ANSWER_TOKENS)
        # The public list of prices takes long to import.
        cost = await asyncio.to_thread(cost_microusd, name, tokens, endpoint)
        return Usage(tokens.input, tokens.output, cost)

    async def _admit(self, name: ModelName, request: ModelRequest, endpoint: Endpoint) -> Admission | None:
        """Wait until the limits of the provider and of the model let the request begin."""
        if self._limits is None or request.info is None:
            return None
        limiter = self._limits()
        if request.others and (left := await limiter.paused_for(endpoint.pause)) > LONG_WAIT:
            raise RateLimited(f"{endpoint.place} wants to be left alone for another {left:.0f} s.", left)
        tokens = estimate(request.messages) + (request.max_output_tokens or ANSWER_TOKENS)
        keys = [f"llm:{name.provider}", f"llm:{name}"]
        pauses = [endpoint.pause]
        return await limiter.admit(keys, request.info, tokens=tokens, pauses=pauses, heeds=pauses)

    async def _instead(self, error: Retryable | Permanent, request: ModelRequest) -> str:
        """Give the first of the other models that may be asked after this failure; none for one of the request's own.

        What one model has refused, no other is asked for. What was too long goes to one that is known to hold more.
        """
        if isinstance(error, Retryable) or error.type in ANOTHER_MAY:
            return request.others[0]
        if error.type != "ModelContextFull":
            return ""
        needed = await self._size(request.model, request.workspace_id) or estimate(request.messages)
        for other in request.others:
            if other == OFFLINE or (await self._size(other, request.workspace_id) or 0) > needed:
                return other
        return ""

    async def _size(self, model: str, workspace_id: int) -> int | None:
        try:
            return await self.context(model, workspace_id)
        except Permanent:
            return None

    async def _endpoint(self, name: ModelName, workspace_id: int) -> Endpoint:
        """Find who serves a model: a provider of the workspace's own, or else the operator's settings."""
        config = self._config()
        own = (await self._providers_of(workspace_id)).get(name.provider)
        return config.endpoint(name) if own is None else own.endpoint(name, workspace_id, config.prices)

    async def _providers_of(self, workspace_id: int) -> Mapping[str, KnownProvider]:
        """Give a workspace's providers, as they were at most a second ago."""
        if self._providers is None:
            return {}
        read, now = partial(with_django, self._providers, workspace_id), asyncio.get_running_loop().time()
        known, until = self._known.get(workspace_id, (None, 0.0))
        if known is None or now >= until:
            known = await until_available("providers", lambda: run_in_thread(read))
            self._known[workspace_id] = (known, now + PROVIDERS_AGE)
        return known

    async def _with_key(self, endpoint: Endpoint, workspace_id: int) -> Endpoint:
        """Put a workspace's secret in the place of its name."""
        if not endpoint.api_key.startswith(SECRET):
            everywhere.know(endpoint.api_key, endpoint.key_name)
            return endpoint
        name = endpoint.api_key.removeprefix(SECRET)
        try:
            if self._reveal is None:
                raise UnknownSecret(f"There is no secret named {name!r}.")
            return replace(endpoint, api_key=await self._reveal(workspace_id, name, endpoint.host))
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
