"""Sources, endpoints, deliveries and replays over the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from agents.models import Event, Role, Scope, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSource, Workspace
from agents.services.events import emit_event
from tests.factories import make_client, make_token, make_user, make_webhooks, make_workspace

pytestmark = pytest.mark.django_db

SOURCES, ENDPOINTS, DELIVERIES = (f"/api/v1/webhooks/{name}" for name in ("sources", "endpoints", "deliveries"))
SHOP = {"name": "shop", "url": "https://93.184.215.14/hooks", "events": ["order.*"]}


@pytest.fixture
def home() -> Workspace:
    return make_workspace("home")


@pytest.fixture
def api(home: Workspace) -> Client:
    return make_client(make_token(home, make_user(home, Role.ADMIN), scopes=list(Scope)))


@pytest.fixture
def reader(home: Workspace) -> Client:
    return make_client(make_token(home, make_user(home, Role.VIEWER), scopes=[Scope.READ]))


@pytest.fixture(autouse=True)
def _kept_in_memory(home: Workspace) -> Iterator[None]:
    yield
    values = [*WebhookSource.objects.values("secret"), *WebhookEndpoint.objects.values("secret")]
    assert not any(value["secret"].startswith("whsec_") for value in values)


def post(api: Client, path: str, body: Any = None) -> Any:
    return api.post(path, {} if body is None else body, content_type="application/json")


def put(api: Client, path: str, body: Any) -> Any:
    return api.put(path, body, content_type="application/json")


def test_a_source_is_made_shown_changed_tried_and_removed(api: Client, reader: Client) -> None:
    made = post(api, SOURCES, {"name": "shop", "scheme": "standard", "note": "ours"})
    assert made.status_code == 201, made.content
    assert made["Location"] == f"{SOURCES}/shop"
    assert made.json()["secret"].startswith("whsec_")
    shown = api.get(f"{SOURCES}/shop").json()
    assert shown == {name: value for name, value in made.json().items() if name != "secret"}
    assert shown["url"].startswith("http://localhost:")
    assert (shown["event_name"], shown["type_from"], shown["id_from"]) == (
        "shop.{type}",
        "body:type",
        "header:webhook-id",
    )
    # Who only looks does not learn where to send to.
    assert reader.get(f"{SOURCES}/shop").json()["url"] is None
    assert [one["url"] for one in reader.get(SOURCES).json()["items"]] == [None]
    tried = post(api, f"{SOURCES}/shop/test", {"data": {"n": 1}})
    assert (tried.status_code, tried.json()["name"]) == (202, "shop.test")
    assert Event.objects.get(pk=tried.json()["event"]).data["data"] == {"n": 1}
    changed = put(api, f"{SOURCES}/shop", {"event_name": "order.paid", "enabled": False})
    assert (changed.json()["event_name"], changed.json()["enabled"], changed.json()["note"]) == (
        "order.paid",
        False,
        "",
    )
    assert post(api, f"{SOURCES}/shop/test").status_code == 409
    rotated = post(api, f"{SOURCES}/shop/rotate", {"hours": 1}).json()["secret"]
    assert rotated.startswith("whsec_")
    assert rotated != made.json()["secret"]
    assert api.get(f"{SOURCES}/shop").json()["previous_until"] is not None
    assert api.delete(f"{SOURCES}/shop").status_code == 204
    assert api.get(f"{SOURCES}/shop").status_code == 404


def test_options_of_a_source(api: Client) -> None:
    options = {"header": "X-Signature", "encoding": "base64", "prefix": "v0= ", "signed": "{timestamp}.{body}"}
    options |= {"timestamp_header": "X-Time"}
    made = post(api, SOURCES, {"name": "shop", "scheme": "hmac", "options": options})
    assert made.status_code == 201, made.content
    assert made.json()["options"] == {**options, "algorithm": "sha256"}
    assert post(api, f"{SOURCES}/shop/test").status_code == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scheme": "hmac"}, "header"),
        ({"scheme": "github", "event_name": "run.{type}"}, "event_name"),
        ({"scheme": "github", "options": {"colour": "blue"}}, "options.colour"),
        ({"scheme": "github", "tolerance": 0}, "tolerance"),
        ({"scheme": "none", "secret": "of no use"}, "secret"),
        ({"name": "No Name", "scheme": "none"}, "name"),
    ],
)
def test_what_is_no_source_is_refused(api: Client, body: dict[str, Any], field: str) -> None:
    refused = post(api, SOURCES, {"name": "shop", **body})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, [field]), refused.content


def test_an_endpoint_is_made_shown_changed_switched_and_removed(api: Client, reader: Client, home: Workspace) -> None:
    made = post(api, ENDPOINTS, SHOP)
    assert made.status_code == 201, made.content
    assert made.json()["secret"].startswith("whsec_")
    shown = reader.get(f"{ENDPOINTS}/shop").json()
    assert shown == {name: value for name, value in made.json().items() if name != "secret"}
    changed = put(api, f"{ENDPOINTS}/shop", {**SHOP, "name": "other"})
    assert list(changed.json()["errors"]) == ["name"]
    changed = put(api, f"{ENDPOINTS}/shop", {"url": SHOP["url"], "filter": {"path": "total", "gte": 100}})
    assert (changed.json()["events"], changed.json()["filter"]) == (["*"], {"path": "total", "gte": 100})
    tried = post(api, f"{ENDPOINTS}/shop/test")
    assert (tried.status_code, tried.json()["event_name"], tried.json()["status"]) == (202, "webhook.test", "pending")
    # The dispatcher has nothing to do with it.
    assert Event.objects.get().dispatched_at is not None
    off = post(api, f"{ENDPOINTS}/shop/switch", {"enabled": False}).json()
    assert off["disabled"].startswith("Switched off by user-")
    (failed,) = reader.get(f"{DELIVERIES}?endpoint=shop&status=failed").json()["items"]
    assert (failed["id"], "Switched off" in failed["reason"]) == (tried.json()["id"], True)
    assert post(api, f"{ENDPOINTS}/shop/test").status_code == 409
    assert post(api, f"{DELIVERIES}/{failed['id']}/replay").status_code == 409
    assert post(api, f"{ENDPOINTS}/shop/switch", {"enabled": True}).json()["disabled"] == ""
    again = post(api, f"{DELIVERIES}/{failed['id']}/replay").json()
    assert (again["status"], again["message_id"]) == ("pending", failed["message_id"])
    assert post(api, f"{ENDPOINTS}/shop/rotate").json()["secret"].startswith("whsec_")
    assert api.delete(f"{ENDPOINTS}/shop").status_code == 204
    assert not WebhookDelivery.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"url": "ftp://shop.example/"}, "url"),
        ({"url": "https://me:word@shop.example/"}, "url"),
        ({"url": "https://93.184.215.14/#part"}, "url"),
        ({"url": "https://shop.example/a b"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["order*"]}, "events"),
        ({"filter": {"path": "a"}}, "filter"),
        ({"filter": [1]}, "filter"),
        ({"secret": "too plain to be one"}, "secret"),
        ({"name": "Shop"}, "name"),
    ],
)
def test_what_is_no_endpoint_is_refused(api: Client, body: dict[str, Any], field: str) -> None:
    refused = post(api, ENDPOINTS, {**SHOP, **body})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, [field]), refused.content


def test_a_delivery_is_shown_with_what_was_sent_and_answered(api: Client, home: Workspace) -> None:
    delivery = make_webhooks(home)
    WebhookAttempt.objects.create(delivery=delivery, at=timezone.now(), seconds=0.5, status=500, answer="oh")
    shown = api.get(f"{DELIVERIES}/{delivery.pk}").json()
    assert (shown["endpoint"], shown["event_name"], shown["body"]) == ("helper", "order.paid", "{}")
    assert [(one["status"], one["answer"]) for one in shown["tries"]] == [(500, "oh")]
    abroad = make_webhooks(make_workspace())
    assert api.get(f"{DELIVERIES}/{abroad.pk}").status_code == 404
    assert [one["id"] for one in api.get(DELIVERIES).json()["items"]] == [str(delivery.pk)]
    assert api.get(f"{DELIVERIES}?status=odd").status_code == 400
    assert api.get(f"{DELIVERIES}?endpoint=unknown").status_code == 404


def test_a_range_is_sent_once_more(api: Client, home: Workspace) -> None:
    now = timezone.now()
    first = make_webhooks(home)
    endpoint = first.endpoint
    for status in ("delivered", "pending"):
        event = emit_event(home, "order.paid", event_id=status, source="s")
        WebhookDelivery.objects.create(
            workspace=home, endpoint=endpoint, event=event, body="{}", status=status, due_at=now
        )
    path = f"{ENDPOINTS}/helper/replay"
    range_ = {"since": (now - timedelta(hours=1)).isoformat()}
    assert post(api, path, {**range_, "until": (now - timedelta(minutes=1)).isoformat()}).json() == {"count": 0}
    assert post(api, path, range_).json() == {"count": 1}
    assert post(api, path, {**range_, "which": "all"}).json() == {"count": 1}
    assert set(WebhookDelivery.objects.values_list("status", flat=True)) == {"pending"}
    # What happened while nobody was told of it, and what the endpoint would not have wanted then.
    emit_event(home, "order.lost", {"n": 1})
    WebhookEndpoint.objects.update(events=["order.*"])
    emit_event(home, "other")
    assert post(api, path, {**range_, "which": "missed"}).json() == {"count": 1}
    assert post(api, path, {**range_, "which": "missed"}).json() == {"count": 0}
    assert WebhookDelivery.objects.filter(event_name="order.lost").exists()
    for wrong in ({}, {"since": "yesterday"}, {**range_, "which": "some"}, {**range_, "until": range_["since"]}):
        assert post(api, path, wrong).status_code == 400
    WebhookEndpoint.objects.update(disabled="by hand")
    assert post(api, path, range_).status_code == 409


def test_too_much_at_once_is_refused(api: Client, home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    make_webhooks(home)
    monkeypatch.setattr("agents.services.webhook_deliveries.MOST_AT_ONCE", 0)
    for which in ("failed", "missed"):
        body = {"since": "2026-01-01T00:00:00Z", "which": which}
        assert post(api, f"{ENDPOINTS}/helper/replay", body).status_code == 409
