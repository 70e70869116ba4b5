"""The pages of webhooks: secrets shown once, tests, the log, sending once more."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.pages import main_of, text_of

if TYPE_CHECKING:
    from agents.models import Workspace

pytestmark = pytest.mark.django_db
PAGES = "/w/home/webhooks/"
SOURCE = {"name": "shop", "scheme": "standard", "tolerance": "300", "is_enabled": "on"}
ENDPOINT = {"name": "shop", "url": "https://93.184.215.14/hooks", "events": "order.*\norder.paid"}


@pytest.fixture
def home() -> Workspace:
    from tests.factories import make_workspace

    return make_workspace("home")


@pytest.fixture
def admin(home: Workspace) -> Client:
    from agents.models import Role
    from tests.factories import make_user

    client = Client(raise_request_exception=False)
    client.force_login(make_user(home, Role.ADMIN))
    return client


@pytest.fixture
def viewer(home: Workspace) -> Client:
    from agents.models import Role
    from tests.factories import make_user

    client = Client(raise_request_exception=False)
    client.force_login(make_user(home, Role.VIEWER))
    return client


def secret_in(response: Any) -> str:
    found = re.search(r'<code id="secret">([^<]+)</code>', text_of(response))
    assert found, text_of(response)
    return found[1]


def test_a_source_shows_its_secret_once_and_its_address_to_administrators(admin: Client, viewer: Client) -> None:
    from agents.models import WebhookSource

    made = admin.post(f"{PAGES}in/add/", SOURCE)
    assert made.status_code == 201
    secret = secret_in(made)
    address = f"/hooks/{WebhookSource.objects.get().address}"
    page = text_of(admin.get(f"{PAGES}in/shop/"))
    assert secret not in page
    assert address in page
    assert "webhook-signature: v1,$SIGNATURE" in page
    seen = viewer.get(f"{PAGES}in/shop/")
    assert address not in text_of(seen)
    assert "<form" not in main_of(seen)
    rotated = admin.post(f"{PAGES}in/shop/rotate/", {"hours": "5"})
    assert secret_in(rotated) != secret
    assert "The one before is good until" in text_of(rotated)
    tried = admin.post(f"{PAGES}in/shop/test/", follow=True)
    assert "the event “shop.test”" in text_of(tried)
    changed = admin.post(f"{PAGES}in/shop/", {**SOURCE, "event_name": "order.paid", "is_enabled": ""}, follow=True)
    assert "order.paid" in text_of(changed)
    assert "switched off" in text_of(admin.post(f"{PAGES}in/shop/test/", follow=True))
    assert admin.post(f"{PAGES}in/shop/remove/").status_code == 302
    assert admin.get(f"{PAGES}in/shop/").status_code == 404


def test_what_is_wrong_stands_beside_its_field(admin: Client) -> None:
    wrong = admin.post(f"{PAGES}in/add/", {**SOURCE, "scheme": "hmac"})
    assert wrong.status_code == 422
    assert "Name the header that carries it" in text_of(wrong)
    wrong = admin.post(f"{PAGES}out/add/", {**ENDPOINT, "events": "order*"})
    assert wrong.status_code == 422
    assert "A pattern is" in text_of(wrong)
    made = admin.post(f"{PAGES}in/add/", {**SOURCE, "scheme": "token", "header": "X-Token", "before": "Bearer "})
    assert made.status_code == 201
    assert "X-Token: Bearer $SECRET" in text_of(made)


def test_what_was_refused_is_shown(admin: Client, client: Client) -> None:
    from agents.models import WebhookSource

    admin.post(f"{PAGES}in/add/", SOURCE)
    client.post(f"/hooks/{WebhookSource.objects.get().address}", "{}", content_type="application/json")
    assert "The header webhook-signature is missing." in text_of(admin.get(f"{PAGES}in/shop/"))


def test_an_endpoint_is_made_tried_switched_and_removed(admin: Client) -> None:
    from agents.models import WebhookDelivery, WebhookEndpoint

    made = admin.post(f"{PAGES}out/add/", ENDPOINT)
    assert made.status_code == 201
    assert secret_in(made).startswith("whsec_")
    assert WebhookEndpoint.objects.get().events == ["order.*", "order.paid"]
    tried = admin.post(f"{PAGES}out/shop/test/", follow=True)
    assert "webhook.test" in text_of(tried)
    assert "on its way" in text_of(tried)
    changed = {"url": ENDPOINT["url"], "events": "*", "filter": '{"path": "total", "gte": 5}'}
    assert "is changed" in text_of(admin.post(f"{PAGES}out/shop/", changed, follow=True))
    assert WebhookEndpoint.objects.get().filter == {"path": "total", "gte": 5}
    assert "is switched off" in text_of(admin.post(f"{PAGES}out/shop/off/", follow=True))
    off = text_of(admin.get(f"{PAGES}out/shop/?status=failed"))
    assert "Switch on" in off
    assert "The endpoint is disabled" in off
    delivery = WebhookDelivery.objects.get()
    one = f"{PAGES}out/shop/{delivery.pk}/"
    assert "switch it on first" in text_of(admin.post(f"{one}replay/", follow=True))
    admin.post(f"{PAGES}out/shop/on/")
    assert "It is sent once more" in text_of(admin.post(f"{one}replay/", follow=True))
    assert secret_in(admin.post(f"{PAGES}out/shop/rotate/", {"hours": "0"}))
    assert admin.post(f"{PAGES}out/shop/remove/").status_code == 302
    assert not WebhookDelivery.objects.exists()


def test_a_range_is_sent_once_more(admin: Client, home: Workspace) -> None:
    from agents.models import WebhookDelivery
    from tests.factories import make_webhooks

    make_webhooks(home, "shop")
    path, began = f"{PAGES}out/shop/replay/", timezone.now() - timedelta(hours=1)
    wrong = admin.post(path, {"which": "failed", "since": ""})
    assert wrong.status_code == 422
    done = admin.post(path, {"which": "failed", "since": began.strftime("%Y-%m-%dT%H:%M")}, follow=True)
    assert "1 sent once more" in text_of(done)
    assert WebhookDelivery.objects.get().status == "pending"


def test_the_log_has_pages(admin: Client, home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.models import Event, WebhookDelivery
    from tests.factories import make_webhooks

    first = make_webhooks(home, "shop")
    event = Event.objects.create(workspace=home, name="order.second", occurred_at=timezone.now())
    WebhookDelivery.objects.create(
        workspace=home, endpoint=first.endpoint, event=event, event_name=event.name, body="{}", due_at=timezone.now()
    )
    monkeypatch.setattr("agents.web.views.webhook_endpoints.PAGE", 1)
    page = text_of(admin.get(f"{PAGES}out/shop/"))
    assert "order.second" in page
    older = re.search(r'href="(\?before=[^"]+)"', page)
    assert older
    assert "order.paid" in text_of(admin.get(f"{PAGES}out/shop/{older[1]}"))
    assert "order.second" not in text_of(admin.get(f"{PAGES}out/shop/{older[1]}")).split("Delivery log")[1]
