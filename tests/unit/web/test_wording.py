"""Numbers in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agents.models import Run
from agents.web import timeline, wording


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (-1, "0 ms"),
        (0.0084, "8 ms"),
        (0.9996, "1.0 s"),
        (1.25, "1.2 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("microusd", "words"), [(None, "–"), (0, "$0"), (50, "<$0.0001"), (12_300, "$0.0123"), (2_500_000, "$2.50")]
)
def test_money(microusd: int | None, words: str) -> None:
    assert wording.money(microusd) == words


def test_ago() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert wording.ago(now, now) == "now"
    assert wording.ago(now - timedelta(seconds=20), now) == "20 s ago"
    assert wording.ago(now - timedelta(minutes=3), now) == "3 min ago"
    assert wording.ago(now + timedelta(hours=2), now) == "in 2 h"


@pytest.mark.parametrize(
    ("key", "name"),
    [("think#0", "think"), ("think#2", "think 3"), ("gather#0/1/tool:web_fetch#0", "web_fetch"), ("odd", "odd")],
)
def test_keys_are_named_in_few_words(key: str, name: str) -> None:
    assert timeline.short_key(key) == name


@pytest.mark.parametrize(
    ("input", "goal"),
    [
        ("Say hello", "Say hello"),
        ({"goal": "Say hello", "context": "x"}, "Say hello"),
        ({"title": "Leases", "questions": ["What?"]}, "Leases"),
        ({"inputs": ["a", "b"]}, "2 inputs"),
        ({"größe": 3, "last": None}, '{"größe": 3, "last": null}'),
        ([1, "x"], '[1, "x"]'),
        (None, ""),
    ],
)
def test_a_run_says_in_one_line_what_it_is_for(input: Any, goal: str) -> None:
    assert Run(input=input).goal == goal
