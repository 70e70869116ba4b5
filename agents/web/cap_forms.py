"""The form of a workspace's caps."""

from __future__ import annotations

from typing import Any, Self

from django import forms

from agents.engine.caps import TOLD
from agents.models import Workspace
from agents.services.budgets import MOST
from agents.services.run_caps import MOST_RUNNING


class CapsForm(forms.Form):
    """All caps of a workspace; what is left empty is not capped."""

    max_running = forms.IntegerField(
        label="Runs at work at the same time", required=False, min_value=1, max_value=MOST_RUNNING
    )
    steps = forms.IntegerField(label="Steps", required=False, min_value=0, max_value=MOST)
    depth = forms.IntegerField(label="Depth", required=False, min_value=0, max_value=MOST)
    children = forms.IntegerField(label="Sub-runs", required=False, min_value=0, max_value=MOST)
    seconds = forms.FloatField(label="Seconds", required=False, min_value=0, max_value=MOST)
    tokens = forms.IntegerField(label="Tokens", required=False, min_value=0, max_value=MOST)
    usd = forms.FloatField(label="US dollars", required=False, min_value=0, max_value=MOST)

    @classmethod
    def of(cls, workspace: Workspace) -> Self:
        """Give the form as a workspace fills it."""
        return cls(initial={**workspace.caps, "max_running": workspace.max_running})

    @property
    def tree(self) -> dict[str, Any]:
        """Give the caps of trees that were filled in."""
        return {name: self.cleaned_data[name] for name in TOLD if self.cleaned_data.get(name) is not None}

    @property
    def tree_fields(self) -> list[forms.BoundField]:
        """Give the fields of the caps of trees."""
        return [self[name] for name in TOLD]


class BudgetForm(forms.Form):
    """What one run may take, with all runs below it, beside the other fields of the form that starts it."""

    prefix = "budget"
    usd = forms.FloatField(label="US dollars", required=False, min_value=0, max_value=MOST)
    tokens = forms.IntegerField(label="Tokens", required=False, min_value=0, max_value=MOST)
    seconds = forms.FloatField(label="Seconds", required=False, min_value=0, max_value=MOST)
    steps = forms.IntegerField(label="Steps", required=False, min_value=0, max_value=MOST)

    @property
    def budget(self) -> dict[str, float] | None:
        """Give what was filled in, None if nothing was."""
        return {name: value for name, value in self.cleaned_data.items() if value is not None} or None
