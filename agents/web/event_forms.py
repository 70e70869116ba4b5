"""The forms of events. What they mean is for the services to check."""

from __future__ import annotations

from datetime import datetime

from django import forms
from django.http import QueryDict

from agents.services.event_log import EventFilter, EventState
from agents.services.events import MAX_ID, MAX_SOURCE, NewEvent
from agents.triggers.patterns import MAX_NAME
from agents.web.agent_forms import JSONText

STATES = [("", "Any state"), *[(state.value, state.label.capitalize()) for state in EventState]]


class Moment(forms.DateTimeField):
    """A moment in the person's zone, as browsers have a field for it."""

    def __init__(self, *, label: str, required: bool = True) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S")
        super().__init__(label=label, required=required, widget=widget)


class EventFilterForm(forms.Form):
    """What a list of events is narrowed to; kept in the address of the page."""

    name = forms.CharField(label="Name", required=False, max_length=MAX_NAME)
    source = forms.CharField(label="Source", required=False, max_length=MAX_SOURCE)
    id = forms.CharField(label="Number or id", required=False, max_length=MAX_ID)
    state = forms.ChoiceField(label="State", required=False, choices=STATES)
    after = Moment(label="From", required=False)
    before = Moment(label="Until", required=False)

    def __init__(self, query: QueryDict) -> None:
        super().__init__(query, auto_id="filter-%s")
        for name, words in (("name", "Name, or order.*"), ("source", "Source"), ("id", "Number or id")):
            self.fields[name].widget.attrs |= {"placeholder": words, "autocomplete": "off"}

    @property
    def wanted(self) -> EventFilter:
        """Give what was filled in."""
        given = dict(self.cleaned_data)
        return EventFilter(pattern=given.pop("name"), **given)

    @property
    def times(self) -> list[forms.BoundField]:
        return [self["after"], self["before"]]

    @property
    def is_narrow(self) -> bool:
        return any(self.data.get(name) for name in self.fields)


class ReplayRangeForm(forms.Form):
    """Which events are told of once more."""

    name = forms.CharField(label="Name", required=False, max_length=MAX_NAME)
    source = forms.CharField(label="Source", required=False, max_length=MAX_SOURCE)
    state = forms.ChoiceField(label="Only those in the state", required=False, choices=STATES)
    after = Moment(label="From")
    before = Moment(label="Until", required=False)

    def wanted(self, now: datetime) -> EventFilter:
        """Give what was filled in; without an end it is now, so that what is done is what was shown."""
        given = dict(self.cleaned_data)
        before = given.pop("before") or now
        return EventFilter(pattern=given.pop("name"), before=before, **given)


class NewEventForm(forms.Form):
    """An event that somebody tells of by hand; `key` lets a double click count once."""

    name = forms.CharField(label="Name", max_length=MAX_NAME)
    said = JSONText(label="Data", required=False)
    source = forms.CharField(label="Source", required=False, max_length=MAX_SOURCE)
    event_id = forms.CharField(label="The source's id", required=False, max_length=MAX_ID)
    tainted = forms.BooleanField(label="Strangers may have written what it says", required=False)
    key = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    @property
    def event(self) -> NewEvent:
        """Give the event as it was filled in."""
        given = dict(self.cleaned_data)
        key, data = given.pop("key"), given.pop("said")
        return NewEvent(**{**given, "data": data, "event_id": given["event_id"] or key})

    def refuse(self, field: str, message: str) -> None:
        """Say what is wrong beside what it is about."""
        field = {"id": "event_id", "data": "said"}.get(field, field)
        self.add_error(field if field in self.fields else None, message)
