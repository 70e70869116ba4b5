"""A ToolContext for tests of tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from tools.errors import ToolFailed, UnknownSecret
from tools.http import Outbound
from tools.types import JSON, File, FoundPassage


@dataclass
class FakeAdmission:
    """Writes down what becomes of an admission."""

    context: FakeContext
    pauses: list[str]

    def release(self) -> None:
        self.context.released += 1

    async def pause(self, seconds: float, reason: str) -> None:
        self.context.paused.append((self.pauses, seconds, reason))


@dataclass
class FakeContext:
    """Finds what it was given, sleeps by writing it down."""

    passages: Sequence[FoundPassage] = ()
    client: Outbound | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    hosts: Sequence[str] = ()
    files: dict[str, File] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)
    workspace_id: int = 1
    run_id: UUID = field(default_factory=lambda: UUID(int=1))
    step_key: str = "tool:x#0"
    idempotency_key: str = "key"
    deadline: float | None = None
    is_approved: bool = False
    begun: int = 0
    admitted: list[list[str]] = field(default_factory=list)
    released: int = 0
    kept: dict[str, JSON] = field(default_factory=dict)
    paused: list[tuple[list[str], float, str]] = field(default_factory=list)

    told: list[tuple[str, float | None]] = field(default_factory=list)

    def progress(self, text: str, done: float | None = None) -> None:
        self.told.append((text, done))

    async def begin(self) -> None:
        self.begun += 1

    async def admit(self, keys: Sequence[str], *, pauses: Sequence[str] = ()) -> FakeAdmission:
        self.admitted.append(list(keys))
        return FakeAdmission(self, list(pauses))

    async def recall(self, digest: str) -> JSON:
        return self.kept.get(digest)

    async def keep(self, digest: str, output: JSON, *, tool: str, seconds: float) -> None:
        self.kept[digest] = output

    @property
    def http(self) -> Outbound:
        assert self.client is not None
        return self.client

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def secret(self, name: str, *, host: str = "") -> str:
        if name not in self.secrets:
            raise UnknownSecret(name)
        return self.secrets[name]

    async def request_hosts(self) -> Sequence[str]:
        return self.hosts

    async def save_file(self, name: str, content: bytes, media_type: str) -> None:
        self.files[name] = File(name, media_type, content)

    async def load_file(self, name: str) -> File:
        if name not in self.files:
            raise ToolFailed(name)
        return self.files[name]

    async def search(self, query: str, limit: int) -> Sequence[FoundPassage]:
        return self.passages[:limit]

    async def search_alike(self, query: str, limit: int) -> Sequence[FoundPassage]:
        return self.passages[:limit]

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
