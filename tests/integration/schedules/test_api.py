"""Schedules and watchers over the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Event, Schedule, Scope, Watcher, Workspace
from tests.factories import make_agent, make_client, make_token, make_user, make_workspace

pytestmark = pytest.mark.django_db

DAILY = {"timing": "cron", "cron": "0 9 * * MON-FRI", "time_zone": "Europe/Berlin"}
FEED = {"timing": "interval", "seconds": 900, "kind": "feed", "target": {"url": "https://example.org/feed"}}


@pytest.fixture
def workspace() -> Workspace:
    return make_workspace("home")


@pytest.fixture
def api(workspace: Workspace) -> Client:
    return make_client(make_token(workspace, make_user(workspace, "admin"), scopes=Scope.values))  # type: ignore[arg-type]


def send(api: Client, method: str, path: str, body: Any = None, key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return getattr(api, method)(f"/api/v1{path}", body, content_type="application/json", headers=headers)


def test_a_schedule_is_made_shown_changed_and_removed(api: Client, workspace: Workspace) -> None:
    make_agent(workspace, "helper")
    made = send(api, "post", "/schedules", {"name": "digest", **DAILY, "agent": "helper", "input": {"goal": "Read"}})
    assert (made.status_code, made["Location"]) == (201, "/api/v1/schedules/digest")
    shown = made.json()
    assert {name: shown[name] for name in (*DAILY, "agent", "input", "overlap", "catch_up", "broken")} == {
        **DAILY,
        "agent": "helper",
        "input": {"goal": "Read"},
        "overlap": "skip",
        "catch_up": "one",
        "broken": "",
    }
    assert shown["words"] == "at 09:00 on Monday through Friday (Europe/Berlin)"
    assert len(shown["next"]) == 5
    assert shown["next"] == sorted(shown["next"])
    assert api.get("/api/v1/schedules/digest").json() == shown
    assert api.get("/api/v1/schedules").json() == {"items": [shown], "next": None}
    changed = send(api, "put", "/schedules/digest", {"timing": "interval", "seconds": 3600, "catch_up": "none"}).json()
    assert (changed["words"], changed["cron"], changed["agent"]) == ("every hour", "", None)
    assert send(api, "delete", "/schedules/digest").status_code == 204
    assert api.get("/api/v1/schedules/digest").status_code == 404


def test_a_schedule_is_paused_resumed_and_fired(api: Client) -> None:
    send(api, "post", "/schedules", {"name": "digest", **DAILY})
    paused = send(api, "post", "/schedules/digest/pause").json()
    assert paused["paused_at"] is not None
    assert len(paused["next"]) == 5
    assert send(api, "post", "/schedules/digest/pause").status_code == 409
    assert send(api, "post", "/schedules/digest/resume").json()["paused_at"] is None
    fired = [send(api, "post", "/schedules/digest/run", key=key) for key in ("a", "a", "")]
    assert [answer.status_code for answer in fired] == [202, 202, 202]
    assert fired[0].json() == fired[1].json() == {"event": Event.objects.last().pk, "name": "schedule.digest"}  # type: ignore[union-attr]
    assert Event.objects.count() == 2


def test_times_can_be_asked_for_before_there_is_a_schedule(api: Client) -> None:
    answer = send(api, "post", "/schedule-times", {"timing": "interval", "seconds": 90}).json()
    assert (answer["words"], len(answer["next"])) == ("every 90 seconds", 5)
    wrong = send(api, "post", "/schedule-times", {"timing": "cron", "cron": "61 * * * *"})
    assert (wrong.status_code, wrong.json()["errors"]["cron"]) == (
        400,
        ["'61 * * * *' is no cron expression: bad minute."],
    )
    assert not Schedule.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "timing": "cron", "cron": "nonsense"}, "cron"),
        ({"name": "x", "timing": "once", "at": "2020-01-01T00:00:00Z"}, "at"),
        ({"name": "x", "timing": "once", "at": "9999-12-31T23:59:59-23:59"}, "at"),
        ({"name": "x", "timing": "interval", "seconds": -1}, "seconds"),
        ({"name": "x", "timing": "never"}, "timing"),
        ({"name": "x", **DAILY, "agent": "nobody"}, "agent"),
        ({"name": "x", **DAILY, "nonsense": 1}, "nonsense"),
        ({**DAILY}, "name"),
        ({"name": "digest", **DAILY}, "name"),
    ],
)
def test_what_is_wrong_is_named(api: Client, body: Any, field: str) -> None:
    send(api, "post", "/schedules", {"name": "digest", **DAILY})
    answer = send(api, "post", "/schedules", body)
    assert answer.status_code in (400, 422)
    assert answer.json()["errors"].keys() == {field}
    assert Schedule.objects.count() == 1


def test_a_watcher_is_made_shown_changed_and_removed(api: Client) -> None:
    made = send(api, "post", "/watchers", {"name": "news", **FEED})
    assert (made.status_code, made["Location"]) == (201, "/api/v1/watchers/news")
    shown = made.json()
    assert (shown["kind"], shown["target"], shown["words"]) == ("feed", FEED["target"], "every 15 minutes")
    assert shown["overlap"] == "queue", "several entries come at once"
    assert api.get("/api/v1/watchers").json() == {"items": [shown], "next": None}
    watcher = Watcher.objects.get()
    assert watcher.fires_at is not None
    assert watcher.fires_at <= timezone.now(), "it looks at once"
    Watcher.objects.update(state={"seen": []}, fires_at=None)
    assert send(api, "put", "/watchers/news", {**FEED, "note": "n"}).json()["note"] == "n"
    assert Watcher.objects.get().state == {"seen": []}
    other = {**FEED, "kind": "url", "target": {"url": "https://example.org", "selector": "h1"}}
    assert send(api, "put", "/watchers/news", other).json()["target"]["selector"] == "h1"
    assert Watcher.objects.get().state is None
    assert send(api, "post", "/watchers/news/pause").json()["paused_at"] is not None
    assert send(api, "post", "/watchers/news/look").status_code == 202
    assert send(api, "post", "/watchers/news/resume").json()["paused_at"] is None
    assert send(api, "delete", "/watchers/news").status_code == 204
    assert not Watcher.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target": {"url": "file:///etc/passwd"}}, "target.url"),
        ({"target": {}}, "target.url"),
        ({"target": "https://example.org"}, "target"),
        ({"kind": "smell"}, "kind"),
        ({"seconds": 9}, "seconds"),
        ({"timing": "once", "at": "2100-01-01T00:00:00Z"}, "timing"),
        ({"timing": "cron", "cron": "* * * * * *"}, "cron"),
        ({"kind": "sql", "target": {"connection": "shop", "sql": "DROP TABLE x"}}, "target.sql"),
        ({"kind": "url", "target": {"url": "https://example.org", "selector": "[["}}, "target.selector"),
    ],
)
def test_what_can_not_be_watched_is_named(api: Client, change: Any, field: str) -> None:
    answer = send(api, "post", "/watchers", {"name": "news", **FEED, **change})
    assert answer.status_code in (400, 422)
    assert answer.json()["errors"].keys() == {field}


@pytest.mark.fault(35)
def test_those_of_another_workspace_do_not_exist(api: Client) -> None:
    other = make_workspace()
    stranger = make_client(make_token(other, make_user(other, "admin"), scopes=Scope.values))  # type: ignore[arg-type]
    send(stranger, "post", "/schedules", {"name": "theirs", **DAILY})
    send(stranger, "post", "/watchers", {"name": "theirs", **FEED})
    assert (Schedule.objects.count(), Watcher.objects.count()) == (1, 1)
    for path, verbs in (("schedules", ("pause", "resume", "run")), ("watchers", ("pause", "resume", "look"))):
        assert api.get(f"/api/v1/{path}").json()["items"] == []
        assert api.get(f"/api/v1/{path}/theirs").status_code == 404
        assert send(api, "put", f"/{path}/theirs", {**FEED} if path == "watchers" else {**DAILY}).status_code == 404
        assert send(api, "delete", f"/{path}/theirs").status_code == 404
        for verb in verbs:
            assert send(api, "post", f"/{path}/theirs/{verb}").status_code == 404
