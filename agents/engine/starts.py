"""The starts of attempts, as far as they are recorded at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agents.engine.plans import OpenStep
from agents.engine.recording import log_step, put_step
from agents.engine.records import StepRecord

if TYPE_CHECKING:
    from agents.engine.execution import Execution


class Starts:
    """Attempts of safe steps that began since the loop last turned.

    One that ends before the loop turns is recorded by its end alone. All runs of a worker share one callback: one for
    each step would cost a tenth of what the step does.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[Execution, OpenStep]] = []

    def add(self, x: Execution, step: OpenStep) -> None:
        """Note the start when the loop turns, unless the attempt is over by then."""
        if not self._steps:
            asyncio.get_running_loop().call_soon(self._note)
        self._steps.append((x, step))

    def _note(self) -> None:
        steps, self._steps = self._steps, []
        for x, step in steps:
            if not step.is_over:
                note_start(x, step.record)


def note_start(x: Execution, record: StepRecord) -> None:
    """Put the start of an attempt into the change that is gathering; it rides the next batch."""
    if not x.sealed and x.steps.get(record.key) is record:
        put_step(x, record)
        log_step(x, "step_started", record, at=record.started_at if record.attempt == 1 else None)
