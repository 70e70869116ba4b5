"""Driving runs in tests: a real driver on a thread, and questions to the tables."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import connections

from agents.engine.driver import Driver
from agents.engine.journal.opening import open_store
from agents.engine.ports import Ports
from agents.engine.worker_settings import WorkerSettings
from agents.models import Event, Match, Run, RunEvent, Step

PATIENCE = 40.0
QUICK: dict[str, Any] = {
    "slots": 50,
    "lease": 4.0,
    "heartbeat": 0.2,
    "grace": 3.0,
    "poll": 0.05,
    "short_pause": 0.05,
    "linger": 0.02,
}


class Partials:
    """Nobody watches what is streamed."""

    def append(self, run_id: UUID, key: str, attempt: int, text: str) -> None:
        """Let it go."""


class Artifacts:
    """Files kept in memory."""

    def write(self, workspace_id: int, content: bytes) -> str:
        return f"{workspace_id}/{len(content)}"


class RunningDriver:
    """A driver on a thread of its own, as a worker process has it."""

    def __init__(self, ports: Ports, settings: WorkerSettings) -> None:
        self.error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.driver: Driver | None = None
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ports, settings), daemon=True)
        self._thread.start()
        assert self._is_up.wait(PATIENCE)

    def _run(self, ports: Ports, settings: WorkerSettings) -> None:
        async def drive() -> None:
            self.driver = Driver(settings, ports, open_store, queue="runs")
            self._loop = asyncio.get_running_loop()
            self._is_up.set()
            await self.driver.run()

        try:
            asyncio.run(drive())
        except BaseException as error:  # noqa: BLE001 (shown by stop)
            self.error = error

    @property
    def worker_id(self) -> int:
        assert self.driver is not None
        wait_for(lambda: self.driver is not None and self.driver.worker_id, "the worker to register")
        return self.driver.worker_id

    @property
    def runs(self) -> int:
        """How many runs it drives."""
        assert self.driver is not None
        return len(self.driver.executions)

    def stop(self, seconds: float = PATIENCE) -> None:
        """Drain it; raises what it failed with."""
        if self._thread.is_alive():
            assert self._loop is not None
            assert self.driver is not None
            self._loop.call_soon_threadsafe(self.driver.stop)
            self._thread.join(seconds)
            assert not self._thread.is_alive(), "the driver does not stop"
        if self.error is not None:
            raise self.error


def wait_for(question: Callable[[], Any], what: str = "", seconds: float = PATIENCE) -> Any:
    """Ask until the answer is truthy, and give it."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"gave up waiting for {what or question}")
        time.sleep(0.01)
    return answer


def status_of(run_id: UUID) -> str:
    return Run.objects.values_list("status", flat=True).get(pk=run_id)


def until(run_id: UUID, *statuses: str, seconds: float = PATIENCE) -> Run:
    """Wait until the run has one of these statuses, by default until it has ended."""
    wanted = statuses or ("succeeded", "failed", "cancelled")
    try:
        wait_for(lambda: status_of(run_id) in wanted, seconds=seconds)
    except TimeoutError:
        run = Run.objects.get(pk=run_id)
        told = list(RunEvent.objects.filter(run=run).order_by("number").values_list("kind", flat=True))
        raise AssertionError(f"waited for {wanted}: {run.status} {run.reason!r} {run.error} {told}") from None
    return Run.objects.get(pk=run_id)


def kinds(run_id: UUID) -> list[str]:
    """Give the kinds of the run's events in order; their numbers must be without gaps."""
    events = list(RunEvent.objects.filter(run_id=run_id).order_by("number").values_list("number", "kind"))
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    assert Run.objects.get(pk=run_id).last_event == len(events)
    return [kind for _, kind in events]


def steps_of(run_id: UUID) -> dict[str, Step]:
    """Give the run's steps that stand, by key."""
    return {step.key: step for step in Step.objects.filter(run_id=run_id, superseded=False)}


def log_of(event: Event) -> list[tuple[str, str, str]]:
    """Give an event's delivery log: subscription, status, reason."""
    return list(Match.objects.filter(event=event).order_by("name").values_list("name", "status", "reason"))


def as_rival(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Do something on a thread of its own and wait for it, as another process would."""
    result: list[Any] = []
    errors: list[BaseException] = []

    def act() -> None:
        try:
            result.append(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 (raised in the caller)
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=act)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the rival is blocked"
    if errors:
        raise errors[0]
    return result[0]
