"""What the editors of schedules and of watchers share: their page, the times before anything is saved, and saving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from agents.models import Timed, TimingKind
from agents.services.errors import InvalidInput
from agents.services.timed import Times
from agents.web.place import Place, render, render_part
from agents.web.queries import agents_of
from agents.web.timed import shown_times, zone_names
from agents.web.timed_forms import TimedForm

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Editor:
    """The page on which a kind of timed rows is made and changed; `subject` is what its template calls the row."""

    template: str
    subject: str
    times_of: Callable[..., Times]

    def show(
        self,
        request: HttpRequest,
        place: Place,
        form: TimedForm,
        row: Timed | None,
        *,
        status: int = 200,
        preview: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the form of a row, or of one that is to be made."""
        context = {"form": form, self.subject: row, "zones": zone_names(), **(preview or {})}
        response = render(request, place, self.template, context)
        response.status_code = status
        return response

    def show_preview(self, request: HttpRequest, place: Place, form: TimedForm, row: Timed | None) -> HttpResponse:
        """Show when it would be due: on the page that is open, or with the whole form where no script asks for it."""
        preview = _preview_of(form, self.times_of)
        if request.headers.get("HX-Target") == "preview":
            return render_part(request, place, "web/timed/preview.html", preview)
        return self.show(request, place, form, row, preview=preview)


def is_preview(form: TimedForm) -> bool:
    """Tell whether a form was sent to see the times, not to be saved."""
    return "preview" in form.data


def _preview_of(form: TimedForm, times_of: Callable[..., Times]) -> dict[str, Any]:
    """Give what a page says about when it would be due; what is wrong with it stands in the form, too."""
    times: Times | None = None
    if form.keep_timing_errors():
        try:
            times = times_of(**form.when)
        except InvalidInput as error:
            form.refuse(error.field, error.message)
    return {
        "words": times.words if times else "",
        "times": shown_times(times.next, _zone(form)) if times else None,
        "problems": [message for told in form.errors.values() for message in told],
    }


def _zone(form: TimedForm) -> str:
    when = form.when
    return str(timezone.get_current_timezone()) if when["timing"] == TimingKind.INTERVAL else str(when["time_zone"])


def take(form: TimedForm, action: Callable[[], T]) -> T | None:
    """Carry out what a form says; gives None where it now says what is wrong."""
    if not form.is_valid():
        return None
    try:
        return action()
    except InvalidInput as error:
        form.refuse(error.field, error.message)
        return None


def agents_for(place: Place) -> list[str]:
    """Give the agents to choose from."""
    return [agent.name for agent in agents_of(place.workspace)]
