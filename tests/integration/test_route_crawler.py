"""Every address of the site, tried by everybody who should not get through, and by those who may only look.

A route without a rule in tests/route_rules.py fails the test: whoever adds one says there who may do what with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from agents.models import (
    Agent,
    Approval,
    AuthToken,
    Document,
    Event,
    Provider,
    Role,
    Run,
    Schedule,
    Scope,
    Step,
    Subscription,
    Thread,
    Watcher,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSource,
    Workspace,
)
from agents.services.events import emit_event
from agents.services.secrets import set_secret
from tests.addresses import address, routes
from tests.factories import (
    make_agent,
    make_approval,
    make_artifact,
    make_run,
    make_token,
    make_user,
    make_webhooks,
    make_workspace,
)
from tests.route_rules import LOG_IN, PAGE_ACT, RULES, Outcome, rules_of
from tools.models import Limit, Secret

pytestmark = pytest.mark.django_db


@dataclass
class World:
    """Two workspaces, people, tokens, and something to aim at in the first."""

    arguments: dict[str, str]
    people: dict[str, list[Client]]


def _session(user: Any) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def _bearer(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"}, raise_request_exception=False)


def make_named(home: Workspace) -> None:
    """Make one of each that is called by a name."""
    agent = make_agent(home, "helper")
    Subscription.objects.create(workspace=home, name="helper", pattern="*", agent=agent)
    Provider.objects.create(workspace=home, name="helper", kind="openai")
    when = {"timing": "interval", "seconds": 600, "anchor": timezone.now()}
    Schedule.objects.create(workspace=home, name="helper", **when)
    Watcher.objects.create(workspace=home, name="helper", kind="feed", target={"url": "https://example.org"}, **when)
    set_secret(workspace=home, name="helper", value="not for everybody", by=None)


@pytest.fixture
def world() -> World:
    home, abroad = make_workspace("home"), make_workspace("abroad")
    run = make_run(home)
    step = Step.objects.create(run=run, key="s#0", kind="step", name="s", status="running", started_at=timezone.now())
    document = Document.objects.create(workspace=home, title="A text", text="Words.", size=6, digest="d")
    make_named(home)
    event = emit_event(home, "something.happened")
    thread = Thread.objects.create(workspace=home, agent=Agent.objects.get(), policy="reject")
    limit = Limit.objects.create(workspace=home, name="host:*", amount=1)
    stranger, viewer = make_user(abroad, Role.ADMIN), make_user(home, Role.VIEWER)
    member = make_user(home)
    expired = make_token(home, member)
    AuthToken.objects.update(expiry=timezone.now() - timedelta(minutes=1))
    reader = make_token(home, member, scopes=[Scope.READ])
    target = AuthToken.objects.exclude(scopes=[Scope.READ]).get()
    return World(
        arguments={
            "slug": home.slug,
            "run_id": str(run.pk),
            "step_id": str(step.pk),
            "artifact_id": str(make_artifact(run, step.key).pk),
            "document_id": str(document.pk),
            "approval_id": str(make_approval(run).pk),
            "limit_id": str(limit.pk),
            "thread_id": str(thread.pk),
            "event_id": str(event.pk),
            "signal": "hello",
            "tool_name": "web_fetch",
            "name": "helper",
            "delivery_id": str(make_webhooks(home).pk),
            "token": "no-such-link",
            "digest": target.digest,
        },
        people={
            "nobody": [Client(raise_request_exception=False), _bearer(expired), _bearer("unknown")],
            "stranger": [_session(stranger), _bearer(make_token(abroad, stranger))],
            "viewer": [_session(viewer), _bearer(make_token(home, viewer))],
            "reader": [_bearer(reader)],
        },
    )


def outcome(response: Any) -> Outcome:
    """Tell what became of a request."""
    if response.streaming:
        b"".join(response)  # Read to its end, a file is closed.
    if response.status_code == 302 and "/login/" in response["Location"]:
        return LOG_IN
    return int(response.status_code)


@pytest.mark.fault(34)
def test_every_route_has_its_rules() -> None:
    known = routes()
    assert [route for route in known if not rules_of(route)] == []
    assert [route for route in RULES if route not in known] == []


@pytest.mark.fault(34, 35)
@pytest.mark.parametrize("route", [route for route in routes() if not route.startswith("admin/")])
def test_each_gets_what_is_documented(world: World, route: str) -> None:
    crawl(world, route)


@pytest.mark.fault(34)
def test_the_admin_site_is_for_staff(world: World) -> None:
    for route in routes():
        if route.startswith("admin/"):
            crawl(world, route)


def crawl(world: World, route: str) -> None:
    """Try a route as everybody."""
    before = _state()
    path = address(route, world.arguments)
    for rule in rules_of(route):
        for person, clients in world.people.items():
            expected = getattr(rule, person)
            for client in clients:
                is_api = path.startswith("/api/v1/")
                has_token = "HTTP_AUTHORIZATION" in client.defaults
                if person != "nobody" and is_api != has_token:
                    # The wrong kind of credentials for this place: as good as none.
                    assert outcome(_send(client, rule.method, path)) == rule.nobody, (rule, person)
                    continue
                assert outcome(_send(client, rule.method, path)) == expected, (rule, person)
    assert _state() == before


def _send(client: Client, method: str, path: str) -> Any:
    if method == "POST" and path.startswith("/api/"):
        return client.post(path, {}, content_type="application/json")
    return client.generic(method, path)


def _state() -> tuple[Any, ...]:
    """What nobody of these people may change."""
    return (
        list(Run.objects.order_by("pk").values_list("id", "status", "wanted")),
        list(Approval.objects.values_list("id", "status")),
        list(Thread.objects.values_list("id", "title", "policy")),
        list(Document.objects.order_by("pk").values_list("id", "title")),
        list(AuthToken.objects.order_by("pk").values_list("digest", "scopes", "expiry")),
        list(Event.objects.order_by("pk").values_list("pk", "name")),
        list(Subscription.objects.order_by("pk").values_list("name", "pattern", "state")),
        list(Limit.objects.order_by("pk").values_list("name", "amount")),
        list(Agent.objects.order_by("pk").values_list("name", "current", "archived_at", "draft__revision")),
        list(Secret.objects.order_by("pk").values_list("name", "token")),
        list(Provider.objects.order_by("pk").values_list("name", "kind", "base_url", "secret")),
        list(Schedule.objects.values_list("name", "cron", "seconds", "paused_at", "fires_at")),
        list(Watcher.objects.values_list("name", "target", "paused_at", "fires_at", "looking")),
        list(Event.objects.values_list("name")),
        list(WebhookSource.objects.values_list("name", "secret", "is_enabled", "refused")),
        list(WebhookEndpoint.objects.values_list("name", "url", "secret", "disabled")),
        list(WebhookDelivery.objects.values_list("event", "status", "due_at")),
        list(Workspace.objects.order_by("pk").values_list("slug", "name", "approval_policy", "approval_hours")),
        list(Workspace.objects.order_by("pk").values_list("caps", "max_running")),
    )


@pytest.mark.fault(36)
def test_a_session_acts_only_with_its_csrf_token(world: World) -> None:
    member = make_user(Workspace.objects.get(slug="home"))
    client = Client(enforce_csrf_checks=True)
    client.force_login(member)
    for route, rules in RULES.items():
        if any(rule is PAGE_ACT for rule in rules):
            assert client.post(address(route, world.arguments)).status_code == 403, route
    assert settings.SESSION_COOKIE_HTTPONLY
    assert settings.SESSION_COOKIE_SAMESITE == "Lax"
