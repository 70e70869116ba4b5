"""Models behind HTTP, by pydantic-ai's direct API. Imported in workers only: pydantic-ai is heavy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

import httpx2
from openai import AsyncOpenAI
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelResponse, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings

from agents.engine.messages import Reply, Usage
from agents.engine.ports import ModelRequest
from agents.llm.config import ModelConfig, ModelName
from agents.llm.convert import native_form, text_of, to_library, tool_calls_of, tool_definitions
from agents.llm.errors import AnswerCut, MalformedAnswer, refused
from agents.llm.prices import Tokens, cost_microusd
from agents.llm.translate import TRANSLATED, translate

TIMEOUT = httpx2.Timeout(connect=10, read=300, write=60, pool=60)
"""A model may think for minutes before its first word; a whole step is bounded by the step's own timeout."""

LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100)

FINISH = {"tool_call": "tool_calls"}
"""The library's names of ways to end, where ours differ."""

NO_KEY = "no-key"
"""Sent to servers that want none; the client library refuses to start without one."""


class RemoteModels:
    """Asks models over HTTP. Clients are kept per address and key, for each event loop its own."""

    def __init__(self) -> None:
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], AsyncOpenAI]] = (
            WeakKeyDictionary()
        )

    async def respond(
        self, name: ModelName, request: ModelRequest, stream: Callable[[str], None], config: ModelConfig
    ) -> Reply:
        """Ask once and hand the text to `stream` as it comes."""
        model = self._model(name, config)
        begun = False
        try:
            async with model_request_stream(
                model,
                to_library(request.messages),
                model_settings=_settings(request),
                model_request_parameters=ModelRequestParameters(function_tools=tool_definitions(request.tools)),
            ) as answer:
                begun = True
                await _pass_on(answer, stream)
                response = answer.get()
        except TRANSLATED as error:
            raise translate(error, name, config, begun=begun) from error
        return _reply(name, response, config)

    async def aclose(self) -> None:
        """Close the clients of the running loop."""
        for client in self._clients.pop(asyncio.get_running_loop(), {}).values():
            await client.close()

    def _model(self, name: ModelName, config: ModelConfig) -> OpenAIChatModel:
        client = self._client(name, config)
        # Without a reason to end there is no telling a finished answer from a cut one.
        profile = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
        if name.provider == "openai" and config.is_openai:
            return OpenAIChatModel(name.model, provider=OpenAIProvider(openai_client=client), profile=profile)
        profile["openai_chat_supports_max_completion_tokens"] = False
        provider = OpenAICompatibleProvider(name.provider, openai_client=client)
        return OpenAIChatModel(name.model, provider=provider, profile=profile)

    def _client(self, name: ModelName, config: ModelConfig) -> AsyncOpenAI:
        if not config.base_url and name.provider != "openai":
            raise refused("ModelNotConfigured", f"Set OPENAI_BASE_URL to the address that serves {name}.")
        if not config.base_url and not config.api_key:
            raise refused("ModelNotConfigured", f"Set OPENAI_API_KEY to use {name}, or choose the model 'offline'.")
        clients = self._clients.setdefault(asyncio.get_running_loop(), {})
        key = (config.base_url, config.api_key)
        if key not in clients:
            clients[key] = AsyncOpenAI(
                api_key=config.api_key or NO_KEY,
                base_url=config.base_url or None,
                max_retries=0,
                timeout=TIMEOUT,
                http_client=httpx2.AsyncClient(timeout=TIMEOUT, limits=LIMITS),
            )
        return clients[key]


async def _pass_on(answer: StreamedResponse, stream: Callable[[str], None]) -> None:
    async for event in answer:
        match event:
            case PartStartEvent(part=TextPart(content=text)) if text:
                stream(text)
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)) if text:
                stream(text)
            case _:
                pass


def _settings(request: ModelRequest) -> ModelSettings:
    settings = ModelSettings()
    if request.temperature is not None:
        settings["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        settings["max_tokens"] = request.max_output_tokens
    return settings


def _reply(name: ModelName, response: ModelResponse, config: ModelConfig) -> Reply:
    finish = response.finish_reason or ""
    if finish == "error":
        raise AnswerCut(f"{name} broke off its answer with an error.")
    if finish == "content_filter":
        raise refused("ModelRefused", f"{name} refused to answer (content filter).")
    text, calls = text_of(response), tool_calls_of(response)
    if not text.strip() and not calls:
        if finish == "length":
            raise refused("ModelRejected", f"{name} used all its output tokens before its answer began; allow it more.")
        raise MalformedAnswer(f"{name} gave an empty answer.")
    return Reply(
        role="assistant",
        text=text,
        tool_calls=calls,
        usage=_usage(name, response, config),
        model=str(name),
        finish=FINISH.get(finish, finish),
        native=native_form(response),
    )


def _usage(name: ModelName, response: ModelResponse, config: ModelConfig) -> Usage:
    used = response.usage
    tokens = Tokens(used.input_tokens, used.output_tokens, used.cache_read_tokens)
    # A server that reports no usage leaves the cost unknown; zero would be a lie.
    reported = bool(tokens.input or tokens.output)
    return Usage(tokens.input, tokens.output, cost_microusd(name, tokens, config) if reported else None)
