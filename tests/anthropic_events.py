"""What a server of Anthropic's protocol sends: the events of a streamed message, and refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.model_server import Answer, Status

STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def events_of(answer: Answer, model: str) -> list[str]:
    """Give the events of a streamed message, as Anthropic cuts them."""
    return [json.dumps(event) for event in _events(answer, model)]


def named(event: str) -> str:
    """Put an event's type before it, as a line of its own."""
    return f"event: {json.loads(event)['type']}\ndata: {event}\n\n"


def refusal_of(status: Status) -> dict[str, Any]:
    """Give the body of a refusal. A `code` stands for the type."""
    kind = status.code or TYPES.get(status.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": status.message}, "request_id": "req_test"}


def _events(answer: Answer, model: str) -> Iterator[dict[str, Any]]:
    tokens_in, tokens_out = answer.usage or (0, 0)
    used = {"input_tokens": tokens_in - answer.cached, "cache_read_input_tokens": answer.cached}
    message = {"id": "msg_test", "type": "message", "role": "assistant", "model": model, "content": []}
    ends = {"stop_reason": None, "stop_sequence": None}
    yield {"type": "message_start", "message": message | ends | {"usage": used | {"output_tokens": 1}}}
    for index, (block, deltas) in enumerate(_blocks(answer)):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    if answer.finish is not None:
        stop = STOPS[answer.finish or ("tool_calls" if answer.calls else "stop")]
        yield {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": {"output_tokens": tokens_out},
        }
        yield {"type": "message_stop"}


def _blocks(answer: Answer) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    if answer.reasoning:
        thoughts = [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(answer.reasoning, answer.piece)]
        signed = {"type": "signature_delta", "signature": "signed"}
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*thoughts, signed]
    if answer.text:
        pieces = _pieces(answer.text, answer.piece)
        yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]
    for index, call in enumerate(answer.calls):
        block = {"type": "tool_use", "id": call.id or f"toolu_{index}_{call.name}", "name": call.name, "input": {}}
        pieces = _pieces(call.text(), answer.piece)
        yield block, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]


def _pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]
