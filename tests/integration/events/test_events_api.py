"""Events and subscriptions over the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from agents.engine.beside import Round
from agents.models import Agent, Event, Match, Run, Subscription, Workspace
from agents.triggers.cloudevents import MANY, ONE
from tests.factories import make_client, make_run, make_token

pytestmark = pytest.mark.django_db

EVENTS = "/api/v1/events"
SUBSCRIPTIONS = "/api/v1/subscriptions"
CLOUD = {"specversion": "1.0", "type": "com.example.thing", "source": "/ctx", "id": "A1"}


def post(api: Client, path: str, body: Any, media_type: str = "application/json", **headers: str) -> Any:
    return api.post(path, json.dumps(body), content_type=media_type, headers=headers)


def test_one_event_is_told_of(api: Client, workspace: Workspace) -> None:
    body = {"name": "order.paid", "data": {"n": 1}, "source": "shop", "id": "e1", "occurred_at": "2026-03-04T05:06:07Z"}

    first, again = post(api, EVENTS, body), post(api, EVENTS, {**body, "data": {"n": 2}})

    assert (first.status_code, again.status_code) == (202, 202)
    shown = first.json()
    assert (shown["name"], shown["data"], shown["event_id"], shown["is_new"]) == ("order.paid", {"n": 1}, "e1", True)
    assert shown["occurred_at"].startswith("2026-03-04T05:06:07")
    assert again.json() == {**shown, "is_new": False}
    assert Event.objects.get().workspace == workspace


def test_many_are_told_of_all_or_none(api: Client) -> None:
    good = post(api, EVENTS, [{"name": "a", "id": "1"}, {"name": "b"}])
    assert [item["name"] for item in good.json()["items"]] == ["a", "b"]

    bad = post(api, EVENTS, [{"name": "c"}, {"name": "has space"}])
    assert bad.status_code == 400
    assert "1.name" in json.dumps(bad.json())
    assert post(api, EVENTS, [{"name": "c"}, {"nonsense": 1}]).status_code == 400
    assert post(api, EVENTS, [{"name": "c"}] * 1_001).status_code == 400
    assert Event.objects.count() == 2


def test_cloud_events_are_taken_alone_and_as_a_batch(api: Client) -> None:
    one = post(api, EVENTS, {**CLOUD, "time": "2026-03-04T05:06:07Z", "subject": "s", "data": {"n": 1}}, ONE)
    many = post(api, EVENTS, [CLOUD, {**CLOUD, "id": "A2"}], f"{MANY}; charset=utf-8")

    assert (one.status_code, many.status_code) == (202, 202)
    shown = one.json()
    assert (shown["name"], shown["source"], shown["event_id"]) == ("com.example.thing", "/ctx", "A1")
    assert shown["attributes"] == {"subject": "s"}
    assert [item["is_new"] for item in many.json()["items"]] == [False, True]


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ([CLOUD], ONE),
        (CLOUD, MANY),
        ({**CLOUD, "specversion": "2"}, ONE),
        ([CLOUD, 7], MANY),
        ("text", "application/json"),
        ([], "text/plain"),
    ],
)
def test_what_is_no_event_is_refused(api: Client, body: Any, media_type: str) -> None:
    assert post(api, EVENTS, body, media_type).status_code in (400, 415)
    assert not Event.objects.exists()


def test_the_requests_key_stands_for_an_id(api: Client) -> None:
    for _ in range(2):
        assert post(api, EVENTS, {"name": "a"}, **{"Idempotency-Key": "k"}).status_code == 202
        assert post(api, EVENTS, [{"name": "a"}, {"name": "b"}], **{"Idempotency-Key": "m"}).status_code == 202
    assert sorted(Event.objects.values_list("event_id", flat=True)) == ["k", "m:0", "m:1"]


def test_events_are_listed_by_name_source_and_time(api: Client) -> None:
    for name, source in (("order.paid", "shop"), ("order.sent", "shop"), ("ordering", "till"), ("user.new", "shop")):
        post(api, EVENTS, {"name": name, "source": source})

    def names(query: str) -> list[str]:
        return [item["name"] for item in api.get(f"{EVENTS}?{query}").json()["items"]]

    assert names("") == ["user.new", "ordering", "order.sent", "order.paid"]
    assert names("name=order.*") == ["order.sent", "order.paid"]
    assert names("name=ordering") == ["ordering"]
    assert names("source=till") == ["ordering"]
    last = api.get(EVENTS).json()["items"][0]["id"]
    assert names(f"id={last}") == ["user.new"]
    assert names("state=waiting&name=ordering") == ["ordering"]
    assert names("state=started") == names("id=x") == []
    assert names("after=2999-01-01T00:00:00Z") == []
    assert api.get(f"{EVENTS}?name=a*b").status_code == 400
    first = api.get(f"{EVENTS}?limit=3").json()
    assert [item["name"] for item in api.get(first["next"]).json()["items"]] == ["order.paid"]


def test_the_delivery_log_says_what_came_of_an_event_and_it_is_replayed(
    api: Client, subscribe: Callable[..., Subscription], dispatch: Callable[[], Round]
) -> None:
    subscribe()
    told = post(api, EVENTS, {"name": "order.paid", "id": "e1", "data": {"n": 1}, "tainted": True}).json()
    dispatch()

    shown = api.get(f"{EVENTS}/{told['id']}").json()
    (delivery,) = shown["deliveries"]
    assert (delivery["subscription"], delivery["status"]) == ("orders", "started")
    assert delivery["run"] == str(Run.objects.get().pk)
    assert shown["dispatched_at"]

    once = {"Idempotency-Key": "k"}
    again = post(api, f"{EVENTS}/{told['id']}/replay", {}, **once).json()
    assert post(api, f"{EVENTS}/{told['id']}/replay", {}, **once).json()["id"] == again["id"]
    dispatch()
    assert [item["id"] for item in api.get(f"{EVENTS}?state=started").json()["items"]] == [again["id"], told["id"]]
    assert (again["replay_of"], again["data"], again["tainted"]) == (told["id"], {"n": 1}, True)
    assert Run.objects.count() == 2


def test_a_range_is_replayed_each_event_once(
    api: Client, subscribe: Callable[..., Subscription], dispatch: Callable[[], Round], workspace: Workspace
) -> None:
    subscribe()
    for name in ("order.paid", "order.sent", "user.new"):
        post(api, EVENTS, {"name": name})
    post(api, f"/api/v1/runs/{make_run(workspace).pk}/signals/order.paid", {})
    dispatch()
    for _ in range(2):
        done = post(api, f"{EVENTS}/replay", {"name": "order.*", "after": "2020-01-01T00:00:00Z"})
        assert (done.status_code, done.json()["count"]) == (202, 2)
    dispatch()
    assert Match.objects.count() == 6
    assert post(api, f"{EVENTS}/replay", {"name": "order.*"}).status_code == 400


def test_subscriptions_are_made_changed_paused_and_removed(api: Client, agent: Agent) -> None:
    body = {
        "name": "orders",
        "pattern": "order.*",
        "agent": agent.name,
        "filter": {"path": "n", "gt": 1},
        "input": {"goal": "{{ data.n }}"},
        "flow": {"key": "data.user", "debounce": {"seconds": 5}},
    }
    made = post(api, SUBSCRIPTIONS, body)
    assert made.status_code == 201
    address = made["Location"]
    assert api.get(address).json()["filter"] == body["filter"]
    assert post(api, SUBSCRIPTIONS, body).status_code == 400

    changed = api.put(address, json.dumps({"pattern": "*", "agent": agent.name}), content_type="application/json")
    assert changed.json()["pattern"] == "*"
    assert (changed.json()["flow"], changed.json()["filter"]) == ({}, None)
    assert post(api, f"{address}/state", {"state": "paused"}).json()["state"] == "paused"
    assert [item["state"] for item in api.get(SUBSCRIPTIONS).json()["items"]] == ["paused"]

    assert api.delete(address).status_code == 204
    assert api.get(address).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "Has Space"}, "name"),
        ({"name": "would-match"}, "name"),
        ({"pattern": "a*"}, "pattern"),
        ({"agent": "nobody"}, "agent"),
        ({"version": 9}, "version"),
        ({"filter": {"path": "x", "regex": "."}}, "filter"),
        ({"input": {"goal": "{{ nonsense }}"}}, "input"),
        ({"flow": {"rate": {"count": 0, "seconds": 1}}}, "flow.rate.count"),
        ({"flow": [1]}, "flow"),
        ({"state": "maybe"}, "state"),
        ({"priority": 99}, "priority"),
    ],
)
def test_what_is_no_subscription_is_refused_by_its_field(
    api: Client, agent: Agent, wrong: dict[str, Any], field: str
) -> None:
    refused = post(api, SUBSCRIPTIONS, {"name": "orders", "pattern": "a", "agent": agent.name, **wrong})
    assert refused.status_code == 400
    assert field in refused.json()["errors"]


def test_a_draft_says_what_it_would_have_matched(api: Client, agent: Agent) -> None:
    for number in range(4):
        post(api, EVENTS, {"name": "order.paid", "data": {"n": number}})
    post(api, EVENTS, {"name": "user.new", "data": {"n": 9}})
    body = {
        "pattern": "order.*",
        "agent": agent.name,
        "filter": {"path": "n", "gte": 2},
        "input": {"goal": "Pack {{ data.n }}"},
    }

    found = post(api, f"{SUBSCRIPTIONS}/would-match", body).json()

    assert found["looked_at"] == 4
    assert [one["input"]["goal"] for one in found["matched"]] == ["Pack 3", "Pack 2"]
    assert not Run.objects.exists()
    assert not Subscription.objects.exists()
    assert post(api, f"{SUBSCRIPTIONS}/would-match", {**body, "filter": 1}).status_code == 400


def test_members_tell_of_events_and_administrators_subscribe(workspace: Workspace, agent: Agent) -> None:
    member = make_client(make_token(workspace))
    assert post(member, EVENTS, {"name": "a"}).status_code == 202
    assert post(member, SUBSCRIPTIONS, {"name": "s", "pattern": "a", "agent": agent.name}).status_code == 403
    assert member.get(SUBSCRIPTIONS).status_code == 200


def test_a_signal_reaches_a_run_that_goes_on(api: Client, workspace: Workspace) -> None:
    run, ended = make_run(workspace), make_run(workspace, status="failed")

    told = post(api, f"/api/v1/runs/{run.pk}/signals/go.on", {"data": 1, "id": "x"})
    again = post(api, f"/api/v1/runs/{run.pk}/signals/go.on", {"data": 2, "id": "x"})

    assert told.status_code == 202
    assert (told.json()["to_run"], told.json()["data"]) == (str(run.pk), 1)
    assert again.json()["id"] == told.json()["id"]
    assert post(api, f"/api/v1/runs/{ended.pk}/signals/go.on", {}).status_code == 409
    assert post(api, f"/api/v1/runs/{run.pk}/signals/a%20b", {}).status_code == 400
