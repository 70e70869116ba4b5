"""The words tools and their callers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from tools.http import Outbound

JSON = Any
"""A value with a JSON form."""

Effect = Literal["none", "idempotent", "unsafe"]
"""What calling a tool twice with the same arguments does: nothing, the same as calling it once, or harm."""

Trust = Literal["trusted", "untrusted"]
"""Whether a tool's output can be written by strangers. Text from outside is untrusted."""

Kind = Literal["search", "act"]
"""Whether a tool retrieves, or does anything else."""

Durable = Literal["", "sleep", "ask", "crawl"]
"""What the workflow carries out by steps of its own: `sleep` a pause, `ask` a question to a person, `crawl` a walk over
many pages."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and in what rhythm failed attempts are repeated; seconds. `max_attempts` counts the first one."""

    max_attempts: int = 3
    first: float = 1.0
    factor: float = 2.0
    max: float = 60.0
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class Citation:
    """Where something was read. `source` is a URL or `document:<id>`; `quote` stands verbatim in it."""

    source: str
    title: str = ""
    quote: str = ""
    locator: str = ""


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """A tool's answer: `text` is what the model reads, `data` what code reads.

    `file` is kept by the run, with the step: the whole of what is too long to be read at once, or what is no text.
    `cached` says that the function was not called for it: an equal call's answer was kept, or under way.
    """

    text: str
    data: JSON = None
    citations: tuple[Citation, ...] = ()
    cached: bool = False
    file: File | None = None


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage that a search found: `text` is characters `start` to `end` of its document."""

    document_id: int
    title: str
    text: str
    start: int
    end: int
    score: float
    url: str = ""

    @property
    def source(self) -> str:
        """Give the name by which answers cite the document."""
        return f"document:{self.document_id}"


@dataclass(frozen=True, slots=True)
class File:
    """A file that a run has kept."""

    name: str
    media_type: str
    content: bytes


class Admitted(Protocol):
    """A call that its limits have let in."""

    def release(self) -> None:
        """Make room for the next: the call has ended."""
        ...

    async def pause(self, seconds: float, reason: str) -> None:
        """Let nobody else in for a while: the other side asked for it."""
        ...


class ToolContext(Protocol):
    """What a tool knows of its call and may ask of its surroundings.

    A tool gets it by annotating its first parameter with this type. `idempotency_key` is the same in every attempt of
    the same step: hand it to services that know such keys. `deadline` is in the event loop's seconds, None until the
    call begins. `is_approved` says that a person has allowed this call: a tool that would raise NeedsApproval may act.
    """

    @property
    def workspace_id(self) -> int: ...

    @property
    def run_id(self) -> UUID: ...

    @property
    def step_key(self) -> str: ...

    @property
    def idempotency_key(self) -> str: ...

    @property
    def deadline(self) -> float | None: ...

    @property
    def is_approved(self) -> bool: ...

    async def begin(self) -> None:
        """Let the call count from here on. The chain does it; a tool has begun when its function is called."""
        ...

    async def admit(self, keys: Sequence[str], *, pauses: Sequence[str] = ()) -> Admitted:
        """Wait until a call that counts for these limits may begin; the chain does it, before `begin`.

        If that takes long the run parks, and the call is made anew. `pauses` are the limits that Admitted.pause pauses.
        """
        ...

    async def recall(self, digest: str) -> JSON:
        """Give what is kept in the run's workspace under this digest, None if nothing is. For the chain."""
        ...

    async def keep(self, digest: str, output: JSON, *, tool: str, seconds: float) -> None:
        """Keep a tool's output in the run's workspace for so many seconds, without its secrets. For the chain."""
        ...

    @property
    def http(self) -> Outbound:
        """The one client for requests to the outside."""
        ...

    def now(self) -> datetime:
        """Give the run's time, the same in every replay."""
        ...

    async def secret(self, name: str, *, host: str = "") -> str:
        """Give a secret of the run's workspace; with a host, only if it may be sent there.

        What the tool returns is freed of it. Raises UnknownSecret, SecretUnreadable, SecretRefused.
        """
        ...

    async def request_hosts(self) -> Sequence[str]:
        """Give the hosts that agents may send requests to: the operator's, and those of the workspace's secrets."""
        ...

    async def save_file(self, name: str, content: bytes, media_type: str) -> None:
        """Keep a file of the run, one for each call; raises ToolFailed for a name that is none."""
        ...

    async def load_file(self, name: str) -> File:
        """Give a file that the run has kept, the latest of this name; raises ToolFailed."""
        ...

    async def search(self, query: str, limit: int) -> Sequence[FoundPassage]:
        """Search the documents of the run's workspace, best first."""
        ...

    async def search_alike(self, query: str, limit: int) -> Sequence[FoundPassage]:
        """Find the passages of the workspace's documents that are most like the query."""
        ...

    def progress(self, text: str, done: float | None = None) -> None:
        """Tell how far the call has come, in words, and as a share of the whole (0 to 1) if that is known.

        It appears in the run's log, at most once a second. From any thread, and without waiting for anything.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Pause this call. Only short pauses fit here; a long one belongs to the workflow (ctx.sleep)."""
        ...
