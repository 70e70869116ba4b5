"""Threads: conversations with an agent, in which one message is at work at a time."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from agents.engine import control
from agents.engine.canonical import JSON, decode, digest
from agents.engine.database_clock import database_now
from agents.engine.turns import ITS_TURN, earlier_messages, input_of
from agents.models import (
    ACTIVE,
    Agent,
    BusyPolicy,
    Run,
    RunStatus,
    Thread,
    ThreadMessage,
    User,
    Wait,
    WaitKind,
    Workspace,
)
from agents.services.errors import Conflict, InvalidInput, NotFound
from agents.services.runs import accept_run, check_options, earlier_run, input_text, name_of, target_of

MAX_TEXT = 100_000
MAX_TITLE = 200
TITLE_OF_TEXT = 80
"""Characters of the first message that are the title of a thread that has none."""


def create_thread(
    *,
    workspace: Workspace,
    agent: Agent,
    title: str = "",
    policy: str = BusyPolicy.ENQUEUE,
    by: User | None,
) -> Thread:
    """Begin a conversation with an agent. Raises InvalidInput, and NotFound for an agent of another workspace."""
    _check_policy(policy)
    target_of(workspace, agent, "")
    return Thread.objects.create(
        workspace=workspace, agent=agent, title=_title(title), policy=policy, created_by=by, created_at=database_now()
    )


def change_thread(thread: Thread, *, title: str | None = None, policy: str | None = None) -> Thread:
    """Rename a thread, or say what becomes of messages that come while one is at work."""
    if title is not None:
        thread.title = _title(title)
    if policy is not None:
        _check_policy(policy)
        thread.policy = policy
    thread.save(update_fields=("title", "policy"))
    return thread


def post_message(thread: Thread, *, text: str, by: User | None, idempotency_key: str = "") -> ThreadMessage:
    """Say something in a thread: a run of its agent that sees what was said before.

    While an earlier message is at work, the thread's policy decides: the run waits for its turn, or what is at work is
    cancelled first, or Conflict is raised. With a key that was used before, the earlier message is given back. Raises
    InvalidInput and IdempotencyConflict.
    """
    if not text.strip() or len(text) > MAX_TEXT:
        raise InvalidInput(f"A message has 1 to {MAX_TEXT:,} characters.", "text")
    check_options(0, (), idempotency_key)
    cancelled: list[UUID] = []
    with transaction.atomic():
        # Whoever comes at the same moment waits here, and then sees this message at work.
        locked = Thread.objects.select_for_update(no_key=True, of=("self",)).select_related(
            "agent__current", "workspace"
        )
        thread = locked.get(pk=thread.pk)
        run = _new_run(thread, text, by, idempotency_key)
        if (known := earlier_run(run)) is not None:
            return ThreadMessage.objects.get(run=known)
        active = _active(thread)
        if active and thread.policy == BusyPolicy.REJECT:
            raise Conflict("An earlier message is still at work; this thread takes one at a time.")
        if active and thread.policy == BusyPolicy.INTERRUPT:
            cancelled = [pk for pk in active if control.cancel_alone(pk, by=name_of(by))]
            active = _active(thread)
        message = _write(thread, run, text, by, has_to_wait=bool(active))
    for pk in cancelled:
        control.cancel_below(pk, by=name_of(by))
    return message


def _new_run(thread: Thread, text: str, by: User | None, idempotency_key: str) -> Run:
    version, workflow = target_of(thread.workspace, thread.agent, "")
    return Run(
        workspace=thread.workspace,
        agent_version=version,
        workflow=workflow,
        created_by=by,
        source="thread",
        idempotency_key=idempotency_key,
        request_digest=digest(["message", str(thread.pk), text]),
        created_at=database_now(),
        last_event=1,
    )


def _active(thread: Thread) -> Sequence[UUID]:
    """Give the runs of the thread that go on or wait for their turn, in the order of their messages."""
    messages = ThreadMessage.objects.filter(thread=thread, run__status__in=ACTIVE).order_by("number")
    return list(messages.values_list("run_id", flat=True))


def _write(thread: Thread, run: Run, text: str, by: User | None, *, has_to_wait: bool) -> ThreadMessage:
    last = ThreadMessage.objects.filter(thread=thread).order_by("-number").values_list("number", flat=True).first()
    number = (last or 0) + 1
    wait = None
    if has_to_wait:
        # What was said before it is not known yet: it hears that with its turn.
        run.status, run.reason = RunStatus.WAITING, ITS_TURN
        run.input = _input(text, [])
        wait = Wait(run=run, kind=WaitKind.TURN, name=f"thread {thread.pk}")
    else:
        heard, run.tainted = earlier_messages(thread.pk, number)
        run.input = _input(text, heard)
    if number == 1 and not thread.title:
        thread.title = " ".join(text.split())[:TITLE_OF_TEXT]
        thread.save(update_fields=("title",))
    message = ThreadMessage(thread=thread, number=number, text=text, run=run, created_by=by, created_at=run.created_at)
    accepted = accept_run(
        run,
        wait,
        told={"thread": str(thread.pk), "message": number},
        along=lambda: message.save(force_insert=True),
    )
    return message if accepted is run else ThreadMessage.objects.get(run=accepted)


def _input(text: str, heard: list[JSON]) -> JSON:
    return decode(input_text(input_of(text, heard)))


def _check_policy(policy: str) -> None:
    if policy not in BusyPolicy.values:
        raise InvalidInput(f"Choose one of: {', '.join(BusyPolicy.values)}.", "policy")


def _title(title: str) -> str:
    if len(title) > MAX_TITLE:
        raise InvalidInput(f"A title has at most {MAX_TITLE} characters.", "title")
    return title.strip()


def find_thread(workspace: Workspace, thread_id: UUID) -> Thread:
    """Give a thread of the workspace; raises NotFound, also for another's."""
    thread = Thread.objects.filter(workspace=workspace, pk=thread_id).select_related("agent", "created_by").first()
    if thread is None:
        raise NotFound("There is no such thread in this workspace.")
    return thread
