"""A model server for tests: speaks OpenAI's chat-completions protocol, and Anthropic's of messages, over real HTTP.

    with ModelServer() as server:
        server.script(Answer("Hello"), RateLimit(retry_after=2), Cut("half a", after=1))
        ...  # point OPENAI_BASE_URL at server.url, or ANTHROPIC_BASE_URL at server.root
        assert server.requests[0].body["model"] == "test"

Each request takes the next entry of the script; with an empty script the server says so with a 500. It runs an
asyncio server of its own on a thread, so that the client under test talks to it through a socket like to any other.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests import anthropic_events

KEY = "test-key"
CREATED = 1_700_000_000
MAX_LINE = 64 * 1024


@dataclass(frozen=True)
class Call:
    """A tool call of an answer. `raw` replaces the JSON of the arguments, to send what is not JSON."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    raw: str | None = None

    def text(self) -> str:
        return json.dumps(self.arguments) if self.raw is None else self.raw


@dataclass(frozen=True)
class Answer:
    """An answer in pieces of `piece` characters. Seconds: `first` before the first byte, `pause` between pieces."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    usage: tuple[int, int] | None = (11, 7)
    cached: int = 0
    finish: str | None = ""
    piece: int = 8
    first: float = 0.0
    pause: float = 0.0
    reasoning: str = ""


@dataclass(frozen=True)
class Cut:
    """An answer that stops after `after` pieces: the connection is closed, or (clean) the stream just ends."""

    text: str
    after: int = 2
    clean: bool = False
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True)
class Status:
    """A refusal by HTTP status."""

    status: int
    message: str = "scripted failure"
    code: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Raw:
    """A 200 with exactly this body."""

    body: str
    content_type: str = "text/event-stream"


@dataclass(frozen=True)
class Hang:
    """No answer at all within these seconds, then the connection is closed."""

    seconds: float = 30.0


def RateLimit(retry_after: float | None = None) -> Status:  # noqa: N802 (reads as one of the entries above)
    """Make a 429."""
    headers = () if retry_after is None else (("Retry-After", f"{retry_after:g}"),)
    return Status(429, "slow down", "rate_limit_exceeded", headers)


Entry = Answer | Cut | Status | Raw | Hang


@dataclass(frozen=True)
class Recorded:
    """A request as it came. `when` is in the seconds of time.monotonic()."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    when: float


class ModelServer:
    """The server. Entries are taken in order; `choose` may pick them by the request instead."""

    def __init__(self, key: str = KEY, choose: Callable[[Recorded], Entry] | None = None) -> None:
        self.key = key
        self.requests: list[Recorded] = []
        self._choose = choose
        self._entries: deque[Entry] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="model-server", daemon=True)
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        """The base URL that a client is given."""
        return f"{self.root}/v1"

    @property
    def root(self) -> str:
        """The base URL that a client of Anthropic's is given."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, *entries: Entry) -> None:
        """Append what the next requests get."""
        self._entries.extend(entries)

    @property
    def left(self) -> int:
        """How many entries nobody has taken."""
        return len(self._entries)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("The model server did not start.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        connections: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._connection(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=MAX_LINE)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                self.requests.append(request)
                if not await self._answer(request, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            # The client went away, as some tests make it do.
            pass
        finally:
            writer.close()

    async def _answer(self, request: Recorded, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False closes the connection."""
        path = request.path.partition("?")[0]
        dialect = ANTHROPIC if path.endswith("/messages") else OPENAI
        if (
            request.headers.get("authorization") != f"Bearer {self.key}"
            and request.headers.get("x-api-key") != self.key
        ):
            return await _refuse(writer, Status(401, "Incorrect API key provided", dialect.wrong_key), dialect)
        if not path.endswith(("/chat/completions", "/messages")):
            return await _refuse(writer, Status(404, f"no route {request.path}", "not_found"), dialect)
        entry = self._next(request)
        model = str(request.body.get("model", ""))
        match entry:
            case Status():
                return await _refuse(writer, entry, dialect)
            case Raw():
                return await _whole(writer, 200, entry.content_type, entry.body.encode())
            case Hang():
                await asyncio.sleep(entry.seconds)
                return False
            case Cut():
                answer = Answer(entry.text, entry.calls, finish=None, usage=None)
                events = dialect.events(answer, model)[: entry.after]
                return await _stream(writer, [dialect.framed(event) for event in events], clean=entry.clean)
            case Answer():
                await asyncio.sleep(entry.first)
                events = [dialect.framed(event) for event in dialect.events(entry, model)]
                return await _stream(writer, [*events, *dialect.last], clean=True, pause=entry.pause)

    def _next(self, request: Recorded) -> Entry:
        if self._choose is not None:
            return self._choose(request)
        if not self._entries:
            return Status(500, "the script has no entry left")
        return self._entries.popleft()


async def _read_request(reader: asyncio.StreamReader) -> Recorded | None:
    line = await reader.readline()
    if not line.strip():
        return None
    path = line.decode().split(" ")[1]
    headers: dict[str, str] = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode().partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Recorded(path, headers, json.loads(body or b"{}"), asyncio.get_running_loop().time())


def _events(answer: Answer, model: str) -> list[str]:
    """Give the events of a streamed answer, as OpenAI cuts them."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return json.dumps(_envelope(model) | {"choices": [choice]})

    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"reasoning_content": piece}) for piece in _pieces(answer.reasoning, answer.piece)]
    events += [chunk({"content": piece}) for piece in _pieces(answer.text, answer.piece)]
    for index, call in enumerate(answer.calls):
        head = {"index": index, "id": call.id or f"call_{index}_{call.name}", "type": "function"}
        events.append(chunk({"tool_calls": [head | {"function": {"name": call.name, "arguments": ""}}]}))
        for piece in _pieces(call.text(), answer.piece):
            events.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    if answer.finish is not None:
        events.append(chunk({}, answer.finish or ("tool_calls" if answer.calls else "stop")))
    if answer.usage is not None:
        events.append(json.dumps(_envelope(model) | {"choices": [], "usage": _usage(answer)}))
    return events


def _envelope(model: str) -> dict[str, Any]:
    return {"id": "chatcmpl-test", "object": "chat.completion.chunk", "created": CREATED, "model": model}


def _usage(answer: Answer) -> dict[str, Any]:
    tokens_in, tokens_out = answer.usage or (0, 0)
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": answer.cached},
    }


def _pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


async def _stream(writer: asyncio.StreamWriter, events: list[str], *, clean: bool, pause: float = 0.0) -> bool:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    for event in events:
        data = event.encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()
        if pause:
            await asyncio.sleep(pause)
    if clean:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    return clean


async def _refuse(writer: asyncio.StreamWriter, status: Status, dialect: Dialect) -> bool:
    body = dialect.refusal(status)
    return await _whole(writer, status.status, "application/json", json.dumps(body).encode(), status.headers)


async def _whole(
    writer: asyncio.StreamWriter,
    status: int,
    content_type: str,
    body: bytes,
    headers: tuple[tuple[str, str], ...] = (),
) -> bool:
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
    return True


def _framed(event: str) -> str:
    return f"data: {event}\n\n"


def _refusal(status: Status) -> dict[str, Any]:
    kind = "rate_limit_error" if status.status == 429 else "invalid_request_error"
    return {"error": {"message": status.message, "type": kind, "code": status.code, "param": None}}


@dataclass(frozen=True)
class Dialect:
    """How a protocol says things."""

    events: Callable[[Answer, str], list[str]]
    framed: Callable[[str], str]
    refusal: Callable[[Status], dict[str, Any]]
    last: tuple[str, ...]
    wrong_key: str


OPENAI = Dialect(_events, _framed, _refusal, (_framed("[DONE]"),), "invalid_api_key")
ANTHROPIC = Dialect(
    anthropic_events.events_of, anthropic_events.named, anthropic_events.refusal_of, (), "authentication_error"
)
