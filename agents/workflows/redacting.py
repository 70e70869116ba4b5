"""Keeping secrets out of what tools give: it becomes the record of a step, is shown, and is read by models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from agents.engine.canonical import JSON, message_of
from agents.engine.errors import NoEffect, Permanent, Retryable
from agents.engine.messages import Citation, ToolResult
from agents.engine.outages import DATABASE_ERRORS
from agents.engine.ports import CallInfo, Keep, Need, ToolPort, ToolSpec
from tools.redaction import Redactor


class RedactingTools:
    """A tool port around another: results, files and errors leave it without the secrets of the run's workspace."""

    def __init__(self, tools: ToolPort, redactor: Callable[[int], Awaitable[Redactor]]) -> None:
        self._tools = tools
        self._redactor = redactor

    def spec(self, name: str) -> ToolSpec:
        return self._tools.spec(name)

    def specs(self, names: Iterable[str]) -> list[ToolSpec]:
        return self._tools.specs(names)

    async def needs_approval(
        self, name: str, arguments: JSON, *, workspace_id: int, is_tainted: bool, because: str = ""
    ) -> Need | None:
        return await self._tools.needs_approval(
            name, arguments, workspace_id=workspace_id, is_tainted=is_tainted, because=because
        )

    async def call(self, name: str, arguments: JSON, info: CallInfo) -> ToolResult:
        try:
            redactor = await self._redactor(info.workspace_id)
        except DATABASE_ERRORS as error:
            # Before anything was done: what comes back could not be cleaned.
            raise NoEffect(f"The workspace's secrets can't be read now: {message_of(error)}") from error
        try:
            guarded = replace(info, keep=_cleaning(info.keep, redactor)) if redactor else info
            result = await self._tools.call(name, arguments, guarded)
        except Exception as error:
            told = _without_secrets(error, redactor)
            if told is error:
                raise
            raise told from error
        return _clean(result, redactor) if redactor else result


def _cleaning(keep: Keep, redactor: Redactor) -> Keep:
    """Free files of secrets before they are kept."""

    async def keep_clean(name: str, content: bytes, media_type: str) -> JSON:
        return await keep(redactor.text(name), redactor.bytes(content), media_type)

    return keep_clean


def _clean(result: ToolResult, redactor: Redactor) -> ToolResult:
    return replace(
        result,
        text=redactor.text(result.text),
        data=redactor.json(result.data),
        citations=tuple(
            Citation(redactor.text(cited.source), redactor.text(cited.title), redactor.text(cited.quote), cited.locator)
            for cited in result.citations
        ),
    )


def _without_secrets(error: Exception, redactor: Redactor) -> Exception:
    """Give the error itself if it tells no secret, else one that says the same without it."""
    message = message_of(error)
    clean = redactor.text(message)
    if clean == message:
        return error
    match error:
        case Retryable():
            return Retryable(clean, error.retry_after)
        case Permanent():
            return Permanent(clean, error.type)
        case NoEffect():
            return NoEffect(clean)
    return Retryable(f"{type(error).__name__}: {clean}")
