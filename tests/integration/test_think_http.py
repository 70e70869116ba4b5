"""Model access over real HTTP: each way in which a server of the OpenAI protocol can answer, or fail to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from agents.engine.errors import Permanent, Retryable
from agents.engine.messages import Citation, Message, Reply, ToolResult, system, user
from agents.engine.ports import AgentConfig, CallInfo, ModelRequest, ToolSpec
from agents.llm import ModelAccess, ModelConfig
from agents.llm.errors import AnswerCut, MalformedAnswer, ModelUnavailable, RateLimited
from agents.testing import TestRun, WorkflowTest
from agents.workflows.react import react
from tests.model_server import KEY, Answer, Call, Cut, Entry, Hang, ModelServer, RateLimit, Raw, Status

LOOKUP = ToolSpec(
    name="lookup",
    description="Look a word up.",
    parameters={"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def ask(
    server: ModelServer,
    *entries: Entry,
    messages: tuple[Message, ...] = (user("Hello?"),),
    tools: tuple[ToolSpec, ...] = (),
    config: ModelConfig | None = None,
    model: str = "test:small",
    max_output_tokens: int | None = None,
    streamed: list[str] | None = None,
) -> Reply:
    """Script the server, ask once, close."""
    server.script(*entries)
    config = config or ModelConfig(api_key=KEY, base_url=server.url)
    chunks: list[str] = [] if streamed is None else streamed

    async def once() -> Reply:
        access = ModelAccess(lambda: config)
        try:
            request = ModelRequest(model, messages, tools, temperature=0.5, max_output_tokens=max_output_tokens)
            return await access.respond(request, chunks.append)
        finally:
            await access.aclose()

    return asyncio.run(once())


def test_text_is_streamed_as_it_comes(server: ModelServer) -> None:
    chunks: list[str] = []
    reply = ask(server, Answer("The answer comes in several pieces."), streamed=chunks, max_output_tokens=50)
    assert reply.text == "The answer comes in several pieces." == "".join(chunks)
    assert len(chunks) > 2
    assert (reply.finish, reply.model) == ("stop", "test:small")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (11, 7)
    assert reply.usage.cost_microusd is None  # nobody knows what this server charges
    body = server.requests[0].body
    assert body["stream"] is True
    assert body["messages"] == [{"role": "user", "content": "Hello?"}]
    assert body["max_tokens"] == 50  # compatible servers may not know max_completion_tokens
    assert body["temperature"] == 0.5


def test_first_piece_reaches_the_stream_before_the_answer_ends(server: ModelServer) -> None:
    server.script(Answer("one two three four five six", piece=4, pause=0.05))
    seen: list[float] = []

    async def once() -> float:
        access = ModelAccess(lambda: ModelConfig(api_key=KEY, base_url=server.url))
        await access.respond(ModelRequest("test:small", (user("?"),)), lambda _: seen.append(time.monotonic()))
        await access.aclose()
        return time.monotonic()

    end = asyncio.run(once())
    assert end - seen[0] > 0.15


def test_a_slow_first_byte_is_waited_for(server: ModelServer) -> None:
    assert ask(server, Answer("late", first=0.4)).text == "late"


def test_thoughts_are_no_part_of_the_answer(server: ModelServer) -> None:
    chunks: list[str] = []
    reply = ask(server, Answer("Yes.", reasoning="Let me see whether that is so."), streamed=chunks)
    assert reply.text == "Yes." == "".join(chunks)


def test_tool_calls_from_fragments(server: ModelServer) -> None:
    calls = (Call("lookup", {"word": 'épée "x"'}), Call("lookup", {"word": "b"}))
    reply = ask(server, Answer("I look.", calls, piece=3), tools=(LOOKUP,))
    assert reply.text == "I look."
    assert reply.finish == "tool_calls"
    assert [(c.name, dict(c.arguments)) for c in reply.tool_calls] == [(c.name, c.arguments) for c in calls]
    assert len({c.id for c in reply.tool_calls}) == 2
    tool = server.requests[0].body["tools"][0]["function"]
    assert tool["parameters"] == LOOKUP.parameters


def test_a_recorded_answer_goes_back_as_the_provider_gave_it(server: ModelServer) -> None:
    first = ask(
        server, Answer("", (Call("lookup", {"word": "a"}, id="call_7"),), reasoning="Which word?"), tools=(LOOKUP,)
    )
    recorded = Reply.from_json(first.to_json())
    result = ToolResult(role="tool", text="a: the first letter", name="lookup", call_id="call_7")
    ask(server, Answer("done"), messages=(system("Be brief."), user("a?"), recorded, result), tools=(LOOKUP,))
    sent = server.requests[1].body["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "tool"]
    assert sent[2]["tool_calls"][0]["id"] == "call_7"
    assert sent[2]["reasoning_content"] == "Which word?"

    assert (sent[3]["tool_call_id"], sent[3]["content"]) == ("call_7", "a: the first letter")


def test_an_edited_answer_goes_back_as_edited(server: ModelServer) -> None:
    first = ask(server, Answer("Paris"))
    data = first.to_json() | {"text": "Lyon"}
    ask(server, Answer("ok"), messages=(user("?"), Reply.from_json(data), user("sure?")))
    assert server.requests[1].body["messages"][1]["content"] == "Lyon"


@pytest.mark.parametrize(("seconds", "expected"), [(7, 7.0), (None, None)])
def test_rate_limit_carries_how_long_to_wait(
    server: ModelServer, seconds: float | None, expected: float | None
) -> None:
    with pytest.raises(RateLimited) as caught:
        ask(server, RateLimit(seconds))
    assert caught.value.retry_after == expected
    assert len(server.requests) == 1  # attempts are the engine's to make and to record


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529, 408])
def test_server_failures_may_pass(server: ModelServer, status: int) -> None:
    with pytest.raises(ModelUnavailable):
        ask(server, Status(status))
    assert len(server.requests) == 1


def test_unavailable_with_a_time_to_come_back(server: ModelServer) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        ask(server, Status(503, headers=(("Retry-After", "4"),)))
    assert caught.value.retry_after == 4.0


@pytest.mark.fault(48)
@pytest.mark.parametrize("clean", [False, True], ids=["connection closed", "no reason to end"])
@pytest.mark.parametrize("after", [1, 4])
def test_a_cut_answer_may_be_tried_again(server: ModelServer, clean: bool, after: int) -> None:
    chunks: list[str] = []
    with pytest.raises(Retryable) as caught:
        ask(server, Cut("This answer will not be complete at all.", after=after, clean=clean), streamed=chunks)
    assert isinstance(caught.value, AnswerCut)
    assert "".join(chunks) == "This answer will not be complete at all."[: 8 * (after - 1)]


def test_a_cut_tool_call_may_be_tried_again(server: ModelServer) -> None:
    with pytest.raises(AnswerCut):
        ask(server, Cut("", after=3, clean=True, calls=(Call("lookup", {"word": "long word"}),)), tools=(LOOKUP,))


@pytest.mark.fault(48)
@pytest.mark.parametrize("raw", ['{"word": "a"', "[1, 2]", "word=a"])
def test_unreadable_arguments_may_be_tried_again(server: ModelServer, raw: str) -> None:
    with pytest.raises(MalformedAnswer, match="lookup"):
        ask(server, Answer("", (Call("lookup", raw=raw),)), tools=(LOOKUP,))


def test_no_arguments_are_an_empty_object(server: ModelServer) -> None:
    reply = ask(server, Answer("", (Call("lookup", raw=""),)), tools=(LOOKUP,))
    assert dict(reply.tool_calls[0].arguments) == {}


def test_an_empty_answer_may_be_tried_again(server: ModelServer) -> None:
    with pytest.raises(MalformedAnswer):
        ask(server, Answer("  "))


@pytest.mark.parametrize(
    "raw", [Raw("data: {broken\n\n"), Raw("<html>Welcome</html>", "text/html"), Raw("", "text/event-stream")]
)
def test_what_is_no_answer_may_be_tried_again(server: ModelServer, raw: Raw) -> None:
    with pytest.raises(Retryable):
        ask(server, raw)


def test_an_error_inside_the_stream(server: ModelServer) -> None:
    body = '{"error": {"message": "overloaded", "type": "server_error", "code": null}}'
    with pytest.raises(Retryable):
        ask(server, Raw(f"data: {body}\n\n"))


def test_an_answer_at_the_length_limit_says_so(server: ModelServer) -> None:
    assert ask(server, Answer("and then", finish="length")).finish == "length"


def test_all_tokens_spent_before_the_answer(server: ModelServer) -> None:
    with pytest.raises(Permanent, match="output tokens"):
        ask(server, Answer("", finish="length", reasoning="hm hm"))


@pytest.mark.parametrize(
    ("status", "type", "names"),
    [
        (Status(403, "no access"), "ModelAuthentication", "OPENAI_API_KEY"),
        (Status(404, "no such model", "model_not_found"), "ModelNotFound", "OPENAI_BASE_URL"),
        (Status(400, "bad temperature"), "ModelRejected", "bad temperature"),
        (Status(422, "odd"), "ModelRejected", "odd"),
        (Status(400, "maximum context length", "context_length_exceeded"), "ModelContextFull", "too long"),
        (Status(429, "pay first", "insufficient_quota"), "ModelQuota", "pay first"),
    ],
)
def test_refusals_are_final_and_say_what_to_do(server: ModelServer, status: Status, type: str, names: str) -> None:
    with pytest.raises(Permanent, match=names) as caught:
        ask(server, status)
    assert caught.value.type == type


def test_a_wrong_key_is_final_and_not_shown(server: ModelServer) -> None:
    with pytest.raises(Permanent, match="OPENAI_API_KEY") as caught:
        ask(server, config=ModelConfig(api_key="wrong-secret", base_url=server.url))
    assert caught.value.type == "ModelAuthentication"
    assert "wrong-secret" not in str(caught.value)


def test_a_refused_answer_is_final(server: ModelServer) -> None:
    with pytest.raises(Permanent) as caught:
        ask(server, Answer("", finish="content_filter"))
    assert caught.value.type == "ModelRefused"


def test_nobody_listens(server: ModelServer) -> None:
    with pytest.raises(ModelUnavailable, match="OPENAI_BASE_URL"):
        ask(server, config=ModelConfig(api_key=KEY, base_url="http://127.0.0.1:9/v1"))


def test_a_cancelled_request_closes_its_connection(server: ModelServer) -> None:
    server.script(Hang(20), Answer("second"))

    async def cancelled_then_asked() -> str:
        access = ModelAccess(lambda: ModelConfig(api_key=KEY, base_url=server.url))
        request = ModelRequest("test:small", (user("?"),))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await access.respond(request, lambda _: None)
        reply = await access.respond(request, lambda _: None)
        await access.aclose()
        return reply.text

    assert asyncio.run(cancelled_then_asked()) == "second"


def test_many_at_once_share_one_client(server: ModelServer) -> None:
    server.script(*(Answer(f"answer {n}", first=0.3) for n in range(40)))

    async def all_at_once() -> list[str]:
        access = ModelAccess(lambda: ModelConfig(api_key=KEY, base_url=server.url))
        request = ModelRequest("test:small", (user("?"),))
        replies = await asyncio.gather(*(access.respond(request, lambda _: None) for _ in range(40)))
        await access.aclose()
        return [reply.text for reply in replies]

    assert len(set(asyncio.run(all_at_once()))) == 40


def test_own_prices_count_for_own_servers(server: ModelServer) -> None:
    prices = {"test:small": {"input": 2.0, "cached": 0.5, "output": 10.0}}
    config = ModelConfig(api_key=KEY, base_url=server.url, prices=prices)
    reply = ask(server, Answer("priced", usage=(1000, 100), cached=400), config=config)
    assert reply.usage.cost_microusd == 600 * 2 + 400 * 0.5 + 100 * 10
    assert ask(server, Answer("unmetered", usage=None), config=config).usage.cost_microusd is None


class _Lookup:
    """Tools with one that looks words up."""

    def spec(self, name: str) -> ToolSpec:
        return {"lookup": LOOKUP}[name]

    def specs(self, names: Iterable[str]) -> list[ToolSpec]:
        return [LOOKUP for name in names if name == "lookup"]

    async def needs_approval(
        self, name: str, arguments: Any, *, workspace_id: int, is_tainted: bool, because: str = ""
    ) -> None:
        """Looking up is free."""

    async def call(self, name: str, arguments: Any, info: CallInfo) -> ToolResult:
        await info.begin()
        cited = (Citation(f"https://dictionary.example/{arguments['word']}", "Dictionary"),)
        return ToolResult("tool", f"{arguments['word']}: a word", name=name, citations=cited)


class _Closing(ModelAccess):
    """Closes its connections after each answer: the engine of the test runs each run on a loop of its own."""

    async def respond(self, request: ModelRequest, stream: Callable[[str], None]) -> Reply:
        try:
            return await super().respond(request, stream)
        finally:
            await self.aclose()


def run_react(server: ModelServer, *entries: Entry) -> TestRun:
    """Drive the workflow "react" against the server; the engine's clock is moved by hand, so pauses take no time."""
    server.script(*entries)
    access = _Closing(lambda: ModelConfig(api_key=KEY, base_url=server.url))
    agent = AgentConfig("tester", 1, "Look words up.", "test:small", ("lookup",))
    return WorkflowTest(model=access, tools=_Lookup(), agent=agent).run(react, "What is a word?")


@pytest.mark.fault(48)
def test_react_through_all_that_may_go_wrong(server: ModelServer) -> None:
    run = run_react(
        server,
        RateLimit(7),
        Status(503),
        Answer("", (Call("lookup", raw='{"word": '),)),
        Answer("I look it up.", (Call("lookup", {"word": "word"}),)),
        Cut("A word is", after=2),
        Cut("A word is", after=2, clean=True),
        Status(500),
        Answer("A word is a word [1]."),
    )
    assert run.status == "succeeded", run.error
    assert run.output["text"] == "A word is a word [1]."
    assert run.output["citations"][0]["source"] == "https://dictionary.example/word"
    assert run.output["citations"][0]["step"] == "gather#0/0/tool:lookup#0"
    assert server.left == 0
    assert len(server.requests) == 8
    assert server.requests[-1].body["messages"][-1]["role"] == "tool"


@pytest.mark.fault(48)
@pytest.mark.parametrize(
    ("entry", "type", "requests"),
    [
        (Status(404, "no such model"), "ModelNotFound", 1),
        (Answer(" "), "MalformedAnswer", 5),
        (Status(500), "ModelUnavailable", 5),
    ],
)
def test_react_fails_by_name_when_the_model_can_not_be_had(
    server: ModelServer, entry: Entry, type: str, requests: int
) -> None:
    run = run_react(server, *[entry] * 5)
    assert run.status == "failed"
    assert run.error["type"] == type
    assert len(server.requests) == requests
