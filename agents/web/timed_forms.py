"""The forms of schedules and watchers: when, and what it starts. What they mean is for the services to check."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

from django import forms
from django.utils import timezone

from agents.models import CatchUp, Overlap, Schedule, Timed, TimingKind, Watcher, WatcherKind
from agents.services import schedules, timed, watchers
from agents.services.runs import PRIORITIES
from agents.triggers.cron import MAX_EXPRESSION, BadTiming
from agents.triggers.looks.base import MAX_URL
from agents.triggers.schedules import MAX_CATCH_UP, MAX_INTERVAL, MAX_JITTER, zone_of
from agents.web.agent_forms import JSONText

UNITS = ((1, "seconds"), (60, "minutes"), (3_600, "hours"), (86_400, "days"))
TIMING = ("timing", "cron", "time_zone", "every", "unit", "at", "jitter")
"""Fields that say when."""
_PLACES = {"seconds": "every"}
"""Where the services' word for a field is not the form's."""


class Asked(JSONText):
    """What a run is asked: JSON as JSON, any other text as its goal."""

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        if not text or _is_json(text):
            return super().to_python(value)
        return {"goal": text}

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict) and value.keys() == {"goal"}:
            goal = value["goal"]
            if isinstance(goal, str) and goal.strip() == goal and goal and not _is_json(goal):
                return goal
        return super().prepare_value(value)


def _is_json(text: str) -> bool:
    """Tell whether a text is meant as JSON; one that begins with a place, as {{ data }}, is not."""
    return text[0] in '{["' and not text.startswith("{{")


class ClockTime(forms.DateTimeField):
    """A time as a clock shows it, in whatever zone: that is said elsewhere in the form."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")

    def to_python(self, value: Any) -> datetime | None:
        with timezone.override(UTC):
            moment = super().to_python(value)
        return None if moment is None else moment.replace(tzinfo=None)

    def prepare_value(self, value: Any) -> Any:
        return value


class TimedForm(forms.Form):
    """When something is due, and what it starts. Its name only when it is new."""

    name = forms.CharField(label="Name", max_length=timed.MAX_NAME)
    note = forms.CharField(label="What it is for", required=False, max_length=timed.MAX_NOTE)
    timing = forms.ChoiceField(label="When", widget=forms.RadioSelect, initial=TimingKind.CRON)
    cron = forms.CharField(label="Cron expression", required=False, max_length=MAX_EXPRESSION)
    every = forms.IntegerField(label="Every", required=False, min_value=1, max_value=MAX_INTERVAL, initial=1)
    unit = forms.TypedChoiceField(label="Unit", choices=UNITS, coerce=int, required=False, initial=3_600)
    at = ClockTime(label="At", required=False)
    time_zone = forms.CharField(
        label="Time zone",
        required=False,
        max_length=60,
        widget=forms.TextInput(attrs={"list": "zones", "spellcheck": "false", "autocomplete": "off"}),
    )
    jitter = forms.IntegerField(label="Jitter, seconds", required=False, min_value=0, max_value=MAX_JITTER, initial=0)
    agent = forms.ChoiceField(label="Agent", required=False)
    input = Asked(label="What it is asked", required=False)
    overlap = forms.ChoiceField(label="While an earlier run is at work", choices=Overlap.choices, initial=Overlap.SKIP)
    priority = forms.IntegerField(
        label="Priority", required=False, min_value=PRIORITIES[0], max_value=PRIORITIES[-1], initial=0
    )

    KINDS: tuple[tuple[str, str], ...] = (
        (TimingKind.CRON, "By a cron expression"),
        (TimingKind.INTERVAL, "Again and again"),
        (TimingKind.ONCE, "Once"),
    )

    def __init__(self, *args: Any, agents: Iterable[str], row: Timed | None = None, **kwargs: Any) -> None:
        kwargs["initial"] = {"time_zone": str(timezone.get_current_timezone()), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        if row is not None and not row._state.adding:
            del self.fields["name"]
        self._choose("timing", self.KINDS)
        # An agent that was put away stays to be seen, and to be replaced.
        kept = [row.agent.name] if row is not None and row.agent is not None else []
        names = dict.fromkeys((*agents, *kept))
        self._choose("agent", [("", "None: others may subscribe to its events"), *((name, name) for name in names)])
        self.fields["input"].widget.attrs["rows"] = 3

    @staticmethod
    def filled(row: Timed) -> dict[str, Any]:
        """Give the values with which a row fills the form."""
        names = ("name", "note", "timing", "cron", "jitter", "input", "overlap", "priority")
        found = {name: getattr(row, name) for name in names}
        found["agent"] = row.agent.name if row.agent is not None else ""
        if row.timing != TimingKind.INTERVAL:
            found["time_zone"] = row.time_zone
        if row.seconds:
            size = max(size for size, _ in UNITS if row.seconds % size == 0)
            found |= {"every": row.seconds // size, "unit": size}
        if row.at is not None:
            found["at"] = row.at.astimezone(_zone_or_utc(row.time_zone)).replace(tzinfo=None)
        return found

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("timing") == TimingKind.ONCE and cleaned.get("at") and "time_zone" in cleaned:
            cleaned["at"] = self._moment(cleaned["at"], cleaned["time_zone"] or "UTC")
        return cleaned

    def keep_timing_errors(self) -> bool:
        """Forget what is wrong with the other fields; tells whether the timing was filled in rightly."""
        for name in set(self.errors) - set(TIMING):
            del self.errors[name]
        return not self.errors

    @property
    def when(self) -> dict[str, Any]:
        """Give when, as the services take it."""
        given = self.cleaned_data
        return {
            "timing": given["timing"],
            "cron": given["cron"],
            "time_zone": given["time_zone"] or "UTC",
            "seconds": (given["every"] or 0) * (given["unit"] or 1),
            "at": given.get("at") if given["timing"] == TimingKind.ONCE else None,
            "jitter": given["jitter"] or 0,
        }

    @property
    def what(self) -> dict[str, Any]:
        """Give what it starts, as the services take it."""
        given = self.cleaned_data
        names = ("agent", "input", "overlap", "note")
        return {**{name: given[name] for name in names}, "priority": given["priority"] or 0}

    def refuse(self, field: str, message: str) -> None:
        """Say what is wrong beside what it is about."""
        field = _PLACES.get(field, field.removeprefix("target."))
        self.add_error(field if field in self.fields else None, message)

    def _moment(self, clock: datetime, zone_name: str) -> datetime | None:
        """Give the moment at which a zone's clocks show a time: the first, of one that comes twice."""
        try:
            zone = zone_of(zone_name)
            moment = clock.replace(tzinfo=zone).astimezone(UTC)
            is_there = moment.astimezone(zone).replace(tzinfo=None) == clock
        except BadTiming as error:
            self.add_error("time_zone", str(error))
            return None
        except OverflowError:
            self.add_error("at", "This time is out of range.")
            return None
        if not is_there:
            self.add_error("at", f"The clocks of {zone_name} skip this time: they are put forward.")
            return None
        return moment

    def _choose(self, name: str, choices: Iterable[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 (declared above)
        field.choices = list(choices)


class ScheduleForm(TimedForm):
    """A schedule."""

    catch_up = forms.ChoiceField(
        label="Of firings that were missed, make up for", choices=CatchUp.choices, initial=CatchUp.ONE
    )
    catch_up_limit = forms.IntegerField(
        label="Up to how many", required=False, min_value=1, max_value=MAX_CATCH_UP, initial=1
    )

    @classmethod
    def of(cls, schedule: Schedule, agents: Iterable[str]) -> Self:
        """Give the form as a schedule fills it."""
        own = {name: getattr(schedule, name) for name in ("catch_up", "catch_up_limit")}
        return cls(agents=agents, row=schedule, initial={**cls.filled(schedule), **own})

    @property
    def wanted(self) -> schedules.Wanted:
        """Give what was filled in."""
        given = self.cleaned_data
        own = {"catch_up": given["catch_up"], "catch_up_limit": given["catch_up_limit"] or 1}
        return schedules.Wanted(**self.when, **self.what, **own)


class WatcherForm(TimedForm):
    """A watcher of one kind: it has the fields that say what such a one looks at."""

    FIELDS: ClassVar[dict[str, tuple[str, ...]]] = {
        WatcherKind.URL: ("url", "selector"),
        WatcherKind.FEED: ("url",),
        WatcherKind.FOLDER: ("folder", "pattern"),
        WatcherKind.SQL: ("connection", "sql"),
    }
    KINDS = TimedForm.KINDS[:2]

    kind = forms.CharField(widget=forms.HiddenInput)
    url = forms.CharField(label="Address", max_length=MAX_URL)
    selector = forms.CharField(label="Selector", required=False, max_length=200)
    folder = forms.ChoiceField(label="Folder")
    pattern = forms.CharField(label="Names like", required=False, max_length=200)
    connection = forms.ChoiceField(label="Database")
    sql = forms.CharField(label="Statement", widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}))

    def __init__(self, *args: Any, kind: str, places: watchers.Places, row: Watcher | None = None, **kw: Any) -> None:
        every = {"kind": kind, "timing": TimingKind.INTERVAL, "every": 15, "unit": 60, "overlap": Overlap.QUEUE}
        kw["initial"] = {**every, **kw.get("initial", {})}
        super().__init__(*args, row=row, **kw)
        self.of_kind = WatcherKind(kind)
        for name in {name for names in self.FIELDS.values() for name in names} - set(self.FIELDS[kind]):
            del self.fields[name]
        del self.fields["at"]
        target = row.target if row is not None else {}
        for name, known in (("folder", places.folders), ("connection", places.connections)):
            if name in self.fields:
                # One that the operator has taken back stays to be seen.
                kept = [str(target[name])] if name in target else []
                self._choose(name, [(one, one) for one in dict.fromkeys((*known, *kept))])

    @classmethod
    def of(cls, watcher: Watcher, **around: Any) -> Self:
        """Give the form as a watcher fills it."""
        return cls(kind=watcher.kind, row=watcher, initial={**cls.filled(watcher), **watcher.target}, **around)

    @property
    def target_fields(self) -> list[forms.BoundField]:
        """Give the fields that say what is looked at."""
        return [self[name] for name in self.FIELDS[self.of_kind]]

    @property
    def wanted(self) -> watchers.Wanted:
        """Give what was filled in."""
        given = self.cleaned_data
        names = [name for name in self.FIELDS[self.of_kind] if given[name]]
        target = {name: given[name].replace("\r\n", "\n") for name in names}
        return watchers.Wanted(kind=self.of_kind, target=target, **self.when, **self.what)


def _zone_or_utc(name: str) -> Any:
    try:
        return zone_of(name)
    except BadTiming:
        return UTC
