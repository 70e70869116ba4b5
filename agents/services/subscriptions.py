"""Subscriptions: which events start which agents. Listed, made, changed, removed, and tried on what has come."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from agents.engine.canonical import JSON, decode, encode
from agents.engine.errors import NotEncodable
from agents.engine.interest import let_take_effect
from agents.matching import problems
from agents.models import (
    Agent,
    Event,
    Subscription,
    SubscriptionState,
    User,
    Workspace,
)
from agents.services.errors import InvalidInput, NotFound, ServiceError
from agents.services.launching import event_view, fits
from agents.services.lines import hold_workspace, look_again, remove_with_lines
from agents.services.publishing import version_of
from agents.services.rights import require_admin
from agents.services.runs import check_options, checked_input, input_text
from agents.triggers.flow import BadFlow, read_rules
from agents.triggers.inputs import BadTemplate, check_template, make_input
from agents.triggers.patterns import ANY, fault_of_pattern
from agents.triggers.patterns import fits as fits_pattern

NAME = re.compile(r"[a-z][a-z0-9_-]{0,59}")
RESERVED = ("would-match", "new")
MAX_SUBSCRIPTIONS = 20_000
MAX_NOTE = 200
LOOKED_BACK = 1_000
"""Events that a subscription is tried on."""
WHAT = "change its subscriptions"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a subscription is to be, but for its name. `agent` is named; `flow` is as triggers/flow.py has it."""

    pattern: str
    agent: str
    version: int | None = None
    filter: JSON = None
    input: JSON = None
    priority: int = 0
    flow: JSON = field(default_factory=dict)
    state: str = SubscriptionState.ACTIVE
    note: str = ""

    def check(self, workspace: Workspace) -> Agent:
        """Give the agent; raises InvalidInput for what is no subscription."""
        if fault := fault_of_pattern(self.pattern):
            raise InvalidInput(fault, "pattern")
        _checked("filter", _check_filter, self.filter)
        _checked("input", check_template, self.input)
        _checked("flow", read_rules, self.flow)
        check_options(self.priority, (), "")
        if self.state not in SubscriptionState.values:
            raise InvalidInput(f"Choose one of: {', '.join(SubscriptionState.values)}.", "state")
        if len(self.note) > MAX_NOTE:
            raise InvalidInput(f"A note has at most {MAX_NOTE} characters.", "note")
        agent = Agent.objects.filter(workspace=workspace, name=self.agent).select_related("current").first()
        if agent is None:
            raise InvalidInput(f"This workspace has no agent named {self.agent[:100]!r}.", "agent")
        if self.version is not None:
            _check_version(agent, self.version)
        return agent


def _check_filter(condition: JSON) -> None:
    if condition is not None and (wrong := problems(condition)):
        raise InvalidInput(" ".join(wrong)[:500], "filter")


def _checked(name: str, check: Callable[[Any], object], value: JSON) -> None:
    try:
        check(decode(encode(value)))
    except NotEncodable as error:
        raise InvalidInput(str(error), name) from error
    except BadTemplate as error:
        raise InvalidInput(str(error), name) from error
    except BadFlow as error:
        raise InvalidInput(str(error), f"flow.{error.field}" if error.field else "flow") from error


def _check_version(agent: Agent, number: int) -> None:
    try:
        version_of(agent, number)
    except ServiceError as error:
        raise InvalidInput(error.message, "version") from error


@dataclass(frozen=True, slots=True)
class WouldMatch:
    """An event that a subscription would have matched, with the input it would have led to, or why to none."""

    event: Event
    input: JSON
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a subscription would have matched of the last `looked_at` events whose name fits, `since` the oldest.

    `is_cut` says that more would have matched than are given.
    """

    matched: list[WouldMatch]
    looked_at: int
    since: datetime | None
    is_cut: bool = False


def list_subscriptions(workspace: Workspace) -> QuerySet[Subscription]:
    """Give the workspace's subscriptions by name."""
    return Subscription.objects.filter(workspace=workspace).select_related("agent").order_by("name")


def get_subscription(workspace: Workspace, name: str) -> Subscription:
    """Give a subscription by its name; raises NotFound."""
    found = list_subscriptions(workspace).select_related("agent__current", "workspace").filter(name=name).first()
    if found is None:
        raise NotFound("This workspace has no such subscription.")
    return found


def create_subscription(workspace: Workspace, name: str, wanted: Wanted, *, by: User | None) -> Subscription:
    """Make a subscription. Events that are dispatched from now on start runs by it, unless it is paused or a draft."""
    require_admin(workspace.pk, by, WHAT)
    if not NAME.fullmatch(name) or name in RESERVED:
        raise InvalidInput("A name begins with a letter and has up to 60 small letters, digits, - and _.", "name")
    if Subscription.objects.filter(workspace=workspace).count() >= MAX_SUBSCRIPTIONS:
        raise InvalidInput(f"A workspace has at most {MAX_SUBSCRIPTIONS:,} subscriptions.", "name")
    made = Subscription(workspace=workspace, name=name, created_by=by)
    try:
        with transaction.atomic():
            _fill(made, wanted).save(force_insert=True)
            let_take_effect([made.pattern])
    except IntegrityError as error:
        raise InvalidInput(f"There is a subscription named {name!r} already.", "name") from error
    log.info("subscription_created", workspace=workspace.slug, subscription=name, by=_who(by))
    return made


def change_subscription(subscription: Subscription, wanted: Wanted, *, by: User | None) -> Subscription:
    """Change all of a subscription but its name. What it holds back goes on by the new rules."""
    require_admin(subscription.workspace_id, by, WHAT)
    with transaction.atomic():
        _lock(subscription)
        _fill(subscription, wanted).save()
        let_take_effect([subscription.pattern])
        look_again(subscription)
    log.info("subscription_changed", subscription=subscription.name, by=_who(by))
    return subscription


def set_state(subscription: Subscription, state: str, *, by: User | None) -> Subscription:
    """Let a subscription start runs, or no more. What it holds back while it is paused goes on when it is active."""
    require_admin(subscription.workspace_id, by, WHAT)
    if state not in SubscriptionState.values:
        raise InvalidInput(f"Choose one of: {', '.join(SubscriptionState.values)}.", "state")
    with transaction.atomic():
        _lock(subscription)
        subscription.state = state
        subscription.save(update_fields=("state", "updated_at"))
        look_again(subscription)
    log.info("subscription_state_set", subscription=subscription.name, state=state, by=_who(by))
    return subscription


def remove_subscription(subscription: Subscription, *, by: User | None) -> None:
    """Remove a subscription. What it held back starts nothing any more; the log of what it started stays."""
    require_admin(subscription.workspace_id, by, WHAT)
    with transaction.atomic():
        hold_workspace(subscription.workspace_id)
        remove_with_lines(subscription)
    log.info("subscription_removed", subscription=subscription.name, by=_who(by))


def try_subscription(workspace: Workspace, wanted: Wanted, *, most: int = 50) -> Trial:
    """Say what a subscription, kept or not, would have matched of the events that have come."""
    agent = wanted.check(workspace)
    events = Event.objects.filter(_by_name(wanted.pattern), workspace=workspace, to_run__isnull=True).order_by("-id")
    matched: list[WouldMatch] = []
    looked_at, since, is_cut = 0, None, False
    for event in events[:LOOKED_BACK].iterator():
        # A pattern's beginning is looked up without regard to case by one of the databases.
        if not fits_pattern(event.name, wanted.pattern):
            continue
        looked_at, since = looked_at + 1, event.received_at
        if is_cut or not fits(wanted.filter, event):
            continue
        if is_cut := len(matched) == most:
            continue
        matched.append(_would_match(event, agent, wanted))
    return Trial(matched, looked_at, since, is_cut)


def wanted_of(subscription: Subscription) -> Wanted:
    """Give what a subscription is, as it would be asked for."""
    given = {one.name: getattr(subscription, one.name) for one in fields(Wanted) if one.name != "agent"}
    return Wanted(agent=subscription.agent.name, **given)


def _would_match(event: Event, agent: Agent, wanted: Wanted) -> WouldMatch:
    input = make_input(wanted.input, [event_view(event)])
    try:
        version = agent.current if wanted.version is None else version_of(agent, wanted.version)
        return WouldMatch(event, checked_input(version, input_text(input)))
    except ServiceError as error:
        return WouldMatch(event, input, error.message)


def _by_name(pattern: str) -> Q:
    if pattern == ANY:
        return Q()
    return Q(name__startswith=pattern[:-1]) if pattern.endswith(".*") else Q(name=pattern)


def _fill(subscription: Subscription, wanted: Wanted) -> Subscription:
    subscription.agent = wanted.check(subscription.workspace)
    for one in fields(Wanted):
        if one.name != "agent":
            setattr(subscription, one.name, getattr(wanted, one.name))
    for name in ("filter", "input", "flow"):
        # As the databases keep it.
        setattr(subscription, name, decode(encode(getattr(wanted, name))))
    return subscription


def _lock(subscription: Subscription) -> None:
    """Let nobody change, remove or follow it meanwhile; raises NotFound if somebody has removed it."""
    hold_workspace(subscription.workspace_id)
    if not list(Subscription.objects.select_for_update().filter(pk=subscription.pk).values_list("pk")):
        raise NotFound(f"The subscription {subscription.name!r} has been removed.")


def _who(by: User | None) -> str:
    return by.get_username() if by is not None else "operator"
