"""What the pages read: always within one workspace, never more than a page of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from django.db.models import Count, Max, Min, Q, TextField
from django.db.models.functions import Cast
from django.http import Http404, QueryDict
from django.utils import timezone

from agents.engine.origins import FORK_KEY
from agents.live.reads import COUNTED
from agents.models import (
    ACTIVE,
    Agent,
    Approval,
    ApprovalStatus,
    Document,
    Partial,
    ProcessCall,
    Run,
    RunEvent,
    RunStatus,
    Step,
    Thread,
    ThreadMessage,
    WaitKind,
    Worker,
    WorkerState,
    Workspace,
)
from agents.models.run import RunQuerySet
from agents.models.step import BOOKKEEPING
from agents.services.finding import version_ids

PAGE = 50
MAX_STEPS = 400
MAX_EVENTS = 5_000
RELATED = 20
_PERIODS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
_PHASE_EVENTS = (
    "run_queued", "run_started", "run_waiting", "run_paused", "run_woken", "run_resumed", "run_retried",
    "run_succeeded", "run_failed", "run_cancelled",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunFilters:
    """What a list of runs is narrowed to; kept in the address of the page."""

    text: str = ""
    status: str = ""
    agent: str = ""
    tag: str = ""
    period: str = ""
    before: UUID | None = None
    below: bool = False

    @classmethod
    def of(cls, query: QueryDict) -> RunFilters:
        """Read them from an address; what makes no sense there is left out."""
        status, period = query.get("status", ""), query.get("period", "")
        return cls(
            text=query.get("q", "").strip()[:200],
            status=status if status in RunStatus.values or status == "active" else "",
            agent=query.get("agent", "").strip()[:100],
            tag=query.get("tag", "").strip()[:60],
            period=period if period in _PERIODS else "",
            before=_uuid(query.get("before", "")),
            below="below" in query,
        )

    @property
    def is_narrow(self) -> bool:
        return any((self.text, self.status, self.agent, self.tag, self.period))

    def apply(self, workspace: Workspace, now: datetime) -> RunQuerySet:
        """Give the runs of a workspace that fit; without those that other runs started, unless `below` is wanted."""
        runs = listed(workspace)
        if not self.below:
            runs = runs.filter(parent=None)
        if self.status:
            runs = runs.active() if self.status == "active" else runs.filter(status=self.status)
        if self.agent:
            # The numbers of its versions: by its name alone no index would find its runs.
            versions = version_ids(workspace, self.agent)
            runs = runs.filter(agent_version__in=versions) if versions else _of_workflow(runs, self.agent)
        if self.period:
            runs = runs.created_after(now - _PERIODS[self.period])
        if self.tag:
            runs = runs.alias(tags_text=Cast("tags", TextField())).filter(tags_text__contains=_json_text(self.tag))
        if self.text:
            # The columns hold JSON texts, in which some characters are escaped: so is what is looked for.
            needle = _json_text(self.text)[1:-1]
            runs = runs.alias(input_text=Cast("input", TextField()), output_text=Cast("output", TextField()))
            runs = runs.filter(Q(input_text__icontains=needle) | Q(output_text__icontains=needle))
        return runs


@dataclass(frozen=True, slots=True)
class RunsPage:
    """A page of a list of runs; `next_before` leads to the next."""

    runs: list[Run]
    next_before: UUID | None


def runs_page(workspace: Workspace, filters: RunFilters) -> RunsPage:
    """Give the newest runs that fit, before the one named."""
    runs = filters.apply(workspace, timezone.now())
    if filters.before:
        runs = runs.filter(id__lt=filters.before)
    rows = list(runs[: PAGE + 1])
    return RunsPage(rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None)


def some_runs(workspace: Workspace, filters: RunFilters, ids: Iterable[str]) -> list[Run]:
    """Give those of the named runs that fit."""
    known = [found for found in map(_uuid, ids) if found is not None]
    return list(filters.apply(workspace, timezone.now()).filter(id__in=known[:PAGE]))


def recent_runs(workspace: Workspace, limit: int = 8) -> list[Run]:
    """Give the newest runs that people or programs started."""
    return list(listed(workspace).filter(parent=None)[:limit])


def listed(workspace: Workspace) -> RunQuerySet:
    """Give a workspace's runs as a list shows them, newest first."""
    runs = Run.objects.of(workspace).select_related("agent_version__agent", "created_by")
    return runs.defer("output", "error", "budget").with_prices().order_by("-id")


def runs_of_agent(agent: Agent, limit: int) -> list[Run]:
    """Give the newest runs of an agent, whoever started them."""
    return list(listed(agent.workspace).filter(agent_version__in=version_ids(agent.workspace, agent.name))[:limit])


def _of_workflow(runs: RunQuerySet, name: str) -> RunQuerySet:
    return runs.filter(agent_version=None, workflow=name)


def run_of(workspace: Workspace, run_id: UUID) -> Run:
    """Give a run of the workspace; any other does not exist here."""
    run = Run.objects.of(workspace).select_related("agent_version__agent", "created_by").filter(id=run_id).first()
    if run is None:
        raise Http404
    return run


def steps_of(run: Run, *, everything: bool = False) -> tuple[list[Step], int]:
    """Give the run's last steps without their contents, oldest first, and how many are left out."""
    steps = Step.objects.of(run.id).exclude(kind__in=BOOKKEEPING)
    shown = steps.defer("input", "outcome", "error").order_by("-started_at", "-id")
    limit = MAX_STEPS * 10 if everything else MAX_STEPS
    rows = list(shown[: limit + 1])
    hidden = steps.count() - limit if len(rows) > limit else 0
    return rows[:limit][::-1], hidden


def step_of(run: Run, key: str) -> Step | None:
    """Give the step of that key: the one that counts, else the last that was superseded."""
    return Step.objects.of(run.id).filter(key=key).order_by("superseded", "-id").first()


def phase_events(run: Run) -> list[RunEvent]:
    """Give the events that tell when a run was queued, worked, waited and ended."""
    return list(RunEvent.objects.filter(run_id=run.id, kind__in=_PHASE_EVENTS).order_by("number")[:MAX_EVENTS])


def events_of_step(run: Run, key: str) -> list[RunEvent]:
    """Give the events of a step."""
    events = RunEvent.objects.filter(run_id=run.id).exclude(kind__in=_PHASE_EVENTS).order_by("-number")[:MAX_EVENTS]
    return [event for event in events if isinstance(event.data, dict) and event.data.get("key") == key][::-1]


def streamed_text(run: Run, key: str) -> tuple[str, int]:
    """Give the text that a step has streamed in its last attempt, and that attempt's number."""
    rows = list(Partial.objects.filter(run_id=run.id, key=key).order_by("id").values_list("attempt", "text"))
    last = max((attempt for attempt, _ in rows), default=0)
    return "".join(text for attempt, text in rows if attempt == last), last


def calls_of(run: Run) -> dict[str, ProcessCall]:
    """Give the run's calls that have a process of their own, or wait for one, by the key of their step."""
    return {call.key: call for call in ProcessCall.objects.filter(run_id=run.id).order_by("queued_at")[:MAX_STEPS]}


def waiting_approvals(workspace: Workspace, run: Run | None = None) -> list[Approval]:
    """Give the questions that wait for a person, of a workspace or of one run, the oldest first."""
    waiting = Approval.objects.filter(workspace=workspace).waiting()
    if run is not None:
        waiting = waiting.filter(run=run)
    return list(waiting.select_related("run__agent_version__agent").order_by("id")[:PAGE])


def count_approvals(workspace: Workspace) -> int:
    """Count the questions that wait for a person, up to what is worth counting."""
    return Approval.objects.filter(workspace=workspace).waiting().order_by()[:COUNTED].count()


def decided_approvals(workspace: Workspace) -> list[Approval]:
    """Give the questions that were decided, or came to nothing, the newest first."""
    decided = Approval.objects.filter(workspace=workspace).exclude(status=ApprovalStatus.OPEN)
    return list(decided.select_related("run", "decided_by").order_by("-id")[:PAGE])


def approval_of(workspace: Workspace, approval_id: UUID) -> Approval:
    """Give a question of the workspace; any other does not exist here."""
    approval = Approval.objects.filter(workspace=workspace, pk=approval_id).select_related("decided_by").first()
    if approval is None:
        raise Http404
    return approval


def tainting_steps(run: Run, most: int) -> tuple[list[Step], int]:
    """Give the first steps by which the run has read what strangers may have written, and how many more there are."""
    steps = Step.objects.filter(run_id=run.id, tainted=True, superseded=False)
    first = list(steps.only("key", "name", "kind", "label").order_by("started_at")[:most])
    return first, steps.count() - len(first) if len(first) == most else 0


def child_of(run: Run, step: Step) -> Run | None:
    """Give the sub-run that a step started; that of a copied step is below the fork's origin."""
    child = Run.objects.filter(parent_id=run.id, parent_key=step.key).order_by("-id").first()
    named = _uuid(str(step.input.get("run", ""))) if child is None and isinstance(step.input, dict) else None
    return child if named is None else Run.objects.few_of(run.workspace).filter(pk=named).first()


def forks_of(run: Run, most: int) -> list[Run]:
    """Give the latest forks of a run."""
    return list(listed(run.workspace).filter(forked_from=run.pk)[:most])


def related_runs(run: Run) -> list[Run]:
    """Give runs that a run may be compared with: its forks, and the latest others of the same agent or workflow."""
    alike = listed(run.workspace).exclude(pk=run.pk).filter(parent=None, workflow=run.workflow)
    if run.agent_version is not None:
        alike = alike.filter(agent_version__agent=run.agent_version.agent_id)
    forks = forks_of(run, RELATED)
    known = {fork.pk for fork in forks}
    return [*forks, *(other for other in alike[:RELATED] if other.pk not in known)]


def copied_until(run: Run) -> datetime | None:
    """Give the time until which a fork's records are copies; None for a run that is no fork."""
    if run.forked_from_id is None:
        return None
    return Step.objects.of(run.id).filter(key=FORK_KEY).values_list("finished_at", flat=True).first()


def threads_of(workspace: Workspace, before: str) -> tuple[list[Thread], UUID | None]:
    """Give a page of a workspace's threads, the newest first, and the id that leads to the next.

    Each with `said`, how many messages it has, and `last_said`, when.
    """
    threads = Thread.objects.filter(workspace=workspace).select_related("agent", "created_by").order_by("-id")
    if (known := _uuid(before)) is not None:
        threads = threads.filter(id__lt=known)
    rows: list[Thread] = [*threads.annotate(said=Count("messages"), last_said=Max("messages__created_at"))[: PAGE + 1]]
    return rows[:PAGE], rows[PAGE - 1].pk if len(rows) > PAGE else None


def messages_of(thread: Thread, before: str) -> tuple[list[ThreadMessage], int | None]:
    """Give a thread's latest messages with their runs, the oldest first, and the number before which there are more."""
    messages = ThreadMessage.objects.filter(thread=thread).select_related("run__agent_version__agent", "created_by")
    if before.isdecimal() and len(before) < 10:
        messages = messages.filter(number__lt=int(before))
    rows = list(messages.order_by("-number")[: PAGE + 1])
    return rows[:PAGE][::-1], rows[PAGE - 1].number if len(rows) > PAGE else None


def agents_of(workspace: Workspace) -> list[Agent]:
    """Give the agents that can be started."""
    agents = Agent.objects.filter(workspace=workspace, archived_at=None, current__isnull=False)
    return list(agents.select_related("current").order_by("id"))


def names_in_use(workspace: Workspace) -> list[str]:
    """Give the names by which runs can be filtered: the agents and the workflows run without one."""
    agents = Agent.objects.filter(workspace=workspace).values_list("name", flat=True)
    newest = Run.objects.of(workspace).select_related(None).only("agent_version_id", "workflow").order_by("-id")[:500]
    return sorted({*agents, *(run.workflow for run in newest if run.agent_version_id is None)})


def documents_of(workspace: Workspace, before: int | None = None) -> tuple[list[Document], int | None]:
    """Give a page of documents without their texts, and the id that leads to the next page."""
    documents = Document.objects.filter(workspace=workspace).select_related("created_by").defer("text").order_by("-id")
    if before is not None:
        documents = documents.filter(id__lt=before)
    rows = list(documents[: PAGE + 1])
    return rows[:PAGE], rows[PAGE - 1].pk if len(rows) > PAGE else None


def document_of(workspace: Workspace, document_id: int) -> Document:
    """Give a document of the workspace; any other does not exist here."""
    document = Document.objects.filter(workspace=workspace, pk=document_id).first()
    if document is None:
        raise Http404
    return document


def titles_of(workspace: Workspace, ids: Sequence[int]) -> dict[int, str]:
    """Give the titles of those documents that are still there."""
    return dict(Document.objects.filter(workspace=workspace, pk__in=ids).values_list("pk", "title"))


@dataclass(frozen=True, slots=True)
class QueueState:
    """How much work there is, and how long its oldest part has been waiting."""

    queued: int
    running: int
    waiting: int
    oldest: datetime | None
    slots: int
    busy: int

    @property
    def hint(self) -> str:
        """Say in words what the figures mean."""
        if not self.slots:
            return "No worker is running: what is queued stays queued until one is started."
        if self.queued and self.busy >= self.slots:
            return "All slots are taken. Another worker process would take more work."
        return "There are free slots: what is queued is started at once."


def queue_state(workspace: Workspace | None = None) -> QueueState:
    """Count the runs that have not ended, of one workspace or of all, and the slots of the living workers."""
    runs = Run.objects.order_by()
    if workspace is not None:
        runs = runs.few_of(workspace)
    # One by one: each is counted in an index of its own, however many runs have ended.
    queued, running, waiting = (runs.filter(status=status) for status in ACTIVE)
    # Those who see to processes hold no runs.
    living = [worker for worker in living_workers() if worker.queue == "runs"]
    return QueueState(
        queued=queued.count(),
        running=running.count(),
        waiting=waiting.count(),
        oldest=queued.aggregate(oldest=Min("created_at"))["oldest"],
        slots=sum(worker.slots for worker in living if worker.state == WorkerState.ALIVE),
        busy=sum(worker.busy for worker in living),
    )


def living_workers() -> list[Worker]:
    """Give the worker processes that are there now."""
    return list(Worker.objects.filter(state__in=(WorkerState.ALIVE, WorkerState.DRAINING)).order_by("id"))


def gone_workers(limit: int = 5) -> list[Worker]:
    """Give the worker processes that were there last."""
    gone = Worker.objects.filter(state__in=(WorkerState.STOPPED, WorkerState.DEAD))
    # One of the queue `tools` that has nothing to do is not gone: it rests.
    gone = gone.exclude(queue="tools", state=WorkerState.STOPPED)
    return list(gone.order_by("-heartbeat_at")[:limit])


DECISIONS = (WaitKind.CHANGED, WaitKind.UNKNOWN)
"""The waits that only a person can end."""


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _json_text(text: str) -> str:
    return orjson.dumps(text.encode("utf-8", "replace").decode()).decode()
