"""The form of an agent's draft: the fields of a definition, and back. What they mean is for the service to check."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

from django import forms

from agents.definitions.definition import UNIQUE, Definition
from agents.definitions.exchange import MAX_YAML
from agents.engine.registry import known_workflows
from agents.services.drafts import Draft
from agents.services.errors import InvalidInput
from agents.services.publishing import MAX_NOTE
from agents.web.uploads import text_of_upload
from tools.registry import registry

MAX_REVISION = 2**31 - 1
_PARTS = ("sampling", "caps", "retry", "approvals")
"""Fields of a definition that have a form field for each of their own, as in `caps__steps`."""


class JSONText(forms.CharField):
    """A JSON value as it is written; nothing is None."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        text = str(super().to_python(value) or "")
        if not text.strip():
            return None
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno}, character {error.colno}"
            raise forms.ValidationError(f"This is no JSON at {place}: {error.msg}.") from error
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError("This is no JSON.") from error

    def prepare_value(self, value: Any) -> Any:
        """Write the value; what somebody has typed stays as it was typed."""
        if value is None or isinstance(value, str):
            return value
        return json.dumps(value, indent=2, ensure_ascii=False)


def json_or_text(text: str) -> Any:
    """Read JSON as JSON, and any other text as a text; nothing is None."""
    text = text.strip()
    try:
        return json.loads(text, parse_constant=_refuse_constant) if text else None
    except (ValueError, RecursionError):
        # Also a number of more digits than Python reads. Browsers send line ends as for letters.
        return text.replace("\r\n", "\n")


def _refuse_constant(name: str) -> None:
    """Refuse NaN and the like, which Python reads and JSON does not know."""
    raise json.JSONDecodeError(f"There is no value {name}", "", 0)


class Lines(forms.CharField):
    """A list of texts, one a line."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in str(super().to_python(value) or "").splitlines() if line.strip()]

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else "\n".join(value or ())


class DraftForm(forms.Form):
    """A draft to be edited, and the revision of it that was looked at."""

    revision = forms.IntegerField(min_value=0, max_value=MAX_REVISION, widget=forms.HiddenInput)
    description = forms.CharField(label="Description", required=False)
    instructions = forms.CharField(
        label="Instructions",
        required=False,
        strip=False,
        widget=forms.Textarea,
        help_text="What the model is told first. {{ goal }}, or the name of a property of the input schema in such "
        "braces, stands for the run's value.",
    )
    workflow = forms.ChoiceField(label="Workflow")
    options = JSONText(label="Options of the workflow", required=False)
    model = forms.CharField(label="Model", required=False)
    fallbacks = Lines(label="Fallbacks", required=False)
    sampling__temperature = forms.FloatField(label="Temperature", required=False)
    sampling__top_p = forms.FloatField(label="Top p", required=False)
    sampling__max_output_tokens = forms.IntegerField(label="Output tokens, at most", required=False)
    sampling__seed = forms.IntegerField(label="Seed", required=False)
    tools = forms.MultipleChoiceField(label="Tools", required=False)
    approvals__tools = forms.MultipleChoiceField(label="Ask before each call", required=False)
    approvals__policy = forms.ChoiceField(
        label="A person is asked",
        required=False,
        choices=[("", "as the workspace wants it"), ("always", "before each call that has an effect")],
    )
    sub_agents = forms.MultipleChoiceField(label="Sub-agents", required=False)
    input_schema = JSONText(label="Input schema", required=False)
    output_schema = JSONText(label="Output schema", required=False)
    caps__steps = forms.IntegerField(label="Steps", required=False)
    caps__depth = forms.IntegerField(label="Depth", required=False)
    caps__children = forms.IntegerField(label="Sub-runs", required=False)
    caps__seconds = forms.FloatField(label="Seconds", required=False)
    caps__tokens = forms.IntegerField(label="Tokens", required=False)
    caps__usd = forms.FloatField(label="US dollars", required=False)
    caps__repeats = forms.IntegerField(label="Equal calls", required=False)
    caps__max_running = forms.IntegerField(label="Runs at work", required=False)
    caps__running_key = forms.CharField(label="Field of the input", required=False)
    caps__max_running_per_key = forms.IntegerField(label="Runs at work with the same value there", required=False)
    retry__max_attempts = forms.IntegerField(label="Attempts", required=False)
    retry__first = forms.FloatField(label="First pause, seconds", required=False)
    retry__factor = forms.FloatField(label="Factor from pause to pause", required=False)
    retry__max = forms.FloatField(label="Longest pause, seconds", required=False)

    def __init__(self, *args: Any, draft: Draft, agents: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = draft.definition
        # What the draft names and is not there any more can be seen, and taken away.
        tools = list(dict.fromkeys((*(tool.name for tool in registry), *given["tools"])))
        self._choose("tools", tools)
        self._choose("approvals__tools", list(dict.fromkeys((*tools, *(given["approvals"].get("tools") or ())))))
        self._choose("sub_agents", list(dict.fromkeys((*agents, *given["sub_agents"]))))
        self._choose("workflow", list(dict.fromkeys((*_workflows(), given["workflow"]))))
        for name in ("instructions", "options", "input_schema", "output_schema", "fallbacks"):
            self.fields[name].widget.attrs.update(spellcheck="false" if name != "instructions" else "true")

    @classmethod
    def of(cls, draft: Draft, agents: Iterable[str]) -> Self:
        """Give the form as a draft fills it."""
        initial: dict[str, Any] = {**draft.definition, "revision": draft.revision}
        for part in _PARTS:
            initial |= {f"{part}__{name}": value for name, value in draft.definition[part].items()}
        initial["options"] = draft.definition["options"] or None
        return cls(draft=draft, agents=agents, initial=initial)

    @property
    def changes(self) -> dict[str, Any]:
        """Give the fields of the definition as they were filled in; what was left empty is not set."""
        given = self.cleaned_data
        found: dict[str, Any] = {name: given[name] for name in Definition.model_fields if name in given}
        found["options"] = given["options"] if given["options"] is not None else {}
        found["instructions"] = given["instructions"].replace("\r\n", "\n")
        for part in _PARTS:
            found[part] = {}
        for field, value in given.items():
            part, _, name = field.partition("__")
            if name and value not in (None, "", []):
                found[part][name] = value
        return found

    def take(self, error: InvalidInput) -> None:
        """Put what the service says is wrong to the fields that it is about."""
        for place, told in (error.errors or {"": [error.message]}).items():
            part, _, rest = place.partition(".")
            field = f"{part}__{rest}" if part in _PARTS else part
            where = f"{rest}: " if rest and part in (*UNIQUE, "options") else ""
            for message in told:
                known = field in self.fields and field != "revision"
                self.add_error(field if known else None, f"{where}{message}" if known else f"{place}: {message}")

    def _choose(self, name: str, choices: list[str]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 (declared above)
        field.choices = [(choice, choice) for choice in choices]


def _workflows() -> list[str]:
    # Those for runs that are cancelled are started by the engine alone.
    return [name for name in known_workflows() if not name.endswith(".on_cancel")]


class NewAgentForm(forms.Form):
    """What an agent is called; all else is said in its draft."""

    name = forms.CharField(label="Name", max_length=60)
    description = forms.CharField(label="Description", required=False, max_length=300)


class RevisionForm(forms.Form):
    """The revision of the draft that was looked at."""

    revision = forms.IntegerField(min_value=0, max_value=MAX_REVISION)


class PublishForm(RevisionForm):
    """What changed, in words, besides."""

    note = forms.CharField(required=False, max_length=MAX_NOTE)


class RollBackForm(forms.Form):
    """The version that runs are to get again."""

    version = forms.IntegerField(min_value=1, max_value=MAX_REVISION)


class ImportForm(forms.Form):
    """An agent as YAML: a file, or a text that was pasted. `revision` names the draft that was looked at."""

    yaml = forms.CharField(label="YAML", required=False, strip=False, max_length=MAX_YAML, widget=forms.Textarea)
    file = forms.FileField(label="File", required=False)
    revision = forms.IntegerField(required=False, min_value=0, max_value=MAX_REVISION, widget=forms.HiddenInput)

    def clean_file(self) -> str:
        """Read the file as text; it must be UTF-8."""
        too_large = f"The file is too large: at most {MAX_YAML:,} characters are taken."
        return text_of_upload(self.cleaned_data["file"], MAX_YAML * 4, too_large)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["text"] = cleaned.get("file") or cleaned.get("yaml", "").replace("\r\n", "\n")
        if not self.errors and not cleaned["text"].strip():
            self.add_error("yaml", "Choose a file or paste an agent's YAML.")
        return cleaned


GOAL_FIELD = {"type": "string", "title": "Goal"}


def start_schema(input_schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Give the schema of what a run of an agent is asked for: a goal where the agent has no schema of its own."""
    return input_schema or {"type": "object", "required": ["goal"], "properties": {"goal": GOAL_FIELD}}
