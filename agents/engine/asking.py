"""Asking a person: whether something may be done, or for an answer.

A question is a step, and a row for people to see, committed together. The decision comes as a message, like that on a
step whose outcome is unknown (deciding.py); also that nobody decided in time (verdicts.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ValidationError
from uuid_utils.compat import uuid7

from agents.engine.canonical import JSON, decode, digest, encode
from agents.engine.deciding import reconsider
from agents.engine.endings import about_of
from agents.engine.errors import StepFailed
from agents.engine.plans import Plan
from agents.engine.recording import finish_step, log_step, outcome_of, record_step, update_step
from agents.engine.records import StepRecord, WaitRecord
from agents.engine.trust_records import ApprovalRecord, trust_of

if TYPE_CHECKING:
    from agents.engine.execution import Execution
    from agents.engine.scope import Scope

LASTS = timedelta(days=3)
"""For how long a question waits for a decision, and an approval for its use."""
MAX_SUBJECT = 200

REFUSALS = {
    "rejected": ("Rejected", "A person refused the {}; nothing was done."),
    "expired": ("Expired", "Nobody decided on the {} in time; nothing was done."),
}
Form: TypeAlias = type[BaseModel] | Mapping[str, Any] | None
"""What an answer has to fit: a pydantic model, or a JSON schema."""
Verdict = Literal["approved", "rejected", "answered", "expired"]


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked. `form` is the JSON schema of an answer, or of arguments that a person may edit.

    For the call of a tool, `tool` names it and `described` is a digest of what the person is told about it.
    """

    kind: Literal["approve", "ask"]
    subject: str
    arguments: JSON = None
    effect: str = ""
    why: str = ""
    form: Mapping[str, Any] | None = None
    tool: str = ""
    described: str = ""
    lasts: timedelta = LASTS

    @property
    def digest(self) -> str:
        """A digest of what the code asks about, without words that may change."""
        return digest([self.kind, self.subject, self.arguments, None if self.tool else self.form])


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided. `arguments` are those that may be used: the person may have edited them.

    `by` is the person's name, empty if nobody decided in time; `expires_at` is until when it may be used.
    """

    verdict: Verdict
    arguments: JSON
    comment: str
    by: str
    described: str
    expires_at: datetime

    @property
    def is_approved(self) -> bool:
        return self.verdict == "approved"


async def ask_person(
    x: Execution, scope: Scope, key: str, question: Question, fault_of: Callable[[JSON], str] = lambda _: ""
) -> JSON:
    """Give what a person decided: `verdict`, `value` (an answer, or the arguments as approved), `comment`, `by`.

    A value with which `fault_of` finds a fault is asked for again, saying which.
    """
    plan = _plan(question)
    record = x.steps.get(key)
    if record is not None and record.digest != plan.digest:
        record = await reconsider(x, key, plan, record)
    if record is None:
        await x.gate()
        record = _put(x, question, record_step(x, key, plan))
        log_step(x, "step_started", record, asks=question.kind)
    while not record.is_done:
        asked = decode(record.input)
        # All that comes under this name: the decision on a question that was withdrawn is read, and let go.
        wait = WaitRecord("person", key=answer_name(key), name=question.subject[:MAX_SUBJECT])
        message = await x.message(answer_name(key), wait)
        x.change().consumed.append(message.id)
        if message.token != answer_token(asked["approval"]):
            continue
        decided = {"value": question.arguments, **decode(message.data)}
        if decided["verdict"] in ("approved", "answered") and (fault := fault_of(decided["value"])):
            record = ask_again(x, question, record, fault)
            continue
        known = {"described": asked["described"], "expires_at": asked["expires_at"]}
        record = finish_step(x, record, encode({**decided, **known}))
        await x.commit()
    scope.saw(record.finished_at)
    return await outcome_of(x, record)


def question_of(kind: Literal["approve", "ask"], subject: str, form: Form, **given: Any) -> Question:
    """Make a question of a workflow's own; a `form` that is a model counts by its schema."""
    return Question(kind, subject, form=schema_of(form), **given)


def schema_of(form: Form) -> Mapping[str, Any] | None:
    """Give the JSON schema of a form."""
    return form.model_json_schema() if isinstance(form, type) else form


def check_by(form: Form) -> Callable[[JSON], str]:
    """Give what finds fault with a value that does not fit a form. What fits its schema may still not fit a model."""

    def fault_of(value: JSON) -> str:
        try:
            if isinstance(form, type):
                form.model_validate(value)
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False, include_context=False)
            return (
                "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'answer'}: {fault['msg']}" for fault in faults[:5])
                + "."
            )
        return ""

    return fault_of


def answer_of(decided: JSON, key: str, form: Form) -> Any:
    """Give an answer in the form's own type; raises StepFailed if there was none."""
    if decided["verdict"] != "answered":
        refuse(decided["verdict"], "answer", decided["comment"], key)
    return form.model_validate(decided["value"]) if isinstance(form, type) else decided["value"]


def ask_again(x: Execution, question: Question, record: StepRecord, fault: str) -> StepRecord:
    """Ask anew under the same key: what was decided can't be used, `fault` says why."""
    nothing = {"outcome": None, "large": None, "error": None, "finished_at": None}
    record = update_step(x, record, status="running", **nothing)
    log_step(x, "step_started", record, asks=question.kind, again=fault)
    return _put(x, question, record, fault)


def decision_of(decided: JSON) -> Decision:
    """Read the outcome of a step that asked for an approval."""
    return Decision(
        verdict=decided["verdict"],
        arguments=decided["value"],
        comment=decided["comment"],
        by=decided["by"],
        described=decided["described"],
        expires_at=datetime.fromisoformat(decided["expires_at"]),
    )


def refuse(verdict: Verdict, what: str, comment: str, key: str) -> NoReturn:
    """Raise the failure that follows from a person's no, or from nobody's yes."""
    type, text = REFUSALS[verdict]
    words = text.format(what) + (f" Their comment: {comment}" if comment else "")
    raise StepFailed(type, words, key)


def answer_name(key: str) -> str:
    """Give the name of the message in which a person's decision on the question of a step comes."""
    return f"answer:{key}"


def answer_token(approval_id: UUID | str) -> str:
    """Give the token of that message: one per question."""
    return f"approval:{approval_id}"


def _plan(question: Question) -> Plan:
    return Plan(question.kind, question.kind, question.subject, question.digest)


def _put(x: Execution, question: Question, record: StepRecord, fault: str = "") -> StepRecord:
    """Put the question before people. An earlier one of the same step is asked no more."""
    now = x.stamp()
    approval = ApprovalRecord(
        id=uuid7(),
        key=record.key,
        kind=question.kind,
        subject=question.subject[:MAX_SUBJECT],
        tool=question.tool,
        effect=question.effect,
        why=f"{fault} {question.why}".strip(),
        arguments=None if question.arguments is None else encode(question.arguments),
        form=None if question.form is None else encode(question.form),
        binding=digest([question.arguments, question.described]),
        asked_at=now,
        expires_at=now + question.lasts,
    )
    change = x.change()
    change.about = about_of(x)
    trust = trust_of(change)
    trust.withdrawn.append(record.key)
    trust.approvals.append(approval)
    asked = {
        "approval": approval.id,
        "arguments": question.arguments,
        "effect": approval.effect,
        "why": approval.why,
        "described": question.described,
        "expires_at": approval.expires_at,
    }
    return update_step(x, record, input=encode(asked))
