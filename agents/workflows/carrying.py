"""Carrying out the calls that a model asks for: of tools, and of what takes steps of the run's own, such as a pause."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import isfinite

from agents.engine import Context, StepFailed
from agents.engine.messages import ToolCall, ToolResult
from agents.workflows.crawling import crawl
from agents.workflows.delegating import Delegate, delegate, failure
from tools.builtin.wait import LONGEST, waited_text
from tools.errors import InvalidArguments, UnknownTool
from tools.registry import registry
from tools.types import Durable

Carrier = Callable[[Context, ToolCall], Awaitable[ToolResult]]
NOBODY: Mapping[str, Delegate] = {}


async def carry_out(
    ctx: Context,
    call: ToolCall,
    allowed: Sequence[str],
    delegates: Mapping[str, Delegate] = NOBODY,
    *,
    told: ToolResult | None = None,
) -> ToolResult:
    """Carry out one call of a model, of a tool that it is allowed or of a sub-agent, unless it is `told` something.

    Whatever is wrong with it is an answer, with ok=False and a text for the model.
    """
    if told is not None:
        return told
    if call.name not in allowed and call.name not in delegates:
        text = f"There is no tool named {call.name!r}. Tools: {', '.join([*allowed, *delegates])}."
        return answer(call, text, error=UnknownTool.__name__)
    try:
        if to := delegates.get(call.name):
            return await delegate(ctx, call, to)
        durable = registry.get(call.name).durable if call.name in registry else ""
        return await _CARRIERS[durable](ctx, call)
    except InvalidArguments as error:
        return answer(call, str(error), error=InvalidArguments.__name__)


def answer(call: ToolCall, text: str, *, error: str = "") -> ToolResult:
    """Answer a call by a text; with `error`, the name of what went wrong."""
    return ToolResult("tool", text, call_id=call.id, name=call.name, ok=not error, error=error)


async def _call(ctx: Context, call: ToolCall) -> ToolResult:
    return await ctx.tool(call)


async def _pause(ctx: Context, call: ToolCall) -> ToolResult:
    seconds = call.arguments.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not isfinite(seconds):
        raise InvalidArguments("A pause needs a number of seconds.")
    if not 0 <= seconds <= LONGEST:
        raise InvalidArguments(f"A pause has 0 to {LONGEST:.0f} seconds.")
    await ctx.sleep(float(seconds))
    return answer(call, waited_text(float(seconds)))


async def _ask(ctx: Context, call: ToolCall) -> ToolResult:
    asked = registry.get(call.name).validate(dict(call.arguments))
    form = {"enum": asked["choices"]} if asked["choices"] else None
    try:
        return answer(call, str(await ctx.ask(asked["question"], form)))
    except StepFailed as failed:
        return failure(call, failed.type, failed.message)


_CARRIERS: dict[Durable, Carrier] = {"": _call, "sleep": _pause, "ask": _ask, "crawl": crawl}
