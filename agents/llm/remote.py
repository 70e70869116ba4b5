"""Models behind HTTP, by pydantic-ai's direct API. Imported in workers only: pydantic-ai is heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anthropic import AsyncAnthropic
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelResponse, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings

from agents.engine.messages import Message, Reply, Usage
from agents.engine.ports import ModelRequest
from agents.llm.clients import Client, Clients
from agents.llm.config import Endpoint, ModelName
from agents.llm.convert import native_form, text_of, to_library, tool_calls_of, tool_definitions
from agents.llm.errors import AnswerCut, MalformedAnswer, refused
from agents.llm.forms import has_fixed_fields, with_form
from agents.llm.prices import Tokens, context_of, cost_microusd
from agents.llm.translate import TRANSLATED, translate

FINISH = {"tool_call": "tool_calls"}
"""The library's names of ways to end, where ours differ."""


class RemoteModels:
    """Asks models over HTTP."""

    def __init__(self) -> None:
        self._clients = Clients()

    async def respond(
        self, name: ModelName, request: ModelRequest, stream: Callable[[str], None], endpoint: Endpoint
    ) -> Reply:
        """Ask once and hand the text to `stream` as it comes."""
        begun = False
        try:
            async with self._clients.lend(endpoint) as client:
                model = _model(name, endpoint, client)
                messages, parameters = _asked(model, request, endpoint)
                async with model_request_stream(
                    model,
                    to_library(messages),
                    model_settings=_settings(request),
                    model_request_parameters=parameters,
                ) as answer:
                    begun = True
                    await _pass_on(answer, stream)
                    response = answer.get()
        except TRANSLATED as error:
            raise translate(error, name, endpoint, begun=begun) from error
        return _reply(name, response, endpoint)

    async def aclose(self) -> None:
        """Close the clients of the running loop."""
        await self._clients.aclose()


def _model(name: ModelName, endpoint: Endpoint, client: Client) -> Model[Any]:
    if isinstance(client, AsyncAnthropic):
        return AnthropicModel(name.model, provider=AnthropicProvider(anthropic_client=client))
    # Without a reason to end there is no telling a finished answer from a cut one.
    profile = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    if endpoint.kind == "openai":
        return OpenAIChatModel(name.model, provider=OpenAIProvider(openai_client=client), profile=profile)
    profile["openai_chat_supports_max_completion_tokens"] = False
    profile["supports_json_schema_output"] = endpoint.takes_schemas
    provider = OpenAICompatibleProvider(name.provider, openai_client=client)
    return OpenAIChatModel(name.model, provider=provider, profile=profile)


def _asked(
    model: Model[Any], request: ModelRequest, endpoint: Endpoint
) -> tuple[Sequence[Message], ModelRequestParameters]:
    """Give the conversation and what goes with it; the answer's form is sent along, or told where it can't be."""
    parameters = ModelRequestParameters(function_tools=tool_definitions(request.tools))
    if request.output is None:
        return request.messages, parameters
    if not _takes_form(model, request.output, endpoint):
        return with_form(request.messages, request.output), parameters
    parameters.output_mode = "native"
    parameters.output_object = OutputObjectDefinition(json_schema=dict(request.output), name="answer")
    return request.messages, parameters


def _takes_form(model: Model[Any], schema: Mapping[str, Any], endpoint: Endpoint) -> bool:
    if not (endpoint.takes_schemas and model.profile.get("supports_json_schema_output", False)):
        return False
    # Anthropic's form has no place for objects with any fields: it would have the model leave them empty.
    return endpoint.kind != "anthropic" or has_fixed_fields(schema)


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
    """Give the request's settings by the library's names. What a provider does not know is not sent to it."""
    settings = ModelSettings()
    if request.temperature is not None:
        settings["temperature"] = request.temperature
    if request.top_p is not None:
        settings["top_p"] = request.top_p
    if request.max_output_tokens is not None:
        settings["max_tokens"] = request.max_output_tokens
    if request.seed is not None:
        settings["seed"] = request.seed
    return settings


def _reply(name: ModelName, response: ModelResponse, endpoint: Endpoint) -> Reply:
    finish = response.finish_reason or ""
    if finish == "error":
        raise AnswerCut(f"{name} broke off its answer with an error.")
    if finish == "content_filter":
        raise refused("ModelRefused", f"{name} refused to answer (content filter).")
    if not finish:
        raise AnswerCut(f"The answer of {name} was cut.")
    text, calls = text_of(response), tool_calls_of(response)
    if not text.strip() and not calls:
        if finish == "length":
            raise refused("ModelRejected", f"{name} used all its output tokens before its answer began; allow it more.")
        raise MalformedAnswer(f"{name} gave an empty answer.")
    return Reply(
        role="assistant",
        text=text,
        tool_calls=calls,
        usage=_usage(name, response, endpoint),
        model=str(name),
        finish=FINISH.get(finish, finish),
        native=native_form(response),
        context=context_of(name, endpoint),
    )


def _usage(name: ModelName, response: ModelResponse, endpoint: Endpoint) -> Usage:
    used = response.usage
    tokens = Tokens(used.input_tokens, used.output_tokens, used.cache_read_tokens, used.cache_write_tokens)
    # A server that reports no usage leaves the cost unknown; zero would be a lie.
    reported = bool(tokens.input or tokens.output)
    return Usage(tokens.input, tokens.output, cost_microusd(name, tokens, endpoint) if reported else None)
