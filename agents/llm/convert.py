"""From the engine's messages to pydantic-ai's, and back. Imported in workers only: pydantic-ai is heavy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pydantic import ValidationError
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.tools import ToolDefinition

from agents.engine.canonical import JSON
from agents.engine.messages import Message, Reply, ToolCall
from agents.engine.ports import ToolSpec
from agents.llm.errors import MalformedAnswer


def to_library(messages: Iterable[Message]) -> list[ModelMessage]:
    """Give the conversation in the library's form; what stands between two answers becomes one request."""
    out: list[ModelMessage] = []
    parts: list[ModelRequestPart] = []
    for message in messages:
        if message.role == "assistant":
            if parts:
                out.append(ModelRequest(parts=parts))
                parts = []
            out.append(_response(message))
        else:
            parts.append(_request_part(message))
    if parts:
        out.append(ModelRequest(parts=parts))
    return out


def tool_definitions(tools: Sequence[ToolSpec]) -> list[ToolDefinition]:
    """Give the tools in the library's form, their schemas as they are."""
    return [
        ToolDefinition(
            name=tool.name,
            description=tool.description,
            parameters_json_schema=dict(tool.parameters),
            strict=False,
        )
        for tool in tools
    ]


def native_form(response: ModelResponse) -> JSON:
    """Give the whole answer as JSON, from which the same one can be made again."""
    return ModelMessagesTypeAdapter.dump_python([response], mode="json")[0]


def text_of(response: ModelResponse) -> str:
    """Give the text of an answer, without what the model thought."""
    return "".join(part.content for part in response.parts if isinstance(part, TextPart))


def tool_calls_of(response: ModelResponse) -> tuple[ToolCall, ...]:
    """Give the tool calls of an answer; raises MalformedAnswer if one has unreadable arguments."""
    return tuple(
        ToolCall(id=part.tool_call_id, name=part.tool_name, arguments=_arguments(part))
        for part in response.parts
        if isinstance(part, ToolCallPart)
    )


def _arguments(part: ToolCallPart) -> dict[str, JSON]:
    arguments: object = part.args
    if arguments is None or arguments == "":
        return {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError as error:
            raise MalformedAnswer(f"The model called {part.tool_name} with unreadable arguments: {error}") from error
    if not isinstance(arguments, dict):
        raise MalformedAnswer(f"The model called {part.tool_name} with arguments that are not an object.")
    return arguments


def _request_part(message: Message) -> ModelRequestPart:
    match message.role:
        case "system":
            return SystemPromptPart(content=message.text)
        case "tool":
            return ToolReturnPart(tool_name=message.name, content=message.text, tool_call_id=message.call_id)
        case _:
            return UserPromptPart(content=message.text)


def _response(message: Message) -> ModelResponse:
    if isinstance(message, Reply) and message.native is not None:
        native = _from_native(message.native)
        if native is not None and _says(native, message):
            return native
    parts: list[ModelResponsePart] = [TextPart(content=message.text)] if message.text else []
    parts += [
        ToolCallPart(tool_name=call.name, args=dict(call.arguments), tool_call_id=call.id)
        for call in message.tool_calls
    ]
    return ModelResponse(parts=parts)


def _from_native(native: JSON) -> ModelResponse | None:
    try:
        message = ModelMessagesTypeAdapter.validate_python([native])[0]
    except ValidationError:
        # Written by another version of the library: the plain form says the same, only less faithfully.
        return None
    return message if isinstance(message, ModelResponse) else None


def _says(native: ModelResponse, message: Message) -> bool:
    """Does the native form still say what the message says? It does not after an edit."""
    try:
        return text_of(native) == message.text and tool_calls_of(native) == message.tool_calls
    except MalformedAnswer:
        return False
