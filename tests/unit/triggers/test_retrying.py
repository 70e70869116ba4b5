"""When outgoing webhooks are tried again. Faults E 29."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.triggers.retrying import ATTEMPTS, Answer, Delivered, GiveUp, TryAgain, after_attempt

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ERROR = Answer(500)


def decide(
    answer: Answer = ERROR, attempts: int = 1, failing_since: datetime | None = NOW, now: datetime = NOW
) -> Delivered | TryAgain | GiveUp:
    return after_attempt(answer, attempts=attempts, failing_since=failing_since, now=now, chance=0.0)


@pytest.mark.fault(29)
def test_the_pauses_grow_over_days() -> None:
    now, pauses = NOW, []
    for attempts in range(1, ATTEMPTS + 1):
        decided = decide(attempts=attempts, now=now, failing_since=None)
        if isinstance(decided, GiveUp):
            break
        assert isinstance(decided, TryAgain)
        pauses.append((decided.at - now).total_seconds())
        now = decided.at
    assert pauses[:4] == [5, 300, 1800, 7200]
    assert pauses == sorted(pauses)
    assert (len(pauses), decided) == (ATTEMPTS - 1, GiveUp())
    assert timedelta(days=3) < now - NOW < timedelta(days=5)


@pytest.mark.fault(29)
@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_success_counts(status: int) -> None:
    assert decide(Answer(status)) == Delivered()


@pytest.mark.fault(29)
@pytest.mark.parametrize("status", [100, 301, 302, 304, 307, 400, 401, 404, 429, 500, 503, 599])
def test_everything_else_is_tried_again(status: int) -> None:
    assert decide(Answer(status)) == TryAgain(NOW + timedelta(seconds=5))
    assert decide(Answer(error="It did not answer.")) == TryAgain(NOW + timedelta(seconds=5))


@pytest.mark.fault(29)
def test_gone_disables_at_once() -> None:
    decided = decide(Answer(410))
    assert isinstance(decided, GiveUp)
    assert "410" in decided.disable


@pytest.mark.fault(29)
def test_days_of_nothing_but_failures_disable() -> None:
    assert decide(failing_since=NOW - timedelta(days=4, hours=23)) == TryAgain(NOW + timedelta(seconds=5))
    decided = decide(failing_since=NOW - timedelta(days=5))
    assert decided == GiveUp("For 5 days nothing arrived; at last: answered 500.")
    quiet = decide(Answer(error="shop.example can't be reached."), failing_since=NOW - timedelta(days=6))
    assert quiet == GiveUp("For 5 days nothing arrived; at last: shop.example can't be reached.")


@pytest.mark.fault(29)
@pytest.mark.parametrize(("wish", "waits"), [(1.0, 5), (60.0, 60), (3600.0, 3600), (1e9, 86_400), (None, 5)])
def test_a_receivers_wish_is_heard_within_bounds(wish: float | None, waits: float) -> None:
    assert decide(Answer(429, retry_after=wish)) == TryAgain(NOW + timedelta(seconds=waits))


@given(st.integers(1, ATTEMPTS - 1), st.floats(0, 1, exclude_max=True))
def test_chance_only_lengthens_and_not_by_much(attempts: int, chance: float) -> None:
    plain = decide(attempts=attempts)
    drawn = after_attempt(ERROR, attempts=attempts, failing_since=None, now=NOW, chance=chance)
    assert isinstance(plain, TryAgain)
    assert isinstance(drawn, TryAgain)
    assert plain.at <= drawn.at <= NOW + (plain.at - NOW) * 1.2
