"""Runs with their steps and logs, as the API takes and shows them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents.api.serializers import AnyJSON, Moment, StrictSerializer, shown
from agents.models import Run, RunStatus, Step

MAX_TAGS = 20
MAX_CAP = 10**12


def show_run(run: Run) -> dict[str, Any]:
    """Give a run as the API shows it."""
    return shown(RunOut, run)


def run_address(run: Run) -> str:
    """Give a run's address in the API."""
    return f"/api/v1/runs/{run.pk}"


class BudgetForm(StrictSerializer):
    """Caps of a run and of all that it starts. They can only be lower than those of the agent and the workspace."""

    steps = serializers.IntegerField(required=False, min_value=0, max_value=MAX_CAP)
    depth = serializers.IntegerField(
        required=False, min_value=0, max_value=MAX_CAP, help_text="How deep sub-runs may be nested."
    )
    children = serializers.IntegerField(required=False, min_value=0, max_value=MAX_CAP, help_text="Sub-runs in all.")
    seconds = serializers.FloatField(required=False, min_value=0, max_value=MAX_CAP)
    tokens = serializers.IntegerField(required=False, min_value=0, max_value=MAX_CAP)
    usd = serializers.FloatField(required=False, min_value=0, max_value=MAX_CAP, help_text="Money, in US dollars.")


class NewRun(StrictSerializer):
    """What to run: an agent, or a workflow by its name."""

    agent = serializers.CharField(required=False, max_length=70, help_text="Its name; `name@3` pins version 3.")
    version = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="Of the agent; by default its current one."
    )
    workflow = serializers.CharField(required=False, max_length=100)
    input = AnyJSON(required=False, default=None, help_text='A bare string stands for {"goal": …}.')
    priority = serializers.IntegerField(required=False, default=0, min_value=-10, max_value=10)
    tags = serializers.ListField(
        child=serializers.CharField(max_length=50), required=False, default=list, max_length=MAX_TAGS
    )
    not_before = serializers.DateTimeField(required=False, allow_null=True, default=None)
    budget = BudgetForm(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs.get("agent")) == bool(attrs.get("workflow")):
            raise serializers.ValidationError({"agent": ["Name either an agent or a workflow."]})
        if attrs.get("workflow") and attrs.get("version"):
            raise serializers.ValidationError({"version": ["Only agents have versions."]})
        return attrs


class RunLinks(serializers.Serializer[Any]):
    """Where more of a run is found."""

    self = serializers.CharField()
    steps = serializers.CharField()
    events = serializers.CharField()


class ForkOrigin(serializers.Serializer[Any]):
    """Where a fork comes from."""

    run = serializers.UUIDField()
    step = serializers.CharField(help_text="The step from which it goes on; empty: it began at the beginning.")
    edited = serializers.ChoiceField(choices=("", "outcome", "input"))
    by = serializers.CharField()


class RunOut(serializers.Serializer[Any]):
    """A run."""

    id = serializers.UUIDField()
    agent = serializers.SerializerMethodField()
    agent_version = serializers.SerializerMethodField()
    workflow = serializers.CharField()
    status = serializers.ChoiceField(choices=RunStatus.choices)
    reason = serializers.CharField()
    wanted = serializers.CharField(help_text="What was asked of it and is not done yet: pause, cancel or nothing.")
    priority = serializers.IntegerField()
    input = AnyJSON()
    output = AnyJSON()
    error = AnyJSON()
    tags = serializers.ListField(child=serializers.CharField())
    tainted = serializers.BooleanField(help_text="It has read what strangers may have written.")
    parent = serializers.UUIDField(source="parent_id", allow_null=True)  # type: ignore[assignment]
    root = serializers.UUIDField(source="root_id", allow_null=True)  # type: ignore[assignment]
    forked_from = serializers.SerializerMethodField(help_text="Of a fork: its run, the step, what was edited, by whom.")
    steps_done = serializers.IntegerField()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cost_microusd = serializers.IntegerField(help_text="Of what has a known price.")
    is_priced = serializers.BooleanField(help_text="Whether all prices are known: the cost is all that it cost.")
    last_event = serializers.IntegerField()
    budget = AnyJSON(help_text="The caps of the run's tree that were set, by name.")
    deadline_at = Moment(allow_null=True, help_text="When the run is ended whatever it does.")
    created_at = Moment()
    started_at = Moment(allow_null=True)
    finished_at = Moment(allow_null=True)
    links = serializers.SerializerMethodField()

    def get_agent(self, run: Run) -> str | None:
        return run.agent_version.agent.name if run.agent_version else None

    def get_agent_version(self, run: Run) -> int | None:
        return run.agent_version.number if run.agent_version else None

    @extend_schema_field(ForkOrigin(allow_null=True))
    def get_forked_from(self, run: Run) -> dict[str, Any] | None:
        return {"run": str(run.forked_from_id), **(run.fork or {})} if run.forked_from_id else None

    @extend_schema_field(RunLinks)
    def get_links(self, run: Run) -> dict[str, str]:
        address = run_address(run)
        return {"self": address, "steps": f"{address}/steps", "events": f"{address}/events"}


class RunPage(serializers.Serializer[Any]):
    """A page of runs, newest first."""

    items = RunOut(many=True)
    next = serializers.CharField(allow_null=True)


class RunQuery(serializers.Serializer[Any]):
    """Which runs to list."""

    status = serializers.MultipleChoiceField(choices=RunStatus.choices, required=False)
    agent = serializers.CharField(required=False, max_length=60)
    workflow = serializers.CharField(required=False, max_length=100)
    tag = serializers.CharField(required=False, max_length=60)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)
    root = serializers.UUIDField(  # type: ignore[assignment]
        required=False, help_text="A run and all that it started."
    )
    q = serializers.CharField(required=False, max_length=200, help_text="Text in input or output.")


class Decision(StrictSerializer):
    """What a person decides about a step whose outcome is unknown or whose input changed."""

    key = serializers.CharField(max_length=500)
    choice = serializers.CharField(max_length=40)
    outcome = AnyJSON(required=False, default=None)


class StepOut(serializers.Serializer[Any]):
    """A step of a run. An outcome too large for lists is left out there: read the step alone."""

    id = serializers.IntegerField()
    key = serializers.CharField()
    kind = serializers.CharField()
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    status = serializers.CharField()
    effect = serializers.CharField()
    attempt = serializers.IntegerField()
    attempts = AnyJSON()
    superseded = serializers.BooleanField()
    tainted = serializers.BooleanField(help_text="By it the run has read what strangers may have written.")
    input = AnyJSON()
    outcome = AnyJSON()
    is_large = serializers.SerializerMethodField()
    cached = serializers.BooleanField(
        source="is_cached", help_text="An equal call's outcome, kept or under way, served."
    )
    error = AnyJSON()
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cost_microusd = serializers.IntegerField(allow_null=True)
    started_at = Moment()
    finished_at = Moment(allow_null=True)

    def get_is_large(self, step: Step) -> bool:
        return step.large is not None


class StepPage(serializers.Serializer[Any]):
    """A page of steps, in the order in which they were recorded."""

    items = StepOut(many=True)
    next = serializers.CharField(allow_null=True)


class EventOut(serializers.Serializer[Any]):
    """An entry of a run's log."""

    number = serializers.IntegerField()
    kind = serializers.CharField()
    at = serializers.DateTimeField()
    data = AnyJSON()  # type: ignore[assignment]


class EventPage(serializers.Serializer[Any]):
    """A page of a run's log, in order."""

    items = EventOut(many=True)
    next = serializers.CharField(allow_null=True)
