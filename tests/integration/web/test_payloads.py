"""Data that looks like code: in goals, documents, names and filters it stays what somebody typed."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from django.conf import settings

from tests.integration.web.conftest import As

if TYPE_CHECKING:
    from agents.models import Workspace

PAYLOADS = [
    "{{191*193}} {{settings.SECRET_KEY}}",
    "{% debug %}{% load static %}",
    "${191*193} #{191*193} <%= 191*193 %> @(191*193)",
    "{settings.SECRET_KEY} {0.__class__.__mro__} {x!r:>{y}}",
    "%(SECRET_KEY)s %s %n$s",
    "__import__('os').environ",
    "'; SELECT 191*193; -- \" OR 1=1",
]
COMPUTED = str(191 * 193)


def harmless(text: str) -> bool:
    """Whether nothing of it was computed or looked up."""
    return COMPUTED not in text and settings.SECRET_KEY not in text and "__main__" not in text


@pytest.mark.fault(39)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_is_shown_is_what_was_typed(as_: As, workspace: Workspace, payload: str) -> None:
    from agents.services.documents import add_document
    from agents.services.runs import start_run
    from tests.factories import make_agent

    agent = make_agent(workspace, "researcher")
    document = add_document(workspace=workspace, title=f"On {payload}", text=f"It says {payload} so.", by=None)
    run = start_run(workspace=workspace, agent=agent, input=f"Why {payload}?", tags=[payload[:50]])
    client, shown = as_("member"), html.escape(payload)
    for page in (f"runs/{run.id}/", "runs/", f"documents/{document.pk}/", "documents/", "documents/?find=says"):
        text = client.get(f"/w/team/{page}").content.decode()
        assert shown in text, page
        assert harmless(text), page


@pytest.mark.fault(39)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_filters_look_for_what_was_typed_and_for_nothing_else(as_: As, workspace: Workspace, payload: str) -> None:
    from agents.services.runs import start_run
    from tests.factories import make_agent, make_client, make_token

    other = start_run(workspace=workspace, agent=make_agent(workspace, "researcher"), input="Quite another goal")
    pages, api, typed = as_("member"), make_client(make_token(workspace)), quote(payload)
    for name in ("q", "tag", "agent", "status", "period", "before"):
        for response in (pages.get(f"/w/team/runs/?{name}={typed}"), api.get(f"/api/v1/runs?{name}={typed}")):
            text = response.content.decode()
            assert response.status_code in (200, 400), name
            assert harmless(text), name
            assert name not in ("tag", "agent") or str(other.id) not in text
    for response in (pages.get(f"/w/team/documents/?find={typed}"), api.get(f"/api/v1/documents/search?q={typed}")):
        assert response.status_code in (200, 400)
        assert harmless(response.content.decode())
