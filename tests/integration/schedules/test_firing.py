"""Schedules that are due: each fires once, whoever fires and whatever dies; a broken one harms no other."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from agents.models import Event, Match, Run, Schedule, Subscription, Workspace
from agents.services import firing, schedules
from agents.services.dispatching import Dispatcher
from agents.services.errors import Conflict, InvalidInput, NotAllowed
from agents.services.firing import fire_due
from agents.triggers.schedules import plan as whole_plan
from tests.factories import make_agent, make_user, make_workspace

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def make_schedule(workspace: Workspace, name: str = "hourly", **wanted: Any) -> Schedule:
    if not wanted.keys() & {"timing"}:
        wanted = {"timing": "cron", "cron": "0 * * * *", **wanted}
    return schedules.create_schedule(workspace, name, schedules.Wanted(**wanted), by=None)


def due_of(schedule: Schedule) -> datetime:
    schedule.refresh_from_db()
    assert schedule.fires_at is not None
    return schedule.fires_at


def fire_at(moment: datetime) -> int:
    return fire_due(lambda: moment).count


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("home")


def test_what_is_due_emits_its_event_and_is_due_again(workspace: Workspace) -> None:
    schedule = make_schedule(workspace)
    first = due_of(schedule)
    assert fire_at(first - timedelta(seconds=1)) == 0
    fired = fire_due(lambda: first)
    assert (fired.count, fired.next_in) == (1, 3600)
    event = Event.objects.get()
    assert (event.workspace, event.name, event.source) == (workspace, "schedule.hourly", "schedule")
    at = f"{first:%Y-%m-%dT%H:%M:%SZ}"
    assert (event.data, event.event_id) == ({"schedule": "hourly", "due_at": at}, f"{schedule.pk}:{at}")
    assert (event.occurred_at, event.tainted) == (first, False)
    assert due_of(schedule) == first + HOUR
    assert (schedule.fired_at, schedule.skipped) == (first, 0)
    assert fire_at(first) == 0


@pytest.mark.django_db(transaction=True)
def test_many_workers_fire_each_once(workspace: Workspace) -> None:
    made = [make_schedule(workspace, f"s{number}") for number in range(40)]
    moment = due_of(made[0])
    gate = threading.Barrier(4)
    counts: list[int] = []

    def work() -> None:
        try:
            gate.wait()
            counts.append(fire_at(moment))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == Event.objects.count() == 40
    assert set(Schedule.objects.values_list("fires_at", flat=True)) == {moment + HOUR}


@pytest.mark.django_db(transaction=True)
def test_what_dies_between_event_and_next_time_has_done_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = make_schedule(workspace)
    first = due_of(schedule)
    with monkeypatch.context() as patch:
        patch.setattr("django.db.models.query.QuerySet.bulk_update", _die)
        with pytest.raises(KeyboardInterrupt):
            fire_at(first)
    assert (Event.objects.count(), due_of(schedule)) == (0, first)
    assert fire_at(first) == 1
    # A restored backup, a hand in the table: the same time is the same event.
    Schedule.objects.update(due_at=first, fires_at=first)
    assert fire_at(first) == 1
    assert Event.objects.count() == 1


def _die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    "spoiled",
    [
        {"cron": "every now and then"},
        {"cron": ""},
        {"time_zone": "Europe/Atlantis"},
        {"timing": "interval", "seconds": 0},
        {"timing": "once"},
        {"name": "no name of an event"},
    ],
)
def test_a_malformed_one_is_marked_and_the_others_fire(workspace: Workspace, spoiled: dict[str, Any]) -> None:
    made = [make_schedule(workspace, name) for name in ("first", "middle", "last")]
    moment = due_of(made[0])
    Schedule.objects.filter(name="middle").update(**spoiled, fires_at=moment - timedelta(seconds=1))
    fire_at(moment)
    assert sorted(Event.objects.values_list("name", flat=True)) == ["schedule.first", "schedule.last"]
    broken = Schedule.objects.get(pk=made[1].pk)
    assert broken.broken.startswith("It could not be fired: ")
    assert broken.fires_at is None
    assert fire_at(moment + HOUR) == 2
    if "name" not in spoiled:
        # Mended, it goes on.
        mended = schedules.change_schedule(broken, schedules.Wanted(timing="cron", cron="0 * * * *"), by=None)
        assert (mended.broken, mended.fires_at is None) == ("", False)


def test_an_error_that_nobody_thought_of_marks_one_alone(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [make_schedule(workspace, name) for name in ("first", "middle", "last")]
    moment = due_of(made[0])

    def plan(id: UUID, *args: Any, **options: Any) -> Any:
        if id == made[1].pk:
            raise ZeroDivisionError("division by zero")
        return whole_plan(id, *args, **options)

    monkeypatch.setattr(firing, "plan", plan)
    fire_at(moment)
    assert Event.objects.count() == 2
    assert Schedule.objects.get(name="middle").broken == "It could not be fired: division by zero"


@pytest.mark.fault(22)
@pytest.mark.parametrize(("catch_up", "limit", "fires"), [("none", 1, 0), ("one", 1, 1), ("all", 3, 3)])
def test_after_a_week_without_workers_the_rule_decides(
    workspace: Workspace, catch_up: str, limit: int, fires: int
) -> None:
    schedule = make_schedule(workspace, catch_up=catch_up, catch_up_limit=limit)
    first = due_of(schedule)
    late = first + timedelta(days=7, minutes=20)
    assert fire_at(late) == 1
    times = list(Event.objects.order_by("id").values_list("occurred_at", flat=True))
    assert times == [first + timedelta(days=7) - back * HOUR for back in reversed(range(fires))]
    assert due_of(schedule) == first + timedelta(days=7) + HOUR
    passed_over = (7 * 24 + 1 - fires, late)
    assert (schedule.skipped, schedule.skipped_at) == passed_over
    # What was passed over stays to be seen when it goes on as if nothing had been.
    assert fire_at(first + timedelta(days=7) + HOUR) == 1
    due_of(schedule)
    assert (schedule.skipped, schedule.skipped_at) == passed_over


def test_once_fires_once_and_is_over(workspace: Workspace) -> None:
    at = (timezone.now() + timedelta(days=1)).replace(microsecond=0)
    schedule = make_schedule(workspace, "once", timing="once", at=at)
    assert fire_at(at) == 1
    schedule.refresh_from_db()
    assert (schedule.fires_at, schedule.broken) == (None, "")
    assert fire_due(lambda: at).next_in is None


def test_a_paused_one_rests_and_makes_up_for_nothing(workspace: Workspace) -> None:
    schedule = make_schedule(workspace, catch_up="all", catch_up_limit=10)
    first = due_of(schedule)
    schedules.pause_schedule(schedule, by=None)
    assert fire_at(first + 5 * HOUR) == 0
    with pytest.raises(Conflict):
        schedules.pause_schedule(schedule, by=None)
    schedules.resume_schedule(schedule, by=None)
    assert due_of(schedule) == first
    with pytest.raises(Conflict):
        schedules.resume_schedule(schedule, by=None)


def test_fired_by_hand_it_keeps_its_times(workspace: Workspace) -> None:
    schedule = make_schedule(workspace)
    first = due_of(schedule)
    member = make_user(workspace)
    events = [schedules.run_schedule_now(schedule, by=member, key=key).pk for key in ("", "", "k", "k")]
    assert len(set(events)) == 3
    assert Event.objects.first().data == {  # type: ignore[union-attr]  # there are three
        "schedule": "hourly",
        "due_at": None,
        "by": member.get_username(),
    }
    assert due_of(schedule) == first


def test_its_event_starts_its_agent_with_its_input_one_at_a_time(workspace: Workspace) -> None:
    make_agent(workspace, "helper")
    schedule = make_schedule(workspace, agent="helper", input={"goal": "Read what was new at {{ data.due_at }}"})
    dispatch = Dispatcher()
    first = due_of(schedule)
    for number in range(2):
        fire_at(first + number * HOUR)
        dispatch()
    run = Run.objects.get()
    assert (run.agent_version.agent.name, run.source) == ("helper", "event")  # type: ignore[union-attr]  # it has one
    assert run.input == {"goal": f"Read what was new at {first:%Y-%m-%dT%H:%M:%SZ}"}
    # The second came while the first was at work, and is skipped with a reason.
    assert list(Match.objects.order_by("id").values_list("status", flat=True)) == ["started", "skipped"]


@pytest.mark.parametrize(
    ("overlap", "first", "second"),
    [("queue", "queued", "held"), ("cancel", "cancelled", "started"), ("allow", "queued", "started")],
)
def test_what_comes_while_an_earlier_run_is_at_work_fares_as_the_rule_says(
    workspace: Workspace, overlap: str, first: str, second: str
) -> None:
    make_agent(workspace, "helper")
    schedule = make_schedule(workspace, agent="helper", input={"goal": "Read"}, overlap=overlap)
    dispatch = Dispatcher()
    at = due_of(schedule)
    for number in range(2):
        fire_at(at + number * HOUR)
        dispatch()
    older, *newer = Run.objects.order_by("pk")
    later = Match.objects.order_by("id").last()
    assert later is not None
    assert (older.status, later.status, len(newer)) == (first, second, second == "started")
    if overlap == "queue":
        # Its turn comes with the end of the earlier one.
        Run.objects.update(status="cancelled", finished_at=timezone.now())
        Dispatcher()()
        assert Run.objects.count() == 2


def test_its_subscription_is_kept_in_step(workspace: Workspace) -> None:
    for name in ("helper", "other"):
        make_agent(workspace, name)
    wanted: dict[str, Any] = {"timing": "cron", "cron": "0 9 * * *", "time_zone": "Europe/Berlin"}
    schedule = make_schedule(workspace, "digest", **wanted, agent="helper", input={"goal": "Read"}, priority=3)
    kept = Subscription.objects.get()
    assert (kept.name, kept.pattern, kept.state) == ("schedule-digest", "schedule.digest", "active")
    assert (kept.agent.name, kept.input, kept.priority) == ("helper", {"goal": "Read"}, 3)
    flow = kept.flow
    change: dict[str, Any] = {**wanted, "agent": "other", "overlap": "allow"}
    schedule = schedules.change_schedule(schedule, schedules.Wanted(**change), by=None)
    changed = Subscription.objects.get()
    assert (changed.pk, changed.agent.name, changed.input) == (kept.pk, "other", None)
    assert changed.flow != flow
    schedule = schedules.change_schedule(schedule, schedules.Wanted(**wanted), by=None)
    assert not Subscription.objects.exists()
    schedule = schedules.change_schedule(schedule, schedules.Wanted(**change), by=None)
    schedules.remove_schedule(schedule, by=None)
    assert not Subscription.objects.exists()


def test_a_change_of_anything_else_keeps_the_next_time(workspace: Workspace) -> None:
    schedule = make_schedule(workspace, timing="interval", seconds=90)
    past = due_of(schedule) - HOUR
    Schedule.objects.update(due_at=past, fires_at=past)
    for wanted, is_same in (
        ({"timing": "interval", "seconds": 90, "note": "new"}, True),
        ({"timing": "interval", "seconds": 91, "note": "new"}, False),
    ):
        schedule = schedules.change_schedule(schedule, schedules.Wanted(**wanted), by=None)  # type: ignore[arg-type]
        assert (due_of(schedule) == past) is is_same


@pytest.mark.parametrize(
    ("name", "wanted", "field"),
    [
        ("Bad Name", {}, "name"),
        ("taken", {}, "name"),
        ("x", {"cron": "nonsense"}, "cron"),
        ("x", {"cron": "0 0 30 2 *"}, "cron"),
        ("x", {"time_zone": "Nowhere"}, "time_zone"),
        ("x", {"jitter": 3600}, "jitter"),
        ("x", {"timing": "sometimes"}, "timing"),
        ("x", {"timing": "once", "at": datetime(2020, 1, 1, tzinfo=UTC)}, "at"),
        ("x", {"agent": "nobody"}, "agent"),
        ("x", {"agent": "theirs"}, "agent"),
        ("x", {"catch_up": "most"}, "catch_up"),
        ("x", {"catch_up": "all", "catch_up_limit": 101}, "catch_up_limit"),
        ("x", {"overlap": "shove"}, "overlap"),
        ("x", {"priority": 11}, "priority"),
        ("x", {"note": "n" * 201}, "note"),
        ("x", {"input": {"goal": "g" * 1_000_001}}, "input"),
        ("x", {"input": {"goal": "{{ nonsense }}"}}, "input"),
    ],
)
def test_what_is_no_schedule_is_refused(workspace: Workspace, name: str, wanted: dict[str, Any], field: str) -> None:
    make_schedule(workspace, "taken")
    make_agent(make_workspace(), "theirs")
    with pytest.raises(InvalidInput) as raised:
        make_schedule(workspace, name, **wanted)
    assert raised.value.field == field
    assert Schedule.objects.count() == 1


def test_administrators_change_schedules_and_members_fire_them(workspace: Workspace) -> None:
    schedule = make_schedule(workspace)
    member, viewer = make_user(workspace), make_user(workspace, "viewer")  # type: ignore[arg-type]
    with pytest.raises(NotAllowed):
        schedules.change_schedule(schedule, schedules.Wanted(timing="cron", cron="* * * * *"), by=member)
    with pytest.raises(NotAllowed):
        schedules.remove_schedule(schedule, by=member)
    for verb in (schedules.pause_schedule, schedules.resume_schedule, schedules.run_schedule_now):
        with pytest.raises(NotAllowed):
            verb(schedule, by=viewer)
        verb(schedule, by=member)
