"""Every interleaving of the protocol keeps its rules, and each mistake planted into it is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from agents.engine.journal import store, transitions
from agents.engine.records import Change, Committed, Park, RunRow
from tests.protocol.explore import explore
from tests.protocol.scenario import Scenario
from tests.protocol.scenarios import CALL, EFFECT, JOIN, MESSAGE, SCENARIOS
from tests.protocol.tables import Flaws

Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_interleaving_breaks_a_rule(scenario: Scenario) -> None:
    found = explore(scenario)
    print(found)  # noqa: T201 (pytest shows it with a failure or -s)
    assert not found.violation, str(found)
    assert found.is_complete


def _no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "holds_lease", lambda row, change, worker_id: True)


def _unconditional_park(patch: pytest.MonkeyPatch) -> None:
    stock = transitions.apply_change

    def apply(row: RunRow, change: Change, now: datetime) -> tuple[Committed, Change]:
        if isinstance(change.ending, Park):
            change = replace(change, ending=replace(change.ending, seen_wakes=row.wakes))
        return stock(row, change, now)

    patch.setattr(store, "apply_change", apply)


def _woken_though_paused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transitions, "is_due", lambda waits: any(wait.needed <= 0 for wait in waits))


def _woken_by_every_child(patch: pytest.MonkeyPatch) -> None:
    stock = transitions.met

    def met(wait: Any, names: Any) -> Any:
        new = stock(wait, names)
        return replace(new, needed=0) if new is not wait else wait

    patch.setattr(transitions, "met", met)


def _children_after_a_cancel(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(transitions, "_without_children", lambda change: change)


@pytest.mark.parametrize(
    ("plant", "scenario", "rule"),
    [
        (_no_fence, Scenario("no fence", MESSAGE, ("stall",)), "does not hold the run's lease"),
        (_unconditional_park, Scenario("park", MESSAGE, ("tell",)), "waits for what has come: event go"),
        (_unconditional_park, Scenario("park", CALL), "waits for what has come: child"),
        (_woken_though_paused, Scenario("pause", MESSAGE, ("tell", "pause")), "paused run went on"),
        (_woken_by_every_child, Scenario("join", JOIN), "woken before all of its join"),
        (_children_after_a_cancel, Scenario("cancel", CALL, ("cancel",)), "goes on below a run that was cancelled"),
    ],
)
def test_a_mistake_in_the_codes_own_functions_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, scenario: Scenario, rule: str
) -> None:
    plant(monkeypatch)
    _shows(scenario, rule)


@pytest.mark.parametrize(
    ("flaw", "scenario", "rule"),
    [
        ("epochs_stand_still", Scenario("epoch", MESSAGE, ("stall",)), "does not hold the run's lease"),
        ("heartbeat_without_compare", Scenario("heartbeat", MESSAGE, ("stall", "stall")), "can't go on"),
        ("dead_without_compare", Scenario("reaper", MESSAGE, ("stall",)), "declared dead within its lease"),
        ("batch_number_unchecked", Scenario("answer", MESSAGE, ("lost answer",)), "recorded twice"),
        ("messages_before_wakes", Scenario("inbox", MESSAGE, ("tell", "crash")), "waits for what has come"),
        ("cancel_after_the_end", Scenario("ends", MESSAGE, ("tell", "cancel")), "another end"),
        ("acts_after_cancel", Scenario("act", EFFECT, ("cancel",)), "started after a cancel"),
        ("old_intents_act", Scenario("intent", EFFECT, ("stall", "slow")), "while the effect"),
        ("drain_forgets_pause", Scenario("drain", MESSAGE, ("drain", "pause"), ("resume",)), "without being paused"),
        (
            "unknown_workflow_ignores_wanted",
            Scenario("deploy", MESSAGE, ("cancel", "crash"), unknown_to=1),
            "to be cancelled was parked",
        ),
    ],
)
def test_a_mistake_in_the_model_is_found(flaw: str, scenario: Scenario, rule: str) -> None:
    _shows(scenario._replace(flaws=Flaws(**{flaw: True})), rule)


def _shows(scenario: Scenario, rule: str) -> None:
    found = explore(scenario, most=100_000)
    print(found)  # noqa: T201 (the shortest way to the violation, for the reader)
    assert rule in found.violation, str(found)
    assert found.steps
