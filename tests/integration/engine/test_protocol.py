"""Random histories of the real tables keep the rules of the protocol and follow its model.

PROTOCOL_EXAMPLES=200 tries that many new histories instead of the few that are always the same, and plants also the
mistakes that take long to find.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import F
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from agents.engine import control, queueing
from agents.engine.journal import postgres, sqlite
from tests.integration.engine.protocol_machine import Protocol
from tests.protocol.planted import PLANTED
from tests.protocol.tables import Violation

EXAMPLES = int(os.environ.get("PROTOCOL_EXAMPLES", "0"))

PATCHES = ExitStack()
Break = Callable[[pytest.MonkeyPatch], None]


def explore(folder: Path, patch: pytest.MonkeyPatch, examples: int, *, is_random: bool = False) -> None:
    class Here(Protocol):
        pass

    Here.folder, Here.patch = folder, patch
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            derandomize=not is_random,
            # To make a history of seconds shorter takes minutes.
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(60 + 2 * EXAMPLES)
def test_random_histories_keep_the_rules(database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explore(tmp_path, monkeypatch, EXAMPLES or 6, is_random=EXAMPLES > 0)


def _claim(old: str, new: str) -> Break:
    def plant(patch: pytest.MonkeyPatch) -> None:
        module, name = (sqlite, "DUE_RUNS") if connection.vendor == "sqlite" else (postgres, "CLAIM")
        statement = getattr(module.sql, name)
        assert old in statement
        patch.setattr(module.sql, name, statement.replace(old, new))

    return plant


def _keep_the_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(queueing, "F", lambda name: F(name) - int(name == "epoch"))


def _take_a_batch_twice(patch: pytest.MonkeyPatch) -> None:
    for owner in (sqlite.SqliteStore, postgres.PostgresStore):
        patch.setattr(owner, "note_batch", lambda store, worker_id, number: lambda: True)


def _wake_the_paused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(control, "is_due", lambda waits: any(wait.needed <= 0 for wait in waits))


def _planted(name: str) -> Break:
    """Give a mistake of the enumeration's: in what model and product share, so that only the rules can find it."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        planted = next(each for each in PLANTED if each.name == name)
        PATCHES.enter_context(planted.plant())

    return plant


IN_THE_STATEMENTS = [
    (_claim("w.state IN ('alive', 'draining')", "TRUE"), "due were"),
    (_claim("ORDER BY rank", "ORDER BY rank DESC"), "due were"),
    (_take_a_batch_twice, "taken a second time"),
]
LONG_TO_FIND = [
    (_keep_the_epoch, "the model has"),
    (_wake_the_paused, "the model has"),
    (_planted("fence_dropped"), "run's lease"),
    (_planted("epoch_dropped"), "run's lease"),
    (_planted("wakes_unchecked"), "what has come|to be paused|to be cancelled"),
]


@pytest.mark.timeout(60 + 2 * EXAMPLES)
@pytest.mark.parametrize(("plant", "rule"), [*IN_THE_STATEMENTS, *(LONG_TO_FIND if EXAMPLES else [])])
def test_a_planted_mistake_is_found(
    database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Break, rule: str
) -> None:
    with PATCHES:
        plant(monkeypatch)
        with pytest.raises(Violation, match=rule):
            explore(tmp_path, monkeypatch, EXAMPLES or 40)
