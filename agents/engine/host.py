"""What an execution needs of the worker it runs in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from agents.engine.clock import Clock
from agents.engine.happening_records import Listening
from agents.engine.ledger import Ledger
from agents.engine.marks import Marks
from agents.engine.ports import Ports, SubAgent
from agents.engine.records import History, Target

if TYPE_CHECKING:
    from agents.engine.journal.journal import Journal
    from agents.engine.starts import Starts


class Host(Protocol):
    """The worker, as its executions see it.

    Timers that are due within `short_pause` seconds are waited for in memory; a run that waits for messages stays in
    memory for `linger` seconds, as a reply that comes at once then needs no replay.
    """

    journal: Journal
    ports: Ports
    marks: Marks
    starts: Starts
    ledger: Ledger
    lease_seconds: float
    short_pause: float
    linger: float

    @property
    def clock(self) -> Clock: ...

    async def load_messages(self, run_id: UUID) -> History: ...

    async def load_large(self, id: UUID) -> bytes: ...

    async def resolve_target(self, workspace_id: int, name: str) -> Target: ...

    async def sub_agents(self, workspace_id: int, names: Sequence[str]) -> list[SubAgent]:
        """Describe those agents of these names that there are."""
        ...

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any: ...

    def cancel_child(self, run_id: str) -> None:
        """Cancel a sub-run that nobody waits for any more."""
        ...

    async def look_back(self, wanted: Listening) -> bool:
        """Have the run told of the first event that came before its wait stood in the tables; True if there was one."""
        ...

    async def is_called(self, token: UUID) -> bool:
        """Tell whether a process of its own executes the attempt with this token, or is to."""
        ...

    def lease_left(self) -> float:
        """Give the seconds for which this worker's lease surely still holds."""
        ...

    async def breathe(self) -> None:
        """Let others have the loop if this one had it for long."""
        ...
