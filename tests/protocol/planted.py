"""Mistakes to plant, into the code's own functions or into the model, each with the world in which it shows.

That each of them is found is the proof that the exploration looks: `python -m tests.protocol --flaw all`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from unittest import mock

from agents.engine.journal import store, transitions
from agents.engine.records import Change, Committed, Park, RunRow, WaitRecord
from tests.protocol.explore import Found, explore
from tests.protocol.scenario import Scenario
from tests.protocol.scenarios import CALL, EFFECT, FALLIBLE, JOIN, MESSAGE
from tests.protocol.tables import Flaws

MOST_STATES = 100_000


class Planted(NamedTuple):
    """A mistake, a world in which it shows, and words of the rule that it breaks there."""

    name: str
    scenario: Scenario
    rule: str
    plant: Callable[[], AbstractContextManager[Any]] = nullcontext

    def explore(self) -> Found:
        """Explore the world with the mistake in it."""
        with self.plant():
            return explore(self.scenario, most=MOST_STATES)

    def is_found(self, found: Found) -> bool:
        return self.rule in found.violation and bool(found.steps)


def _drop_the_fence() -> AbstractContextManager[Any]:
    return mock.patch.object(store, "holds_lease", return_value=True)


def _drop_the_epoch() -> AbstractContextManager[Any]:
    def holds_lease(row: RunRow, change: Change, worker_id: int) -> bool:
        return row.status == "running" and row.worker_id == worker_id

    return mock.patch.object(store, "holds_lease", holds_lease)


def _drop_the_wakes_check() -> AbstractContextManager[Any]:
    stock = transitions.apply_change

    def apply(row: RunRow, change: Change, now: datetime) -> tuple[Committed, Change]:
        if isinstance(change.ending, Park):
            change = replace(change, ending=replace(change.ending, seen_wakes=row.wakes))
        return stock(row, change, now)

    return mock.patch.object(store, "apply_change", apply)


def _wake_the_paused() -> AbstractContextManager[Any]:
    return mock.patch.object(transitions, "is_due", lambda waits: any(wait.needed <= 0 for wait in waits))


def _wake_for_every_child() -> AbstractContextManager[Any]:
    stock = transitions.met

    def met(wait: WaitRecord, names: Any) -> WaitRecord:
        new = stock(wait, names)
        return replace(new, needed=0) if new is not wait else wait

    return mock.patch.object(transitions, "met", met)


def _queue_children_after_a_cancel() -> AbstractContextManager[Any]:
    return mock.patch.object(transitions, "_starting_nothing", lambda change: change)


def _in_the_model(flaw: str, rule: str, scenario: Scenario) -> Planted:
    """Give a mistake of code that the model writes anew."""
    return Planted(flaw, scenario._replace(flaws=Flaws(**{flaw: True})), rule)


PLANTED: tuple[Planted, ...] = (
    Planted("fence_dropped", Scenario("fence", MESSAGE, ("stall",)), "does not hold the run's lease", _drop_the_fence),
    Planted("epoch_dropped", Scenario("epoch", MESSAGE, ("stall",)), "does not hold the run's lease", _drop_the_epoch),
    Planted("wakes_unchecked", Scenario("park", MESSAGE, ("tell",)), "come: event go", _drop_the_wakes_check),
    Planted("childs_wakes_unchecked", Scenario("park", CALL), "what has come: child", _drop_the_wakes_check),
    Planted("paused_woken", Scenario("pause", MESSAGE, ("tell", "pause")), "paused run went on", _wake_the_paused),
    Planted("woken_by_every_child", Scenario("join", JOIN), "woken before all of its join", _wake_for_every_child),
    Planted(
        "children_after_a_cancel",
        Scenario("cancel", CALL, ("cancel",)),
        "goes on below a run that was cancelled",
        _queue_children_after_a_cancel,
    ),
    _in_the_model(
        "epochs_stand_still", "does not hold the run's lease", Scenario("epochs_stand_still", MESSAGE, ("stall",))
    ),
    _in_the_model(
        "heartbeat_without_compare", "can't go on", Scenario("heartbeat_without_compare", MESSAGE, ("stall", "stall"))
    ),
    _in_the_model(
        "dead_without_compare", "declared dead within its lease", Scenario("dead_without_compare", MESSAGE, ("stall",))
    ),
    _in_the_model(
        "batch_number_unchecked", "recorded twice", Scenario("batch_number_unchecked", MESSAGE, ("lost answer",))
    ),
    _in_the_model(
        "messages_before_wakes",
        "waits for what has come",
        Scenario("messages_before_wakes", MESSAGE, ("tell", "crash")),
    ),
    _in_the_model("cancel_after_the_end", "another end", Scenario("cancel_after_the_end", MESSAGE, ("tell", "cancel"))),
    _in_the_model("acts_after_cancel", "started after a cancel", Scenario("acts_after_cancel", EFFECT, ("cancel",))),
    _in_the_model("old_intents_act", "while the effect", Scenario("old_intents_act", EFFECT, ("stall", "slow"))),
    _in_the_model(
        "drain_forgets_pause",
        "without being paused",
        Scenario("drain_forgets_pause", MESSAGE, ("drain", "pause"), ("resume",)),
    ),
    _in_the_model(
        "unknown_workflow_ignores_wanted",
        "cancelled was parked",
        Scenario("unknown_workflow_ignores_wanted", MESSAGE, ("cancel", "crash"), unknown_to=1),
    ),
    _in_the_model("retry_deletes", "set aside and is gone", Scenario("retry_deletes", FALLIBLE, (), ("retry",))),
)
