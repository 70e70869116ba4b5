"""What leaves the tool port is free of secrets, whatever the tool did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import OperationalError

from agents.engine.canonical import JSON
from agents.engine.errors import NoEffect, Permanent, Retryable
from agents.engine.messages import Citation, ToolResult
from agents.engine.ports import CallInfo
from agents.testing import ScriptedTools
from agents.workflows.redacting import RedactingTools
from tools.redaction import Redactor

pytestmark = pytest.mark.anyio

VALUE = "sk-0123456789"
INFO = CallInfo(3, UUID(int=9), "tool:x#0", 1, "key", lambda: datetime.now(UTC))


def port(function: Callable[[JSON, CallInfo], Awaitable[ToolResult | str]], *known: str) -> RedactingTools:
    async def redactor(workspace_id: int) -> Redactor:
        assert workspace_id == INFO.workspace_id
        made = Redactor()
        for value in known:
            made.know(value, "shop")
        return made

    return RedactingTools(ScriptedTools(x=function), redactor)


async def test_a_result_is_cleaned_whole() -> None:
    async def spill(arguments: JSON, info: CallInfo) -> ToolResult:
        cited = (Citation(f"http://x/{VALUE}", VALUE, f"a {VALUE}", "1-2"),)
        return ToolResult("tool", f"it is {VALUE}", data={VALUE: [VALUE]}, citations=cited, name="x")

    result = await port(spill, VALUE).call("x", {}, INFO)
    assert VALUE not in str(result)
    assert result.data == {"[secret shop]": ["[secret shop]"]}
    assert result.citations[0].locator == "1-2"
    assert VALUE in str(await port(spill).call("x", {}, INFO))


async def test_files_are_cleaned_before_they_are_kept() -> None:
    kept: list[tuple[str, bytes]] = []

    async def keep(name: str, content: bytes, media_type: str) -> None:
        kept.append((name, content))

    async def spill(arguments: JSON, info: CallInfo) -> str:
        await info.keep(f"{VALUE}.bin", b"\xff" + VALUE.encode() + b"\x00", "application/octet-stream")
        return "done"

    await port(spill, VALUE).call("x", {}, replace(INFO, keep=keep))
    assert kept == [("[secret shop].bin", b"\xff[secret shop]\x00")]


@pytest.mark.parametrize("error", [Retryable, NoEffect, Permanent])
async def test_an_error_keeps_its_meaning(error: type[Exception]) -> None:
    async def fail(arguments: JSON, info: CallInfo) -> str:
        raise error(f"it is {VALUE}")

    with pytest.raises(error, match=r"^it is \[secret shop\]$"):
        await port(fail, VALUE).call("x", {}, INFO)


async def test_errors_without_a_secret_pass_as_they_are() -> None:
    error = Retryable("busy", 4.0)

    async def fail(arguments: JSON, info: CallInfo) -> str:
        raise error

    with pytest.raises(Retryable) as raised:
        await port(fail, VALUE).call("x", {}, INFO)
    assert raised.value is error


async def test_times_and_names_are_kept() -> None:
    async def busy(arguments: JSON, info: CallInfo) -> str:
        raise Retryable(VALUE, 4.0)

    async def wrong(arguments: JSON, info: CallInfo) -> str:
        raise Permanent(VALUE, "BadResult")

    async def broken(arguments: JSON, info: CallInfo) -> str:
        raise KeyError(VALUE)

    with pytest.raises(Retryable) as again:
        await port(busy, VALUE).call("x", {}, INFO)
    assert again.value.retry_after == 4.0
    with pytest.raises(Permanent) as refused:
        await port(wrong, VALUE).call("x", {}, INFO)
    assert refused.value.type == "BadResult"
    with pytest.raises(Retryable, match=r"KeyError: '\[secret shop\]'"):
        await port(broken, VALUE).call("x", {}, INFO)


async def test_nothing_is_done_while_the_secrets_can_not_be_read() -> None:
    called = []

    async def act(arguments: JSON, info: CallInfo) -> str:
        called.append(1)
        return "done"

    async def away(workspace_id: int) -> Redactor:
        raise OperationalError("the database is away")

    with pytest.raises(NoEffect):
        await RedactingTools(ScriptedTools(x=act), away).call("x", {}, INFO)
    assert called == []
