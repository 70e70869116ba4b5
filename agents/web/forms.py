"""The forms: they check that something usable was given; what it means is for the services."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Self

from django import forms

from agents.models import ApprovalPolicy, BusyPolicy, Role, Scope, User
from agents.services import documents, limits, secrets
from agents.services.outcomes import MAX_OUTCOME
from agents.services.policies import HOURS
from agents.services.threads import MAX_TEXT, MAX_TITLE
from agents.web.agent_forms import json_or_text
from agents.web.uploads import text_of_upload
from tools.models import Limit, Unit
from tools.models.limit import DAY, MAX_NAME

MAX_GOAL = 20_000


class LoginForm(forms.Form):
    """Name and password."""

    username = forms.CharField(label="Name", max_length=150)
    password = forms.CharField(label="Password", max_length=1000, strip=False, widget=forms.PasswordInput)


class PasswordForm(forms.Form):
    """A new password, twice; the old one too if there is one."""

    current = forms.CharField(label="Current password", max_length=1000, strip=False, widget=forms.PasswordInput)
    password = forms.CharField(label="New password", max_length=1000, strip=False, widget=forms.PasswordInput)
    again = forms.CharField(label="New password, once more", max_length=1000, strip=False, widget=forms.PasswordInput)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user
        if not user.has_usable_password():
            del self.fields["current"]

    def clean_current(self) -> str:
        current = str(self.cleaned_data["current"])
        if not self._user.check_password(current):
            raise forms.ValidationError("This is not your current password.")
        return current

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if {"password", "again"} <= cleaned.keys() and cleaned["password"] != cleaned["again"]:
            self.add_error("again", "The two passwords differ.")
        return cleaned


class StartForm(forms.Form):
    """What a run is started with."""

    goal = forms.CharField(label="Goal", max_length=MAX_GOAL, widget=forms.Textarea)
    agent = forms.CharField(label="Agent", max_length=80)


class DecisionForm(forms.Form):
    """A person's word about a step."""

    key = forms.CharField(max_length=500)
    choice = forms.ChoiceField(choices=[(name, name) for name in ("reuse", "rerun", "give_up", "done", "retry")])
    outcome = forms.CharField(required=False, max_length=100_000)

    def clean_outcome(self) -> Any:
        """Take JSON as JSON, and any other text as a text."""
        return json_or_text(str(self.cleaned_data["outcome"]))


class ForkForm(forms.Form):
    """From where a run is forked, and what somebody has written for it; `key` lets a double click count once."""

    step = forms.CharField(required=False, max_length=500)
    edit = forms.ChoiceField(required=False, choices=[("", ""), ("outcome", "outcome"), ("input", "input")])
    form = forms.ChoiceField(required=False, choices=[("", ""), ("text", "text"), ("json", "json")])
    written = forms.CharField(required=False, max_length=MAX_OUTCOME, strip=False)
    version = forms.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    key = forms.CharField(required=False, max_length=64)


class NewThreadForm(forms.Form):
    """A conversation with an agent, and what is said first."""

    agent = forms.CharField(label="Agent", max_length=60)
    title = forms.CharField(label="Title", required=False, max_length=MAX_TITLE)
    policy = forms.ChoiceField(label="A message while one is at work", choices=BusyPolicy.choices)
    text = forms.CharField(label="Message", max_length=MAX_TEXT, widget=forms.Textarea)


class MessageForm(forms.Form):
    """What is said next; `key` lets a double click count once."""

    text = forms.CharField(max_length=MAX_TEXT)
    key = forms.CharField(required=False, max_length=64)


class PolicyForm(forms.Form):
    """What becomes of a message while one is at work."""

    policy = forms.ChoiceField(choices=BusyPolicy.choices)


class ApprovalForm(forms.Form):
    """A person's decision on a question; the fields of the question itself come beside it."""

    choice = forms.ChoiceField(choices=[(name, name) for name in ("approve", "reject", "answer")])
    comment = forms.CharField(required=False, max_length=2_000)


class SignalForm(forms.Form):
    """Which wait of a run a signal is for; what it says comes beside it. `key` lets a double click count once."""

    wait = forms.IntegerField(min_value=1, max_value=2**62)
    name = forms.CharField(required=False, max_length=200)
    key = forms.CharField(required=False, max_length=64)


class ApprovalPolicyForm(forms.Form):
    """Which calls wait for a person, and for how long."""

    policy = forms.ChoiceField(label="Calls that act, send or write wait for a person", choices=ApprovalPolicy.choices)
    hours = forms.IntegerField(
        label="Hours until an undecided call is refused", min_value=HOURS[0], max_value=HOURS[-1]
    )


class DocumentForm(forms.Form):
    """A document: a file, or a text that was pasted."""

    title = forms.CharField(label="Title", required=False, max_length=documents.MAX_TITLE)
    url = forms.CharField(label="Address it comes from", required=False, max_length=documents.MAX_URL)
    text = forms.CharField(label="Text", required=False, max_length=documents.MAX_BYTES, widget=forms.Textarea)
    file = forms.FileField(label="File", required=False)

    def clean_file(self) -> str:
        """Read the file as text; it must be UTF-8."""
        too_large = f"The file has more than {documents.MAX_BYTES // 1_000_000} MB."
        return text_of_upload(self.cleaned_data["file"], documents.MAX_BYTES, too_large)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            if not (cleaned.get("file") or cleaned.get("text", "").strip()):
                self.add_error("text", "Choose a file or paste a text.")
            cleaned["content"] = cleaned.get("file") or cleaned.get("text", "")
            uploaded = self.files.get("file")
            if not cleaned.get("title") and uploaded is not None:
                cleaned["title"] = str(uploaded.name).rsplit(".", 1)[0][: documents.MAX_TITLE]
        return cleaned


class LimitForm(forms.Form):
    """What a limit is to allow."""

    name = forms.CharField(label="Name", max_length=MAX_NAME)
    amount = forms.IntegerField(label="So many", required=False, min_value=1, max_value=limits.MOST)
    unit = forms.ChoiceField(label="of", choices=Unit.choices, initial=Unit.CALLS)
    period = forms.FloatField(label="in so many seconds", initial=1, min_value=1, max_value=DAY)
    burst = forms.IntegerField(label="Together after a rest", initial=1, min_value=1, max_value=limits.MOST)
    at_once = forms.IntegerField(label="At the same time", required=False, min_value=1, max_value=limits.MOST)
    note = forms.CharField(label="What it is for", required=False, max_length=limits.MAX_NOTE)

    @classmethod
    def of(cls, limit: Limit) -> Self:
        """Give the form as a limit fills it."""
        return cls(initial={name: getattr(limit, name) for name in cls.base_fields})


class TokenForm(forms.Form):
    """A new API token."""

    LIFETIMES = (("30", "30 days"), ("90", "90 days"), ("365", "1 year"), ("", "Never"))

    name = forms.CharField(label="What it is for", max_length=100)
    scopes = forms.MultipleChoiceField(label="May", choices=Scope.choices, initial=[Scope.READ, Scope.WRITE])
    days = forms.ChoiceField(label="Expires after", choices=LIFETIMES, required=False, initial="90")

    def __init__(self, *args: Any, role: Role, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if role != Role.ADMIN:
            scopes = self.fields["scopes"]
            assert isinstance(scopes, forms.MultipleChoiceField)  # noqa: S101 (declared above)
            scopes.choices = [choice for choice in Scope.choices if choice[0] != Scope.ADMIN]

    def expires_at(self, now: datetime) -> datetime | None:
        days = self.cleaned_data["days"]
        return now + timedelta(days=int(days)) if days else None


class SecretForm(forms.Form):
    """A secret to set. Its value never comes back into the page, not even with an error."""

    name = forms.CharField(label="Name", max_length=60)
    value = forms.CharField(
        label="Value",
        max_length=secrets.MAX_VALUE,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    hosts = forms.CharField(label="May be sent to", required=False, max_length=5000)
    note = forms.CharField(label="What it is for", required=False, max_length=secrets.MAX_NOTE)

    def clean_hosts(self) -> list[str]:
        return [host for host in str(self.cleaned_data["hosts"]).replace(",", " ").split() if host]
