"""The form of a subscription: its fields, and back. What they mean is for the service to check."""

from __future__ import annotations

import json
from typing import Any, Self

from django import forms

from agents.models import Subscription, SubscriptionState, Workspace
from agents.services.runs import PRIORITIES
from agents.services.subscriptions import MAX_NOTE, Wanted
from agents.triggers.inputs import MAX_TEMPLATE
from agents.triggers.patterns import MAX_NAME
from agents.web import queries
from agents.web.agent_forms import JSONText

OVERLAPS = (
    ("allow", "starts another one beside it"),
    ("skip", "starts nothing"),
    ("queue", "waits until it has ended"),
    ("cancel", "cancels it and takes its place"),
)
PARTS: dict[str, tuple[str, ...]] = {
    "debounce": ("seconds", "longest"),
    "batch": ("count", "seconds"),
    "rate": ("count", "seconds"),
    "throttle": ("count", "seconds"),
}
"""Parts of the flow control that have a field for each of their own, as in `batch__count`."""
_OWN = ("pattern", "filter", "version", "priority", "state", "note")


class TextOrJSON(JSONText):
    """A text, or JSON: what begins as an object, a list or a quoted text is JSON. Nothing is None."""

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        return super().to_python(value) if reads_as_json(text) else text.replace("\r\n", "\n") or None


def reads_as_json(text: str) -> bool:
    """Tell whether a text is meant as JSON; two braces open a place in a text."""
    return text[:1] in ("{", "[", '"') and not text.startswith("{{")


def _seconds(label: str) -> forms.FloatField:
    return forms.FloatField(label=label, required=False)


def _count(label: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False)


class SubscriptionForm(forms.Form):
    """A subscription; its name only when it is new."""

    name = forms.CharField(label="Name", max_length=60)
    note = forms.CharField(label="What it is for", required=False, max_length=MAX_NOTE)
    pattern = forms.CharField(label="Events", max_length=MAX_NAME)
    filter = JSONText(label="Only if the data is like this", required=False)
    agent = forms.ChoiceField(label="Agent")
    version = forms.IntegerField(label="Version", required=False, min_value=1, max_value=2**31 - 1)
    input = TextOrJSON(label="Input of the run", required=False, max_length=MAX_TEMPLATE)
    priority = forms.IntegerField(label="Priority", initial=0, min_value=PRIORITIES[0], max_value=PRIORITIES[-1])
    state = forms.ChoiceField(label="State", choices=SubscriptionState.choices, initial=SubscriptionState.ACTIVE)
    key = forms.CharField(label="Told apart by", required=False, max_length=500)
    debounce__seconds = _seconds("Seconds of quiet")
    debounce__longest = _seconds("At the longest")
    batch__count = _count("Events of a batch")
    batch__seconds = _seconds("Or after seconds")
    overlap = forms.ChoiceField(label="While an earlier run goes on, an event", choices=OVERLAPS, initial="allow")
    rate__count = _count("Runs")
    rate__seconds = _seconds("Within seconds")
    throttle__count = _count("Runs")
    throttle__seconds = _seconds("Within seconds")

    def __init__(
        self, *args: Any, workspace: Workspace, subscription: Subscription | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["filter"].widget.attrs["rows"] = self.fields["input"].widget.attrs["rows"] = 3
        names = [agent.name for agent in queries.agents_of(workspace)]
        if subscription is not None:
            del self.fields["name"]
            names = sorted({*names, subscription.agent.name})
        agent = self.fields["agent"]
        assert isinstance(agent, forms.ChoiceField)  # noqa: S101 (declared above)
        agent.choices = [(name, name) for name in names]

    @classmethod
    def of(cls, subscription: Subscription) -> Self:
        """Give the form as a subscription fills it."""
        filled: dict[str, Any] = {name: getattr(subscription, name) for name in _OWN}
        given = subscription.input
        filled["input"] = json.dumps(given) if isinstance(given, str) and reads_as_json(given.strip()) else given
        filled["agent"], flow = subscription.agent.name, subscription.flow
        filled |= {"key": flow.get("key", ""), "overlap": flow.get("overlap", "allow")}
        for part, names in PARTS.items():
            filled |= {f"{part}__{name}": _plain((flow.get(part) or {}).get(name)) for name in names}
        return cls(workspace=subscription.workspace, subscription=subscription, initial=filled)

    @property
    def wanted(self) -> Wanted:
        """Give what was filled in."""
        given = self.cleaned_data
        own = {name: given[name] for name in (*_OWN, "agent", "input")}
        return Wanted(**own, flow=self._flow)

    @property
    def _flow(self) -> dict[str, Any]:
        """Give the flow control that was filled in: a part counts if any of its fields says something."""
        given = self.cleaned_data
        flow: dict[str, Any] = {"key": given["key"]} if given["key"] else {}
        if given["overlap"] != "allow":
            flow["overlap"] = given["overlap"]
        for part, names in PARTS.items():
            said = {name: _plain(given[f"{part}__{name}"]) for name in names}
            if found := {name: value for name, value in said.items() if value is not None}:
                flow[part] = found
        return flow

    def refuse(self, field: str, message: str) -> None:
        """Say what is wrong beside what it is about."""
        name = field.removeprefix("flow.").replace(".", "__")
        if name in PARTS:
            name = f"{name}__{PARTS[name][0]}"
        self.add_error(name if name in self.fields else None, message)


def _plain(number: float | None) -> float | None:
    """Give a whole number as one: people write 30, not 30.0."""
    return int(number) if isinstance(number, float) and number.is_integer() else number
