"""The tool `run_python`: computing in a sandbox of its own process, without files, network or clock of ours."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

from pydantic import Field

from tools.errors import BadResult, ToolFailed, ToolRetry
from tools.files import file_name, shown_and_whole
from tools.registry import tool
from tools.results import to_output
from tools.text import shorten
from tools.threads import run_in_thread
from tools.types import JSON, ToolContext, ToolOutput

SECONDS = 10.0
MEMORY = 256 * 1024 * 1024
MAX_PRINTED = 100_000
MAX_TEXT = 50_000
MAX_DEPTH = 300


@tool(effect="none", trust="untrusted", kind="act", timeout=60, limits=["cpu"], isolation="process", memory=512)
async def run_python(
    context: ToolContext,
    code: Annotated[str, Field(min_length=1, max_length=50_000)],
    inputs: dict[str, Any] | None = None,
) -> ToolOutput:
    """Run Python code that computes something, and get what it printed and the value of its last expression.

    It has no files, no network and no packages; math, json, re and datetime can be imported. It gets 10 seconds.

    Args:
        code: The code. Its last line may be an expression, whose value is given.
        inputs: Values that the code finds under these names.
    """
    for name in inputs or {}:
        if not name.isidentifier():
            raise ToolFailed(f"{name[:60]!r} can't be a variable's name.")
    monty = await run_in_thread(_sandbox)
    printed = monty.CollectString(max_bytes=MAX_PRINTED)
    limits = {"max_feed_duration_secs": SECONDS, "max_memory": MEMORY, "max_recursion_depth": MAX_DEPTH}
    try:
        async with (
            monty.AsyncMonty(max_processes=1, request_timeout=SECONDS + 10) as pool,
            pool.checkout(limits=limits, os_policy={"sleep": "zero", "datetime": context.now()}) as session,
        ):
            value = await session.feed_run(code, inputs=inputs or {}, print_callback=printed)
    except monty.MontyCrashedError as error:
        raise ToolFailed("The code broke its sandbox and was stopped.") from error
    except monty.MontyError as error:
        raise ToolFailed(f"{shorten(printed.output, 5_000)}\n{error}".strip()) from error
    except (OSError, IndexError, RuntimeError) as error:
        # Started it can't be: a machine that is short of processes, or a binary that is gone.
        raise ToolRetry(f"The sandbox can't be started: {error}.") from error
    return _output(printed.output, value)


def _sandbox() -> Any:
    """Import the sandbox; without it nothing is run at all, and surely not in this process."""
    try:
        return import_module("pydantic_monty")
    except ImportError as error:
        raise ToolFailed("No sandbox is installed here, so no code is run.") from error


def _output(printed: str, value: Any) -> ToolOutput:
    data: dict[str, JSON] = {"printed": printed, "value": None}
    try:
        shown = to_output("run_python", {"value": value}).data
    except BadResult:
        shown = {"value": repr(value)[:10_000]}
    data["value"] = shown["value"]
    parts = [printed.rstrip(), "" if value is None else f"→ {value!r}"]
    text = "\n".join(part for part in parts if part) or "It printed nothing."
    shown, file = shown_and_whole(text, MAX_TEXT, file_name("run_python", text, ".txt"), "text/plain")
    return ToolOutput(shown, data, file=file)
