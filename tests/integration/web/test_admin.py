"""The administration: every table can be looked at, the engine's can't be changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.utils import timezone

from tests.integration.web.conftest import As

if TYPE_CHECKING:
    from agents.models import Run

pytestmark = pytest.mark.django_db
EDITABLE = {"agents.workspace", "agents.user", "agents.membership", "agents.provider", "tools.limit"}
APPS = ("agents", "tools")


@pytest.fixture
def operator(client: Client) -> Client:
    from tests.factories import make_user

    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


def names() -> list[str]:
    """Give the tables of our apps, as `agents.run`."""
    return [model._meta.label_lower for app in APPS for model in apps.get_app_config(app).get_models()]


def test_all_tables_are_there_and_the_queue_librarys_are_not() -> None:
    registered = {model._meta.label_lower for model in admin.site._registry}
    assert set(names()) <= registered
    assert not [label for label in registered if label.startswith(("django_q.", "knox."))]


def test_every_list_and_search_works(operator: Client, finished: Run) -> None:
    for name in names():
        path = f"/admin/{name.replace('.', '/')}/"
        assert operator.get(path).status_code == 200, name
        assert operator.get(f"{path}?q=x").status_code == 200, name
        added = operator.get(f"{path}add/").status_code
        assert added == (200 if name in EDITABLE else 403), name


def test_the_front_page_shows_queue_and_workers(operator: Client) -> None:
    from tests.factories import make_worker

    worker = make_worker(slots=500)
    for path in ("/admin/", "/admin/panel/"):
        text = operator.get(path).content.decode()
        assert worker.name in text
        assert "0 / 500" in text


def test_a_run_is_shown_with_its_steps(operator: Client, finished: Run) -> None:
    text = operator.get(f"/admin/agents/run/{finished.id}/change/").content.decode()
    assert "tool:search#0" in text
    assert f'data-run="{finished.id}"' in text
    step = finished.steps.get(key="tool:search#0")
    assert "&lt;script&gt;" in operator.get(f"/admin/agents/step/{step.pk}/change/").content.decode()
    assert operator.post(f"/admin/agents/run/{finished.id}/change/", {"status": "failed"}).status_code == 403


def test_runs_are_cancelled_by_the_service(operator: Client) -> None:
    from agents.models import Run, Wait
    from tests.factories import make_run

    run = make_run()
    Wait.objects.create(run=run, kind="event", key="never")
    data = {"action": "cancel", "_selected_action": [str(run.id)]}
    response = operator.post("/admin/agents/run/", data, follow=True)
    assert "1 cancelled" in response.content.decode()
    assert Run.objects.get().status == "cancelled"


def test_a_task_that_was_set_aside_is_queued_again(operator: Client) -> None:
    from django_q.models import OrmQ

    from agents.models import Delivery

    aside = Delivery.objects.create(
        queue="tools",
        name="shop.count",
        payload="signed",
        count=3,
        reason="its worker died",
        set_aside_at=timezone.now(),
    )
    data = {"action": "put_back", "_selected_action": [str(aside.pk)]}
    text = operator.post("/admin/agents/delivery/", data, follow=True).content.decode()
    assert "1 queued again" in text
    (queued,) = OrmQ.objects.all()
    assert (queued.key, queued.payload) == ("tools", "signed")
    aside.refresh_from_db()
    assert (aside.message, aside.count, aside.set_aside_at, aside.payload) == (queued.pk, 0, None, "")
    # Twice is a conflict, not a second task.
    assert "queued already" in operator.post("/admin/agents/delivery/", data, follow=True).content.decode()
    assert OrmQ.objects.count() == 1


def test_others_stay_out(as_: As) -> None:
    assert as_("nobody").get("/admin/").status_code == 302
    assert as_("admin").get("/admin/login/").status_code == 403
    assert Client().post("/admin/login/", {"username": "x", "password": "y"})["Location"].startswith("/login/")
