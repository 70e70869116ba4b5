"""Model access in Anthropic's protocol over real HTTP: answers, tools, forms, and each way in which it can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from agents.engine.errors import Permanent, Retryable
from agents.engine.messages import Message, Reply, ToolResult, system, user
from agents.engine.ports import ModelRequest, ToolSpec
from agents.llm import ModelAccess, ModelConfig
from agents.llm.errors import AnswerCut, ModelUnavailable, RateLimited
from tests.model_server import KEY, Answer, Call, Cut, Entry, ModelServer, RateLimit, Raw, Status

pytestmark = pytest.mark.once("nothing here asks a database")

LOOKUP = ToolSpec("lookup", "Look a word up.", {"type": "object", "properties": {"word": {"type": "string"}}})
FORM = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def ask(
    server: ModelServer,
    *entries: Entry,
    messages: tuple[Message, ...] = (system("Be brief."), user("Hello?")),
    key: str = KEY,
    model: str = "anthropic:claude-sonnet-4-6",
    prices: Mapping[str, Mapping[str, float]] | None = None,
    streamed: list[str] | None = None,
    **more: Any,
) -> Reply:
    server.script(*entries)
    config = ModelConfig(anthropic_api_key=key, anthropic_base_url=server.root, prices=prices or {})

    async def once() -> Reply:
        access = ModelAccess(lambda: config)
        try:
            chunks: list[str] = [] if streamed is None else streamed
            return await access.respond(ModelRequest(model, messages, **more), chunks.append)
        finally:
            await access.aclose()

    return asyncio.run(once())


def test_text_is_streamed_as_it_comes(server: ModelServer) -> None:
    chunks: list[str] = []
    reply = ask(
        server, Answer("The answer comes in pieces."), streamed=chunks, temperature=0.5, max_output_tokens=50, seed=7
    )
    assert reply.text == "The answer comes in pieces." == "".join(chunks)
    assert len(chunks) > 2
    assert (reply.finish, reply.model) == ("stop", "anthropic:claude-sonnet-4-6")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (11, 7)
    assert reply.usage.cost_microusd is None  # nobody knows what this address charges
    request = server.requests[0]
    assert request.body["stream"] is True
    assert request.body["model"] == "claude-sonnet-4-6"
    assert request.body["max_tokens"] == 50
    assert request.body["temperature"] == 0.5
    assert "seed" not in request.body  # a setting that this protocol does not have
    assert "Be brief." in str(request.body["system"])
    assert [message["role"] for message in request.body["messages"]] == ["user"]


def test_own_prices_count(server: ModelServer) -> None:
    prices = {"anthropic:claude-sonnet-4-6": {"input": 3.0, "cached": 0.3, "output": 15.0}}
    reply = ask(server, Answer("priced", usage=(1000, 100), cached=400), prices=prices)
    assert reply.usage.cost_microusd == 600 * 3 + 400 * 0.3 + 100 * 15


def test_tools_are_called_and_answered(server: ModelServer) -> None:
    first = ask(
        server,
        Answer("I look.", (Call("lookup", {"word": "a"}, id="toolu_7"),), piece=3, reasoning="Which word?"),
        tools=(LOOKUP,),
    )
    assert first.text == "I look."
    assert first.finish == "tool_calls"
    assert [(call.id, call.name, dict(call.arguments)) for call in first.tool_calls] == [
        ("toolu_7", "lookup", {"word": "a"})
    ]
    assert server.requests[0].body["tools"][0]["input_schema"] == LOOKUP.parameters

    result = ToolResult(role="tool", text="a: the first letter", name="lookup", call_id="toolu_7")
    ask(server, Answer("done"), messages=(user("a?"), Reply.from_json(first.to_json()), result), tools=(LOOKUP,))
    sent = server.requests[1].body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    # What it thought goes back as it came, with its signature: the provider checks it.
    assert [block["type"] for block in sent[1]["content"]] == ["thinking", "text", "tool_use"]
    assert sent[1]["content"][0]["signature"] == "signed"
    assert (sent[2]["content"][0]["type"], sent[2]["content"][0]["tool_use_id"]) == ("tool_result", "toolu_7")


@pytest.mark.parametrize(
    ("model", "is_sent"), [("anthropic:claude-sonnet-4-6", True), ("anthropic:claude-test", False)]
)
def test_the_form_of_an_answer_is_sent_where_the_model_takes_it_and_told_elsewhere(
    server: ModelServer, model: str, is_sent: bool
) -> None:
    assert ask(server, Answer('{"count": 3}'), model=model, output=FORM).text == '{"count": 3}'
    body = server.requests[0].body
    assert ("format" in body.get("output_config", {})) is is_sent
    assert ("JSON schema below" in str(body["system"])) is not is_sent


def test_a_form_with_free_fields_is_told(server: ModelServer) -> None:
    ask(server, Answer("{}"), output={"type": "object", "additionalProperties": {"type": "string"}})
    assert "output_config" not in server.requests[0].body
    assert "JSON schema below" in str(server.requests[0].body["system"])


@pytest.mark.parametrize(("seconds", "expected"), [(7, 7.0), (None, None)])
def test_rate_limit_carries_how_long_to_wait(
    server: ModelServer, seconds: float | None, expected: float | None
) -> None:
    with pytest.raises(RateLimited) as caught:
        ask(server, RateLimit(seconds))
    assert caught.value.retry_after == expected
    assert len(server.requests) == 1  # attempts are the engine's to make and to record


@pytest.mark.parametrize("status", [500, 503, 529])
def test_server_failures_may_pass(server: ModelServer, status: int) -> None:
    with pytest.raises(ModelUnavailable):
        ask(server, Status(status))
    assert len(server.requests) == 1


def test_an_overload_inside_the_stream_may_pass(server: ModelServer) -> None:
    body = '{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
    with pytest.raises(Retryable):
        ask(server, Raw(f"event: error\ndata: {body}\n\n"))


@pytest.mark.parametrize("clean", [False, True], ids=["connection closed", "no reason to end"])
@pytest.mark.parametrize("after", [1, 4])
def test_a_cut_answer_may_be_tried_again(server: ModelServer, clean: bool, after: int) -> None:
    with pytest.raises(AnswerCut):
        ask(server, Cut("This answer will not be complete at all.", after=after, clean=clean))


@pytest.mark.parametrize(
    ("status", "type", "names"),
    [
        (Status(401, "invalid x-api-key"), "ModelAuthentication", "ANTHROPIC_API_KEY"),
        (Status(404, "model: claude-none"), "ModelNotFound", "ANTHROPIC_BASE_URL"),
        (Status(400, "bad temperature"), "ModelRejected", "bad temperature"),
        (Status(400, "prompt is too long: 210000 tokens"), "ModelContextFull", "too long"),
        (Status(400, "Your credit balance is too low"), "ModelQuota", "credit balance"),
        (Status(402, "pay first"), "ModelQuota", "pay first"),
    ],
)
def test_refusals_are_final_and_say_what_to_do(server: ModelServer, status: Status, type: str, names: str) -> None:
    with pytest.raises(Permanent, match=names) as caught:
        ask(server, status)
    assert caught.value.type == type


def test_a_refused_answer_is_final(server: ModelServer) -> None:
    with pytest.raises(Permanent) as caught:
        ask(server, Answer("no", finish="content_filter"))
    assert caught.value.type == "ModelRefused"


def test_a_wrong_key_is_not_shown(server: ModelServer) -> None:
    with pytest.raises(Permanent, match="ANTHROPIC_API_KEY") as caught:
        ask(server, key="wrong-secret-key")
    assert "wrong-secret-key" not in str(caught.value)


def test_without_a_key_it_is_not_configured() -> None:
    with pytest.raises(Permanent, match="ANTHROPIC_API_KEY") as caught:
        asyncio.run(ModelAccess(ModelConfig).respond(ModelRequest("anthropic:claude-x", (user("?"),)), lambda _: None))
    assert caught.value.type == "ModelNotConfigured"
