"""Watching a run from the terminal while the database is away for a moment."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import pytest
from django.db import OperationalError

from agents.management.following import EventReader, Picture, follow
from agents.models import RunEvent
from tests.factories import make_run

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(status="succeeded", last_event=1)
    RunEvent.objects.create(run=run, number=1, kind="run_succeeded", at=run.created_at, data={})
    read, failures = EventReader.news, iter([OperationalError("the connection was lost")] * 2)

    def news(reader: EventReader) -> Iterable[RunEvent]:
        for failure in failures:
            raise failure
        return read(reader)

    monkeypatch.setattr(EventReader, "news", news)
    picture = Picture(title="echo")
    looks = follow(run.pk, picture)
    assert len(list(islice(looks, 2))) == 2
    assert picture.reason.startswith("The database can't be reached.")
    assert len(list(looks)) == 1
    assert picture.reason == "succeeded"
