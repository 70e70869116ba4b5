"""Watchers that are due: taken by one worker, looked at, and what they saw kept together with its events."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.test import override_settings

from agents.models import Event, Watcher, Workspace
from agents.services import watchers
from agents.services.duties import Observer
from agents.services.errors import Conflict
from agents.services.watching import FIRST_PAUSE, LEASE, Task, give_back, keep_failure, keep_look, take_due
from agents.triggers.looks.base import Change, Look
from tests.factories import make_user, make_workspace
from tools.http import outbound

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, tzinfo=UTC)
EVERY = 900


def make_watcher(workspace: Workspace, name: str = "news", **wanted: Any) -> Watcher:
    asked = {"timing": "interval", "seconds": EVERY, "kind": "feed", "target": {"url": "https://example.org/feed"}}
    watcher = watchers.create_watcher(workspace, name, watchers.Wanted(**{**asked, **wanted}), by=None)
    Watcher.objects.filter(pk=watcher.pk).update(fires_at=NOW, anchor=NOW)
    return Watcher.objects.get(pk=watcher.pk)


def at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def take(moment: datetime = NOW) -> Task:
    (task,), _ = take_due(5, at(moment))
    return task


def look(*keys: str, note: str = "") -> Look:
    return Look({"seen": list(keys)}, tuple(Change({"entry": key}, key) for key in keys), note)


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("home")


def test_what_was_seen_is_kept_with_its_events(workspace: Workspace) -> None:
    watcher = make_watcher(workspace)
    task = take()
    assert (task.kind, task.target, task.state) == ("feed", {"url": "https://example.org/feed"}, None)
    assert keep_look(task, look("a", "b", note="A word."), at(NOW + timedelta(seconds=3))) == 2
    events = list(Event.objects.order_by("id"))
    assert [(event.name, event.source, event.tainted) for event in events] == [("watcher.news", "watcher", True)] * 2
    assert events[0].data == {"watcher": "news", "kind": "feed", "entry": "a"}
    watcher.refresh_from_db()
    assert (watcher.state, watcher.looking, watcher.problem) == ({"seen": ["a", "b"]}, None, "A word.")
    assert watcher.looked_at == watcher.changed_at == NOW + timedelta(seconds=3)
    assert watcher.fires_at == NOW + timedelta(seconds=EVERY)
    # The same entry once more, however it came to be seen again: the same event.
    again = take(NOW + timedelta(seconds=EVERY))
    assert again.state == {"seen": ["a", "b"]}
    keep_look(again, look("b", "c"), at(NOW + timedelta(seconds=EVERY)))
    assert [event.data["entry"] for event in Event.objects.order_by("id")] == ["a", "b", "c"]


def test_changes_without_a_name_are_each_their_own(workspace: Workspace) -> None:
    make_watcher(workspace)
    change = Look({"digest": "d"}, (Change({"text": "same words"}),))
    for number in range(2):
        moment = NOW + timedelta(seconds=EVERY * number)
        keep_look(take(moment), change, at(moment))
    assert Event.objects.count() == 2


def test_one_worker_looks_at_a_time_and_its_lease_ends(workspace: Workspace) -> None:
    watcher = make_watcher(workspace)
    task = take()
    assert take_due(5, at(NOW + LEASE / 2)) == ([], (LEASE / 2).total_seconds())
    with pytest.raises(Conflict):
        watchers.look_now(watcher, by=None)
    # Dead: what killed it may be what it saw. The others wait as after a failure.
    late = NOW + LEASE
    assert take_due(5, at(late))[0] == []
    watcher.refresh_from_db()
    assert (watcher.failures, watcher.looking) == (1, None)
    assert "was gone" in watcher.problem
    second = take(NOW + timedelta(seconds=EVERY))
    # The first was only slow: what it saw no longer counts.
    assert keep_look(task, look("a"), at(late)) == 0
    assert keep_look(second, look("b"), at(late)) == 1


def test_who_leaves_gives_back(workspace: Workspace) -> None:
    make_watcher(workspace)
    task = take()
    give_back(task, at(NOW))
    assert take().token != task.token


def test_state_and_events_stand_and_fall_together(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = make_watcher(workspace)
    task = take()

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "save", die)
        with pytest.raises(KeyboardInterrupt):
            keep_look(task, look("a"), at(NOW))
    watcher.refresh_from_db()
    assert (Event.objects.count(), watcher.state, watcher.looking) == (0, None, task.token)
    assert keep_look(task, look("a"), at(NOW)) == 1


def test_a_change_that_can_not_be_told_is_a_failure_and_not_lost(workspace: Workspace) -> None:
    watcher = make_watcher(workspace)
    assert keep_look(take(), Look({"digest": "d"}, (Change({"text": "x" * 600_000}),)), at(NOW)) == 0
    watcher.refresh_from_db()
    assert (watcher.state, watcher.failures, Event.objects.count()) == (None, 1, 0)
    assert watcher.problem.startswith("What has changed can't be told: The data has")


def test_failures_come_later_and_later_and_are_forgiven(workspace: Workspace) -> None:
    watcher = make_watcher(workspace, seconds=10)
    Watcher.objects.update(state={"seen": ["a"]})
    moment, pauses = NOW, []
    for _ in range(12):
        keep_failure(take(moment), "example.org answered 503.", now=at(moment))
        watcher.refresh_from_db()
        assert watcher.fires_at is not None
        pauses.append((watcher.fires_at - moment).total_seconds())
        moment = watcher.fires_at
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == 6 * 3600
    assert (watcher.failures, watcher.problem, watcher.state) == (12, "example.org answered 503.", {"seen": ["a"]})
    keep_failure(take(moment), "Wait.", retry_after=50_000.0, now=at(moment))
    watcher.refresh_from_db()
    assert watcher.fires_at == moment + timedelta(seconds=50_000)
    keep_look(take(watcher.fires_at), look(), at(watcher.fires_at))
    watcher.refresh_from_db()
    assert (watcher.failures, watcher.problem) == (0, "")


def test_paused_during_a_look_whose_worker_dies_it_rests(workspace: Workspace) -> None:
    watcher = make_watcher(workspace)
    take()
    watchers.pause_watcher(watcher, by=None)
    assert take_due(5, at(NOW + LEASE))[0] == []
    watcher.refresh_from_db()
    assert (watcher.looking, watcher.fires_at, watcher.failures) == (None, None, 1)


def test_paused_it_looks_only_when_it_is_told_to(workspace: Workspace) -> None:
    member = make_user(workspace)
    watcher = watchers.pause_watcher(make_watcher(workspace), by=member)
    assert take_due(5, at(NOW)) == ([], None)
    watchers.look_now(watcher, by=member)
    keep_look(take(), look("a"), at(NOW))
    watcher.refresh_from_db()
    assert (watcher.fires_at, watcher.state) == (None, {"seen": ["a"]})


@pytest.mark.parametrize("change", ["target", "removed", "paused"])
def test_what_is_changed_during_a_look_counts(workspace: Workspace, change: str) -> None:
    watcher = make_watcher(workspace)
    task = take()
    if change == "removed":
        watchers.remove_watcher(watcher, by=None)
    elif change == "paused":
        watchers.pause_watcher(watcher, by=None)
    else:
        other = {"timing": "interval", "seconds": EVERY, "kind": "feed", "target": {"url": "https://example.org/b"}}
        watchers.change_watcher(watcher, watchers.Wanted(**other), by=None)  # type: ignore[arg-type]
    kept = keep_look(task, look("a"), at(NOW))
    assert kept == Event.objects.count() == (1 if change == "paused" else 0)
    if change != "removed":
        watcher.refresh_from_db()
        assert (watcher.fires_at is None) is (change == "paused")
        assert watcher.looking is None


@contextmanager
def serving(answers: list[tuple[int, bytes]]) -> Iterator[str]:
    """Serve one answer after the other, whatever is asked; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = (404, b"") if self.path == "/robots.txt" else answers.pop(0)
            self.send_response(status)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/page"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_page_is_looked_at_as_a_worker_does(workspace: Workspace) -> None:
    with serving([(200, b"one"), (200, b"one\ntwo"), (503, b""), (200, b"one\ntwo")]) as url:
        watcher = make_watcher(workspace, kind="url", target={"url": url})
        moment = NOW
        seen = []
        for _ in range(4):
            with override_settings(ALLOWED_NETWORKS=["127.0.0.0/8"]):
                asyncio.run(_carry_out(take(moment)))
            watcher.refresh_from_db()
            seen.append((Event.objects.count(), watcher.failures))
            Watcher.objects.update(fires_at=moment)
    assert seen == [(0, 0), (1, 0), (1, 1), (1, 0)]
    assert Event.objects.get().data["added"] == ["two"]
    # Without the operator's leave the network is out of bounds.
    asyncio.run(_carry_out(take(moment)))
    watcher.refresh_from_db()
    assert "may not be reached" in watcher.problem


@pytest.mark.django_db(transaction=True)
def test_a_mistake_of_ours_is_said_and_harms_no_other(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = make_watcher(workspace)

    async def broken(*_: object) -> Look:
        raise ZeroDivisionError

    monkeypatch.setattr("agents.services.duties.look", broken)
    asyncio.run(_carry_out(take()))
    watcher.refresh_from_db()
    assert watcher.problem == "The look itself failed (ZeroDivisionError); the operator's log says more."


async def _carry_out(task: Task) -> None:
    observer = Observer(patience=5.0)
    try:
        await observer.look(task)
    finally:
        await outbound().aclose()
        await observer.aclose()
