"""The API's forms for agents: their definitions, drafts, versions, and what differs between them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents.api.serializers import AnyJSON, Moment, StrictSerializer
from agents.definitions.definition import FIELDS
from agents.models import Agent, AgentVersion
from agents.services.drafts import Draft, definition_of
from agents.services.publishing import MAX_NOTE


@extend_schema_field(OpenApiTypes.OBJECT)
class AnyObject(AnyJSON):
    """Any JSON object; what it must hold is said by the definition of an agent."""


class DefinitionForm(serializers.Serializer[Any]):
    """What an agent is and does. The service checks every field and names the place of what is wrong."""

    name = serializers.CharField(help_text="A letter first, then letters, digits, - and _; for ever.")
    description = serializers.CharField()
    workflow = serializers.CharField(help_text="What its runs execute; `react` unless said otherwise.")
    model = serializers.CharField(help_text="`<provider>:<model>` or `offline`.")
    fallbacks = serializers.ListField(child=serializers.CharField(), help_text="Models for when the model fails.")
    sampling = AnyObject(help_text="temperature, top_p, max_output_tokens, seed")
    instructions = serializers.CharField(help_text="A template: `{{ name }}` stands for a value of the input.")
    tools = serializers.ListField(child=serializers.CharField(), help_text="All tools that it may call.")
    sub_agents = serializers.ListField(child=serializers.CharField(), help_text="All agents it may give work to.")
    options = AnyObject(help_text="The workflow's own.")
    input_schema = AnyJSON(help_text="The JSON schema that an input must fit, or null.")
    output_schema = AnyJSON(help_text="The JSON schema of the answer, or null.")
    caps = AnyObject(help_text="steps, depth, children, seconds, tokens, usd, repeats; absent: not limited.")
    retry = AnyObject(help_text="max_attempts, first, factor, max; seconds.")
    approvals = AnyObject(help_text="policy (as_workspace or always), tools.")


class NewAgent(DefinitionForm):
    """An agent to be made. All but the name may be left out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.required = name == "name"


class DraftForm(DefinitionForm):
    """The fields of a draft that change, and the revision of the draft that was looked at."""

    revision = serializers.IntegerField(min_value=0, max_value=2**31 - 1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields.pop("name")
        for name, field in self.fields.items():
            field.required = name == "revision"


class ProblemOut(serializers.Serializer[Any]):
    """What keeps a definition from being published."""

    field = serializers.CharField()
    message = serializers.CharField()


class AgentDraftOut(serializers.Serializer[Any]):
    """What an agent is to become. Without unpublished changes it is what the agent is."""

    revision = serializers.IntegerField(help_text="To be named by the next save.")
    is_changed = serializers.BooleanField(help_text="There is something that is not published.")
    edited_by = serializers.CharField(source="edited_by.username", allow_null=True, default=None)
    edited_at = Moment(allow_null=True)
    definition = DefinitionForm()
    problems = ProblemOut(many=True, help_text="What keeps it from being published.")


class AgentOut(DefinitionForm):
    """An agent as its current version defines it; as its draft does while nothing is published."""

    version = serializers.IntegerField(allow_null=True, help_text="The version that runs get, null if there is none.")
    archived_at = Moment(allow_null=True)


class AgentPage(serializers.Serializer[Any]):
    """A page of agents, newest first."""

    items = AgentOut(many=True)
    next = serializers.CharField(allow_null=True)


class AgentQuery(serializers.Serializer[Any]):
    """Which agents to list."""

    archived = serializers.BooleanField(required=False, default=False, help_text="Those that were put away.")


class VersionOut(serializers.Serializer[Any]):
    """A published version without its definition."""

    number = serializers.IntegerField()
    is_current = serializers.BooleanField(help_text="It is what runs get.")
    note = serializers.CharField()
    published_by = serializers.CharField(allow_null=True)
    published_at = Moment()


class VersionPage(serializers.Serializer[Any]):
    """A page of versions, newest first."""

    items = VersionOut(many=True)
    next = serializers.CharField(allow_null=True)


class VersionFull(VersionOut):
    """A published version."""

    definition = DefinitionForm()


class Publishing(StrictSerializer):
    """The revision of the draft that was looked at, and what changed, in words."""

    revision = serializers.IntegerField(min_value=0, max_value=2**31 - 1)
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=MAX_NOTE)


class RollingBack(StrictSerializer):
    """The version that runs are to get again."""

    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class LineOut(serializers.Serializer[Any]):
    """A line: `+` added, `-` taken away, a space the same on both sides; `@` begins another place."""

    mark = serializers.CharField()
    text = serializers.CharField()


class ChangeOut(serializers.Serializer[Any]):
    """A field that differs; `lines` for texts and schemas, `added` and `removed` for lists."""

    field = serializers.CharField()
    before = AnyJSON()
    after = AnyJSON()
    lines = LineOut(many=True)
    added = AnyJSON()
    removed = AnyJSON()


class ChangesOut(serializers.Serializer[Any]):
    """What differs, field by field."""

    changes = ChangeOut(many=True)


class Comparison(serializers.Serializer[Any]):
    """Two sides to compare: versions by their numbers, or `draft`."""

    before = serializers.CharField(max_length=20, help_text="A version's number, or draft.")
    after = serializers.CharField(max_length=20, help_text="A version's number, or draft.")


class Import(StrictSerializer):
    """An agent as YAML. With `preview` nothing is changed; `revision` is needed where the agent is there already."""

    yaml = serializers.CharField(trim_whitespace=False)
    preview = serializers.BooleanField(required=False, default=False)
    revision = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)


class ImportOut(serializers.Serializer[Any]):
    """What reading an agent in does: to a draft, never to what runs get."""

    name = serializers.CharField()
    is_new = serializers.BooleanField()
    revision = serializers.IntegerField(allow_null=True, help_text="Of the draft that is there; to be named.")
    changes = ChangeOut(many=True)
    problems = ProblemOut(many=True, help_text="What keeps it from being published.")


def show_agent(agent: Agent) -> dict[str, Any]:
    """Give an agent as the API shows it; with its draft at hand (select_related) by no query."""
    if agent.current is not None:
        definition = definition_of(agent.current, agent)
    else:
        draft = getattr(agent, "draft", None)
        definition = (draft.definition if draft else None) or {"name": agent.name}
    shown: dict[str, Any] = {field: definition.get(field) for field in FIELDS}
    shown["version"] = agent.current.number if agent.current else None
    shown["archived_at"] = Moment().to_representation(agent.archived_at) if agent.archived_at else None
    return shown


def show_draft(draft: Draft, problems: Any) -> dict[str, Any]:
    """Give a draft as the API shows it."""
    shown = AgentDraftOut({**_fields(draft), "problems": problems}).data
    return {**shown, "definition": draft.definition}


def show_version(version: AgentVersion, agent: Agent) -> dict[str, Any]:
    """Give a version as lists show it."""
    by = version.created_by
    return {
        "number": version.number,
        "is_current": version.pk == agent.current_id,
        "note": version.note,
        "published_by": by.get_username() if by else None,
        "published_at": Moment().to_representation(version.created_at),
    }


def _fields(draft: Draft) -> dict[str, Any]:
    names = ("revision", "is_changed", "edited_by", "edited_at", "definition")
    return {name: getattr(draft, name) for name in names}
