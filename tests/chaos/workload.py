"""The workflow of the chaos: it carries out a plan (plans.py), each step leaving a line in the outside log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agents.engine import Context, Permanent, Retry, StepFailed, workflow
from agents.engine.canonical import decode, encode
from agents.engine.errors import StepTimeout
from agents.engine.plans import Plan
from agents.engine.recording import finish_step, outcome_of, record_step
from agents.engine.records import WaitRecord
from agents.engine.scope import current_scope
from tests.chaos.outside import Outside

UNSAFE_SECONDS = 2.0
PATIENT = Retry(max_attempts=12, first=0.05, factor=1.5, max=0.5)
"""Planned failures are few; a step that a stopped process seemed to block must not fail for that."""
LARGE = 300_000


async def undo(ctx: Context, input: Any) -> Any:
    """Make good for a run that was cancelled."""
    return await _safe(ctx, {"name": "undo", "ms": 20})


@workflow("chaos")
async def chaos(ctx: Context, input: Any) -> Any:
    """Carry out a plan."""
    return await _carry_out(ctx, input["plan"])


@workflow("chaos-undone", on_cancel=undo)
async def chaos_undone(ctx: Context, input: Any) -> Any:
    """Carry out a plan that is made good for when it is cancelled."""
    return await _carry_out(ctx, input["plan"])


async def _carry_out(ctx: Context, node: Any) -> Any:
    act: Callable[[Context, Any], Awaitable[Any]] = DEEDS[node["do"]]
    return await act(ctx, node)


async def _sequence(ctx: Context, node: Any) -> Any:
    return [await _carry_out(ctx, part) for part in node["of"]]


async def _all(ctx: Context, node: Any) -> Any:
    return await ctx.gather(*(_carry_out(ctx, part) for part in node["of"]))


async def _map(ctx: Context, node: Any) -> Any:
    return await ctx.map(partial(_carry_out, ctx), node["of"], width=3)


async def _as_they_come(ctx: Context, node: Any) -> Any:
    """Take branches in the order in which they end; the result is in theirs."""
    came = [pair async for pair in ctx.as_completed(*(_carry_out(ctx, part) for part in node["of"]))]
    return [result for _, result in sorted(came, key=lambda pair: pair[0])]


async def _race(ctx: Context, node: Any) -> Any:
    winner, result = await ctx.race(*(_carry_out(ctx, part) for part in node["of"]))
    return {"winner": winner, "gave": result}


async def _timeout(ctx: Context, node: Any) -> Any:
    try:
        return await ctx.timeout(node["seconds"], _carry_out(ctx, node["of"]))
    except StepTimeout:
        return "timed out"


async def _join(ctx: Context, node: Any) -> Any:
    """Sub-runs that nothing but a join awaits."""
    return await ctx.gather(*(ctx.call(part["workflow"], {"plan": part["plan"]}) for part in node["of"]))


async def _spawn(ctx: Context, node: Any) -> Any:
    started = await ctx.spawn(node["workflow"], {"plan": node["plan"]})
    between = await _safe(ctx, node)
    return [between, await started.result()]


async def _sleep(ctx: Context, node: Any) -> Any:
    await ctx.sleep(node["seconds"])
    await ctx.emit("slept", {"seconds": node["seconds"]})
    return "slept"


async def _event(ctx: Context, node: Any) -> Any:
    """Wait for a message from outside, as the engine's own waits do."""
    x, scope = ctx._x, ctx._enter("event")
    key = scope.next_key(f"event:{node['name']}")
    record = x.steps.get(key)
    if record is None:
        await x.gate()
        record = record_step(x, key, Plan("event", "event", node["name"], ""))
    if not record.is_done:
        message = await x.message(key, WaitRecord("event", key=key, name=node["name"]))
        x.change().consumed.append(message.id)
        record = finish_step(x, record, encode(decode(message.data)))
        await x.commit()
    scope.saw(record.finished_at)
    return await outcome_of(x, record)


async def _safe(ctx: Context, node: Any) -> Any:
    """Act; fail so many times before, if the plan says so."""
    note = _notes(ctx, node["name"], is_unsafe=False)
    fails, seconds = node.get("fails", 0), node["ms"] / 1000

    def begin() -> None:
        note()
        if fails and Outside.of_process().count(str(ctx.run_id), node["name"]) < fails:
            raise RuntimeError(f"planned failure of {node['name']}")

    def in_thread(name: str) -> str:
        begin()
        time.sleep(seconds)
        return name

    async def on_loop(name: str) -> str:
        begin()
        await asyncio.sleep(seconds)
        return name

    function = in_thread if node.get("in_thread") else on_loop
    return await ctx.step(node["name"], function, node["name"], retry=PATIENT)


async def _unsafe(ctx: Context, node: Any) -> Any:
    """Act once; `raises` says whether it fails before or after its effect, the first time."""
    note = _notes(ctx, node["name"], is_unsafe=True)
    raises = node.get("raises", "")

    async def act(name: str) -> str:
        is_first = not raises or Outside.of_process().count(str(ctx.run_id), name) == 0
        if raises == "before" and is_first:
            raise RuntimeError("failed before its effect")
        note()
        await asyncio.sleep(node["ms"] / 1000)
        if raises == "after" and is_first:
            raise RuntimeError("failed after its effect")
        return name

    return await ctx.step(node["name"], act, node["name"], effect="unsafe", timeout=UNSAFE_SECONDS)


async def _broken(ctx: Context, node: Any) -> Any:
    """Fail for good, at once or after some attempts; the workflow goes on."""
    note = _notes(ctx, node["name"], is_unsafe=False)

    async def fail(name: str) -> None:
        note()
        if node["attempts"] == 1:
            raise Permanent(f"{name} is broken")
        raise RuntimeError(f"{name} is broken")

    try:
        await ctx.step(node["name"], fail, node["name"], retry=Retry(node["attempts"], first=0.05))
    except StepFailed:
        return {"failed": node["name"]}


async def _mended(ctx: Context, node: Any) -> Any:
    """Fail for good, and the run with it, until somebody has retried it often enough."""
    note = _notes(ctx, node["name"], is_unsafe=False)

    async def act(name: str) -> str:
        note()
        if Outside.of_process().count(str(ctx.run_id), name) < node["retries"]:
            raise Permanent("not mended yet")
        return name

    return await ctx.step(node["name"], act, node["name"], retry=PATIENT)


async def _large(ctx: Context, node: Any) -> Any:
    """Have an outcome that does not fit into the step's row."""
    note = _notes(ctx, node["name"], is_unsafe=False)

    async def act(name: str) -> str:
        note()
        return name * (LARGE // len(name))

    text = await ctx.step(node["name"], act, node["name"], retry=PATIENT)
    return text[: len(node["name"])]


def _notes(ctx: Context, name: str, *, is_unsafe: bool) -> Callable[[], None]:
    """Give what leaves the line of an execution. Only the engine knows the key and the attempt while it executes."""
    x, scope = ctx._x, current_scope.get()
    assert scope is not None
    key = f"{scope.path}{name}#0"

    def note() -> None:
        attempt = x.steps[key].attempt
        Outside.of_process().note(str(ctx.run_id), key, x.claimed.epoch, attempt, is_unsafe=is_unsafe)

    return note


DEEDS: dict[str, Callable[[Context, Any], Awaitable[Any]]] = {
    "sequence": _sequence,
    "all": _all,
    "map": _map,
    "as they come": _as_they_come,
    "race": _race,
    "timeout": _timeout,
    "join": _join,
    "spawn": _spawn,
    "sleep": _sleep,
    "event": _event,
    "safe": _safe,
    "unsafe": _unsafe,
    "broken": _broken,
    "mended": _mended,
    "large": _large,
}
