"""The engine's tool port, bound to the registry of tools/."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.conf import settings

from agents.engine import errors as engine
from agents.engine.canonical import JSON
from agents.engine.messages import Citation, ToolResult
from agents.engine.ports import CallInfo, Need, ToolSpec
from agents.engine.retry import Retry
from agents.engine.worker_threads import until_available, with_django
from tools import errors as tools
from tools import kept
from tools.approving import Policy, is_free, request_for
from tools.http import Outbound, outbound
from tools.limits.limiter import Limiter
from tools.redaction import Redactor
from tools.registry import Registry, Tool, registry
from tools.threads import run_in_thread
from tools.types import Admitted, File, FoundPassage, ToolContext, ToolOutput

T = TypeVar("T")

Search = Callable[[int, str, int], Sequence[FoundPassage]]
"""Searches the documents of a workspace: (workspace id, query, limit). It may block."""


class Secrets(Protocol):
    """The secrets of workspaces."""

    async def reveal(self, workspace_id: int, name: str, host: str = "") -> str:
        """Give a secret, with a host only if it may be sent there."""
        ...

    async def hosts(self, workspace_id: int) -> Sequence[str]:
        """Give the hosts that secrets of the workspace may be sent to."""
        ...

    async def redactor(self, workspace_id: int) -> Redactor:
        """Give who takes the workspace's secrets out."""
        ...


class NoSecrets:
    """Where no secret is known."""

    async def reveal(self, workspace_id: int, name: str, host: str = "") -> str:
        raise tools.UnknownSecret(f"There is no secret named {name[:100]!r}.")

    async def hosts(self, workspace_id: int) -> Sequence[str]:
        return ()

    async def redactor(self, workspace_id: int) -> Redactor:
        return Redactor()


class Files(Protocol):
    """The files that runs have kept."""

    def load(self, workspace_id: int, run_id: UUID, name: str) -> File:
        """Give the latest file of this name; raises ToolFailed. It may block."""
        ...


class NoFiles:
    """Where no file is kept."""

    def load(self, workspace_id: int, run_id: UUID, name: str) -> File:
        raise tools.ToolFailed(f"This run has kept no file named {name[:100]!r}.")


@dataclass(slots=True)
class CallContext:
    """What a tool called by a run gets to see: the engine's CallInfo, documents, secrets, files, the web."""

    info: CallInfo
    find: Search
    find_alike: Search
    secrets: Secrets
    files: Files
    limits: Callable[[], Limiter] | None = None
    deadline: float | None = None

    @property
    def workspace_id(self) -> int:
        return self.info.workspace_id

    @property
    def run_id(self) -> UUID:
        return self.info.run_id

    @property
    def step_key(self) -> str:
        return self.info.step_key

    @property
    def idempotency_key(self) -> str:
        return self.info.idempotency_key

    @property
    def is_approved(self) -> bool:
        return self.info.is_approved

    async def begin(self) -> None:
        self.deadline = await self.info.begin()

    async def admit(self, keys: Sequence[str], *, pauses: Sequence[str] = ()) -> Admitted:
        if self.limits is None:
            return UNLIMITED
        return await self.limits().admit(keys, self.info, pauses=pauses)

    async def recall(self, digest: str) -> JSON:
        return await _ask_database(kept.recall, self.workspace_id, digest)

    async def keep(self, digest: str, output: JSON, *, tool: str, seconds: float) -> None:
        redactor = await self.secrets.redactor(self.workspace_id)
        await _ask_database(kept.keep, self.workspace_id, digest, tool, redactor.json(output), seconds)

    @property
    def http(self) -> Outbound:
        return outbound()

    def now(self) -> datetime:
        return self.info.now()

    async def secret(self, name: str, *, host: str = "") -> str:
        return await self.secrets.reveal(self.workspace_id, name, host)

    async def request_hosts(self) -> Sequence[str]:
        hosts = [*settings.REQUEST_HOSTS, *await self.secrets.hosts(self.workspace_id)]
        return list(dict.fromkeys(host.lower() for host in hosts))

    async def save_file(self, name: str, content: bytes, media_type: str) -> None:
        try:
            await self.info.keep(name, content, media_type)
        except engine.Permanent as error:
            raise tools.ToolFailed(str(error)) from error

    async def load_file(self, name: str) -> File:
        return await run_in_thread(self.files.load, self.workspace_id, self.run_id, name)

    async def search(self, query: str, limit: int) -> Sequence[FoundPassage]:
        return await run_in_thread(self.find, self.workspace_id, query, limit)

    async def search_alike(self, query: str, limit: int) -> Sequence[FoundPassage]:
        return await run_in_thread(self.find_alike, self.workspace_id, query, limit)

    def progress(self, text: str, done: float | None = None) -> None:
        self.info.progress(text, done)

    async def sleep(self, seconds: float) -> None:
        if self.deadline is not None and asyncio.get_running_loop().time() + seconds > self.deadline:
            raise tools.ToolFailed(f"A pause of {seconds:g} s does not fit into one tool call; ctx.sleep is for that.")
        await asyncio.sleep(seconds)


async def _ask_database(function: Callable[..., T], *args: Any) -> T:
    """Call what asks the database, in a thread, for as long as it takes the database to come back."""
    return await until_available("results", lambda: run_in_thread(with_django, function, *args))


POLICY_AGE = 1.0


class _Unlimited:
    """What lets every call in."""

    def release(self) -> None:
        """Nobody waits."""

    async def pause(self, seconds: float, reason: str) -> None:
        """Nobody else is there to wait."""


UNLIMITED = _Unlimited()


class RegistryToolPort:
    """The tools of a registry, as the engine calls them."""

    def __init__(
        self,
        search: Search,
        known: Registry = registry,
        search_alike: Search | None = None,
        secrets: Secrets | None = None,
        files: Files | None = None,
        policy: Callable[[int], Policy] = lambda _: Policy(),
        limits: Callable[[], Limiter] | None = None,
    ) -> None:
        """`policy` gives a workspace's policy on approvals by its id; it may block.

        `limits` gives the limiter of the running event loop; without it nothing is limited.
        """
        self._limits = limits
        self._search = search
        self._search_alike = search_alike or search
        self._secrets = secrets or NoSecrets()
        self._files = files or NoFiles()
        self._policy = policy
        self._policies: dict[int, tuple[Policy, float]] = {}
        self._tools = known

    def spec(self, name: str) -> ToolSpec:
        """Give a tool's specification; raises KeyError for an unknown name."""
        if name not in self._tools:
            raise KeyError(name)
        return specify(self._tools.get(name))

    def specs(self, names: Iterable[str]) -> list[ToolSpec]:
        """Give the specifications of the named tools, unknown ones left out."""
        return [specify(self._tools.get(name)) for name in names if name in self._tools]

    async def needs_approval(
        self, name: str, arguments: JSON, *, workspace_id: int, is_tainted: bool, because: str = ""
    ) -> Need | None:
        """Judge a call by what its tool declares and by the workspace's policy."""
        if name not in self._tools:
            return None
        tool = self._tools.get(name)
        if is_free(tool) and not because:
            return None
        policy = await self._policy_of(workspace_id)
        request = request_for(tool, arguments, policy, is_tainted=is_tainted, because=because)
        if request is None:
            return None
        return Need(request.effect, request.why, tool.schema, request.described, policy.lasts)

    async def _policy_of(self, workspace_id: int) -> Policy:
        """Give a workspace's policy, as it was at most a second ago: hundreds of calls need not ask for it each."""
        now = asyncio.get_running_loop().time()
        known, until = self._policies.get(workspace_id, (None, 0.0))
        if known is None or now >= until:
            known = await until_available("policies", lambda: run_in_thread(with_django, self._policy, workspace_id))
            self._policies[workspace_id] = (known, now + POLICY_AGE)
        return known

    async def call(self, name: str, arguments: JSON, info: CallInfo) -> ToolResult:
        """Call a tool once. What it says with ToolFailed is an answer, with ok=False."""
        try:
            context: ToolContext = CallContext(
                info, self._search, self._search_alike, self._secrets, self._files, self._limits
            )
            output = await _with_file_kept(await self._tools.get(name).run(arguments, context), context)
        except tools.ToolFailed as error:
            return ToolResult(role="tool", text=str(error), name=name, ok=False, error=type(error).__name__)
        except tools.NeedsApproval as error:
            raise engine.NeedsApproval(str(error)) from error
        except tools.ToolTimeout as error:
            raise engine.StepTimeout("StepTimeout", str(error), info.step_key) from error
        except tools.ToolRetry as error:
            raise engine.Retryable(str(error), error.retry_after) from error
        except tools.NoEffect as error:
            raise engine.NoEffect(str(error)) from error
        except tools.BadResult as error:
            raise engine.Permanent(str(error), type="BadResult") from error
        return _result(name, output)


async def _with_file_kept(output: ToolOutput, context: ToolContext) -> ToolOutput:
    """Keep the file that came with a result, if one did, and tell the model its name.

    What was done is done: a file that can't be kept makes no failure of it.
    """
    if output.file is None:
        return output
    name = output.file.name
    try:
        await context.save_file(name, output.file.content, output.file.media_type)
        note = f"Kept as a file of this run: {name}"
    except (tools.ToolFailed, OSError) as error:
        note = f"The file {name} could not be kept: {error}"
    return replace(output, text=f"{output.text}\n\n[{note}]", file=None)


def specify(tool: Tool) -> ToolSpec:
    """Put a tool into the engine's words."""
    retry = tool.retry
    return ToolSpec(
        name=tool.name,
        description=tool.description,
        parameters=tool.schema,
        effect=tool.effect,
        kind=tool.kind,
        trust=tool.trust,
        timeout=tool.timeout,
        retry=Retry(retry.max_attempts, retry.first, retry.factor, retry.max, retry.jitter) if retry else None,
        durable=tool.durable,
        isolation=tool.isolation,
        memory=tool.memory or settings.TOOL_MEMORY_MB,
    )


def _result(name: str, output: ToolOutput) -> ToolResult:
    return ToolResult(
        role="tool",
        text=output.text,
        name=name,
        data=output.data,
        citations=tuple(Citation(c.source, c.title, c.quote, c.locator) for c in output.citations),
        cached=output.cached,
    )
