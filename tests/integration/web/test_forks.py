"""The pages on which runs are forked and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.web.conftest import As

if TYPE_CHECKING:
    from agents.models import Run, Workspace

KEY = "tool:search#0"


def fork(as_: As, run: Run, **form: Any) -> Any:
    return as_("member").post(f"/w/team/runs/{run.id}/fork/", {"step": KEY, **form})


def test_the_steps_of_a_run_lead_to_its_forks(as_: As, finished: Run) -> None:
    page = f"/w/team/runs/{finished.id}/"
    text = as_("member").get(f"{page}?step={KEY.replace('#', '%23')}").content.decode()
    assert f"{page}fork/?step=tool%3Asearch%230&amp;edit=outcome" in text
    assert "Fork from here" not in as_("viewer").get(f"{page}?step={KEY.replace('#', '%23')}").content.decode()
    text = as_("member").get(f"{page}fork/", {"step": KEY, "edit": "outcome"}).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</textarea>" in text
    assert "are left out" in text
    as_json = as_("member").get(f"{page}fork/", {"step": KEY, "edit": "outcome", "form": "json"}).content.decode()
    assert "&quot;ok&quot;: true" in as_json
    for wrong in ({"step": "none#0"}, {"edit": "outcome"}, {"edit": "else"}, {"version": "x"}):
        assert as_("member").get(f"{page}fork/", wrong).status_code == 404


def test_a_fork_is_made_compared_and_linked(as_: As, finished: Run) -> None:
    from agents.models import Run, Step

    made = fork(as_, finished, edit="outcome", form="text", written="Nothing.", key="k")
    run = Run.objects.get(forked_from=finished)
    assert made["Location"] == f"/w/team/runs/{run.id}/"
    assert fork(as_, finished, edit="outcome", form="text", written="Nothing.", key="k")["Location"] == made["Location"]
    assert Step.objects.get(run=run, key=KEY).outcome["text"] == "Nothing."
    page = as_("viewer").get(f"{made['Location']}?step={KEY.replace('#', '%23')}").content.decode()
    assert f"Edited by {run.created_by} at the fork" in page
    assert f"/w/team/runs/{finished.id}/?step=tool%3Asearch%230" in page
    assert ">edited</span>" in page
    assert "Forks</dt>" in as_("viewer").get(f"/w/team/runs/{finished.id}/").content.decode()
    assert "is a fork of" in as_("viewer").get(f"{made['Location']}?step=fork").content.decode()
    compared = as_("viewer").get(f"{made['Location']}compare/").content.decode()
    assert 'data-key="think#0" data-state="left"' in compared
    assert f'data-key="{KEY}" data-state="changed"' in compared
    assert "<ins>Nothing.</ins>" in compared
    assert "<del>&lt;script&gt;alert(1)&lt;/script&gt;</del>" in compared


@pytest.mark.parametrize(("form", "written", "said"), [("json", "{", "not JSON"), ("json", '{"text": 1}', "outcome")])
def test_what_is_written_wrongly_is_said_and_kept(as_: As, finished: Run, form: str, written: str, said: str) -> None:
    from agents.models import Run

    refused = fork(as_, finished, edit="outcome", form=form, written=written)
    assert refused.status_code == 422
    text = refused.content.decode()
    assert said in text
    assert written.replace('"', "&quot;") in text
    assert Run.objects.count() == 1


@pytest.mark.fault(35)
def test_foreign_runs_are_neither_forked_nor_compared(as_: As, finished: Run, workspace: Workspace) -> None:
    from tests.factories import make_run

    other = make_run()
    assert as_("member").get(f"/w/team/runs/{other.id}/fork/").status_code == 404
    assert as_("member").get(f"/w/team/runs/{finished.id}/compare/", {"with": str(other.id)}).status_code == 404
    assert as_("member").get(f"/w/team/runs/{finished.id}/compare/", {"with": "x"}).status_code == 404
    assert as_("viewer").get(f"/w/team/runs/{finished.id}/compare/").status_code == 200


def test_a_retry_says_first_what_it_does(as_: As, finished: Run) -> None:
    from agents.models import Step

    finished.status, finished.error = "failed", {"type": "X", "message": "y", "step": KEY}
    finished.save()
    Step.objects.filter(key=KEY).update(status="failed", effect="unsafe")
    page = f"/w/team/runs/{finished.id}/"
    assert "may act outside once more" in as_("member").get(page).content.decode()
    said = as_("viewer").get(f"{page}retry/preview/").content.decode()
    assert "May act outside once more" in said
    assert "<button" not in said.split("fork-foot")[1].split("</main>")[0]
    assert as_("viewer").get(f"{page}resume/preview/").status_code == 302
