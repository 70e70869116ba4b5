"""Flow control: whole stories of one key, told by the clock of the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.triggers.flow import BadFlow, Line, Skip, Start, State, advance, arrived, read_rules


@dataclass
class Story:
    """A key's line, worked off by the clock: `started` has (when, which events), `skipped` the others."""

    rules: Any
    lasts: float = 0.0
    state: State = field(default_factory=State)
    line: list[tuple[float, int]] = field(default_factory=list)
    started: list[tuple[float, list[int]]] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    running: list[float] = field(default_factory=list)
    due: float | None = None
    cancelled: int = 0

    def tell(self, *events: float, until: float) -> None:
        """Let events come at these times, and the time pass until `until`."""
        arrivals = [(at, number) for number, at in enumerate(events)]
        now = 0.0
        while True:
            ends = [end for end in self.running if end > now]
            moments = [at for at, _ in arrivals[:1]] + [self.due] * (self.due is not None) + ends
            later = [at for at in moments if at is not None and at <= until]
            if not later:
                return
            now = max(now, min(later))
            if arrivals and arrivals[0][0] <= now:
                self.line.append(arrivals.pop(0))
                self.state = arrived(self.rules, self.state, now)
            self._advance(now)

    def _advance(self, now: float) -> None:
        active = [end for end in self.running if end > now]
        done = advance(self.rules, self.state, Line([at for at, _ in self.line]), len(active), now)
        self.running, self.state, self.due = active, done.state, done.due
        for action in done.actions:
            taken, self.line = self.line[: action.count], self.line[action.count :]
            numbers = [number for _, number in taken]
            assert len(numbers) == action.count
            if isinstance(action, Skip):
                self.skipped |= dict.fromkeys(numbers, action.reason)
                continue
            if action.cancels:
                self.cancelled += len(self.running)
                self.running = []
            self.started.append((now, numbers))
            if self.lasts:
                self.running.append(now + self.lasts)
        if done.waits_for_end and not self.running:
            self.due = now


def story(flow: dict[str, Any], *events: float, until: float = 1_000.0, lasts: float = 0.0) -> Story:
    told = Story(read_rules(flow), lasts)
    told.tell(*events, until=until)
    return told


def test_without_control_each_event_starts_a_run_at_once() -> None:
    assert read_rules({}).is_idle
    assert story({}, 1, 1, 2, lasts=50).started == [(1, [0]), (1, [1]), (2, [2])]


def test_debounce_waits_for_quiet_and_takes_the_last() -> None:
    told = story({"debounce": {"seconds": 10}}, 0, 4, 8, 100)
    assert told.started == [(18, [2]), (110, [3])]
    assert told.skipped == dict.fromkeys([0, 1], "a later event took its place")


def test_debounce_does_not_wait_for_ever() -> None:
    told = story({"debounce": {"seconds": 10, "longest": 25}}, *range(0, 60, 5))
    assert told.started == [(25, [5]), (55, [11])]


def test_a_batch_starts_when_it_is_full_or_its_time_is_over() -> None:
    told = story({"batch": {"count": 3, "seconds": 60}}, 0, 1, 2, 3, 10)
    assert told.started == [(2, [0, 1, 2]), (63, [3, 4])]


def test_the_rate_skips_what_is_too_much() -> None:
    told = story({"rate": {"count": 2, "seconds": 10}}, 0, 1, 2, 9, 10, 11, 12)
    assert told.started == [(0, [0]), (1, [1]), (10, [4]), (11, [5])]
    assert told.skipped == dict.fromkeys([2, 3, 6], "the rate is 2 in 10 s")


def test_the_throttle_lets_wait_what_is_too_much() -> None:
    told = story({"throttle": {"count": 2, "seconds": 10}}, 0, 1, 2, 3, 4)
    assert told.started == [(0, [0]), (1, [1]), (10, [2]), (11, [3]), (20, [4])]
    assert not told.skipped


@pytest.mark.parametrize(
    ("overlap", "started", "skipped", "cancelled"),
    [
        ("allow", [(0, [0]), (5, [1]), (6, [2]), (50, [3])], [], 0),
        ("skip", [(0, [0]), (50, [3])], [1, 2], 0),
        ("queue", [(0, [0]), (20, [1]), (40, [2]), (60, [3])], [], 0),
        ("cancel", [(0, [0]), (5, [1]), (6, [2]), (50, [3])], [], 2),
    ],
)
def test_while_an_earlier_run_goes_on(overlap: str, started: Any, skipped: list[int], cancelled: int) -> None:
    told = story({"overlap": overlap}, 0, 5, 6, 50, lasts=20)
    assert told.started == started
    assert sorted(told.skipped) == skipped
    assert told.cancelled == cancelled


def test_stages_work_together() -> None:
    told = story({"batch": {"count": 2, "seconds": 5}, "overlap": "queue"}, 0, 1, 2, 3, 4, lasts=10)
    assert told.started == [(1, [0, 1]), (11, [2, 3]), (21, [4])]
    skipping = story({"debounce": {"seconds": 2}, "rate": {"count": 1, "seconds": 100}}, 0, 1, 10)
    assert skipping.started == [(3, [1])]
    assert skipping.skipped[2].startswith("the rate")


def test_what_is_behind_the_part_that_was_looked_at_is_looked_at_next() -> None:
    done = advance(read_rules({}), State(), Line([0.0, 1.0], more=True), 0, 5.0)
    assert (done.actions, done.due) == ((Start(1), Start(1)), 5.0)
    done = advance(read_rules({"debounce": {"seconds": 9}}), State(since=0.0), Line([0.0, 1.0], more=True), 0, 5.0)
    assert (done.actions, done.due) == ((Skip(1, "a later event took its place"),), 5.0)


times = st.lists(st.integers(0, 100), max_size=12).map(sorted)
quotas = st.fixed_dictionaries({"count": st.integers(1, 3), "seconds": st.integers(1, 30)})
flows = st.fixed_dictionaries(
    {},
    optional={
        "batch": quotas,
        "rate": quotas,
        "throttle": quotas,
        "overlap": st.sampled_from(["allow", "skip", "queue", "cancel"]),
    },
) | st.fixed_dictionaries(
    {"debounce": st.fixed_dictionaries({"seconds": st.integers(1, 9)}, optional={"longest": st.just(20)})},
    optional={"rate": quotas, "throttle": quotas, "overlap": st.sampled_from(["skip", "queue", "cancel"])},
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # how busy the machine is, is no matter here
@given(flow=flows, events=times, lasts=st.sampled_from([0.0, 3.0, 40.0]))
def test_every_event_is_started_once_or_skipped_for_a_reason(
    flow: dict[str, Any], events: list[int], lasts: float
) -> None:
    told = story(flow, *events, until=100_000.0, lasts=lasts)
    started = [number for _, numbers in told.started for number in numbers]
    assert sorted([*started, *told.skipped]) == list(range(len(events)))
    assert started == sorted(started)
    moments = [at for at, _ in told.started]
    for name in ("rate", "throttle"):
        if quota := flow.get(name):
            for first, last in zip(moments, moments[quota["count"] :], strict=False):
                assert last >= first + quota["seconds"]


@pytest.mark.parametrize(
    ("flow", "field"),
    [
        ([], ""),
        ({"nonsense": 1}, ""),
        ({"key": 5}, "key"),
        ({"key": "user"}, "key"),
        ({"key": "data.*"}, "key"),
        ({"overlap": "maybe"}, "overlap"),
        ({"debounce": {"seconds": 1}, "batch": {"count": 1, "seconds": 1}}, "batch"),
        ({"debounce": 5}, "debounce"),
        ({"debounce": {"seconds": 0}}, "debounce.seconds"),
        ({"debounce": {"seconds": 9, "longest": 3}}, "debounce.longest"),
        ({"batch": {"count": 501, "seconds": 1}}, "batch.count"),
        ({"rate": {"count": True, "seconds": 1}}, "rate.count"),
        ({"rate": {"count": 1}}, "rate.seconds"),
        ({"throttle": {"count": 1, "seconds": "1"}}, "throttle.seconds"),
        ({"throttle": {"count": 1, "seconds": 1, "burst": 2}}, "throttle"),
    ],
)
def test_what_is_no_flow_control_is_refused_by_its_field(flow: Any, field: str) -> None:
    with pytest.raises(BadFlow) as refused:
        read_rules(flow)
    assert refused.value.field == field
