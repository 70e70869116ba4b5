"""Deciding what runs ask people."""

from __future__ import annotations

from typing import Any, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from agents.engine import control, verdicts
from agents.engine.asking import Verdict
from agents.engine.canonical import JSON, clean_text, decode, encode
from agents.engine.errors import NotEncodable
from agents.models import Approval, ApprovalKind, ApprovalStatus, User
from agents.services.errors import Conflict, InvalidInput
from tools.errors import InvalidArguments
from tools.registry import registry

MAX_COMMENT = 2_000
MAX_VALUE = 200_000

Choice = Literal["approve", "reject", "answer"]
CHOICES: dict[str, tuple[Choice, ...]] = {
    ApprovalKind.APPROVE: ("approve", "reject"),
    ApprovalKind.ASK: ("answer", "reject"),
}
_VERDICTS: dict[str, Verdict] = {"approve": "approved", "reject": "rejected", "answer": "answered"}
UNCHANGED = object()
"""Stands for the arguments as they were asked about."""


def decide_approval(
    approval: Approval, *, choice: str, value: Any = UNCHANGED, comment: str = "", by: User | None
) -> Approval:
    """Decide a question of a run. `value` is the answer, or the arguments as the person edited them.

    It is for this call alone and changes nothing for any other. Raises InvalidInput for a value that does not fit,
    Conflict, saying who decided, when it is decided already or was withdrawn.
    """
    offered = CHOICES[approval.kind]
    if choice not in offered:
        raise InvalidInput(f"Choose one of: {', '.join(offered)}.", "choice")
    comment = clean_text(comment.strip())
    if len(comment) > MAX_COMMENT:
        raise InvalidInput(f"A comment has at most {MAX_COMMENT:,} characters.", "comment")
    data = {} if choice == "reject" else _given(approval, choice, value)
    try:
        is_mine = verdicts.decide(approval, _VERDICTS[choice], data, comment=comment, by=by)
    except control.CannotDo as error:
        raise Conflict(str(error)) from error
    approval.refresh_from_db()
    if not is_mine:
        raise Conflict(_what_became_of(approval))
    return approval


def _given(approval: Approval, choice: str, value: Any) -> dict[str, JSON]:
    """Give what goes to the run with a yes or an answer."""
    if choice == "answer":
        if value is UNCHANGED:
            raise InvalidInput("An answer is missing.", "answer")
        return {"value": _checked(approval, value, "answer")}
    if value is UNCHANGED or value == approval.arguments:
        return {}
    return {"value": _checked(approval, value, "arguments")}


def _checked(approval: Approval, value: Any, field: str) -> JSON:
    """Give the value as it is recorded; raises InvalidInput unless it fits the tool, or else the form."""
    try:
        text = encode(value)
    except NotEncodable as error:
        raise InvalidInput(str(error), field) from error
    if len(text) > MAX_VALUE:
        raise InvalidInput(f"This has {len(text):,} characters; at most {MAX_VALUE:,} are taken.", field)
    value = decode(text)
    if approval.form is None:
        raise InvalidInput("These arguments can only be approved as they are, or rejected.", field)
    try:
        if approval.tool in registry:
            registry.get(approval.tool).validate(value)
        else:
            Draft202012Validator(approval.form).validate(value)
    except InvalidArguments as error:
        raise InvalidInput(str(error), field) from error
    except ValidationError as error:
        raise InvalidInput(f"{error.json_path}: {error.message}"[:500], field) from error
    return value


def _what_became_of(approval: Approval) -> str:
    """Say why an approval is not open any more."""
    match approval.status:
        case ApprovalStatus.OPEN | ApprovalStatus.EXPIRED:
            return "Its time is over; it was not done."
        case ApprovalStatus.WITHDRAWN:
            return "The run does not ask this any more."
        case _:
            who = approval.decided_by.get_username() if approval.decided_by else "Somebody"
            return f"{who} has {approval.status} it already, at {approval.decided_at:%Y-%m-%d %H:%M:%S} UTC."
