"""The tables."""

from agents.models.agent import Agent, AgentDraft, AgentVersion
from agents.models.approval import Approval, ApprovalKind, ApprovalStatus
from agents.models.artifact import Artifact
from agents.models.delivery import Delivery
from agents.models.document import Document
from agents.models.event import Inbox, RunEvent
from agents.models.login_attempt import LoginAttempt
from agents.models.passage import Passage
from agents.models.process_call import ProcessCall
from agents.models.provider import Provider, ProviderKind
from agents.models.run import ACTIVE, ENDED, Run, RunStatus, Wanted
from agents.models.run_permit import RunPermit
from agents.models.schedule import CatchUp, Schedule
from agents.models.step import LargeOutcome, Partial, Step, StepStatus
from agents.models.thread import BusyPolicy, Thread, ThreadMessage
from agents.models.timed import Overlap, Timed, TimingKind
from agents.models.tree import Tree
from agents.models.trigger import Event, Flow, Listener, Match, MatchStatus, Subscription, SubscriptionState
from agents.models.user import LoginLink, User
from agents.models.wait import Wait, WaitKind
from agents.models.watcher import Watcher, WatcherKind
from agents.models.webhook import (
    DeliveryStatus,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookScheme,
    WebhookSource,
)
from agents.models.worker import Worker, WorkerState
from agents.models.workspace import ApprovalPolicy, AuthToken, Membership, Role, Scope, Workspace

__all__ = [
    "ACTIVE",
    "ENDED",
    "Agent",
    "AgentDraft",
    "AgentVersion",
    "Approval",
    "ApprovalKind",
    "ApprovalPolicy",
    "ApprovalStatus",
    "Artifact",
    "AuthToken",
    "BusyPolicy",
    "CatchUp",
    "Delivery",
    "DeliveryStatus",
    "Document",
    "Event",
    "Flow",
    "Inbox",
    "LargeOutcome",
    "Listener",
    "LoginAttempt",
    "LoginLink",
    "Match",
    "MatchStatus",
    "Membership",
    "Overlap",
    "Partial",
    "Passage",
    "ProcessCall",
    "Provider",
    "ProviderKind",
    "Role",
    "Run",
    "RunEvent",
    "RunPermit",
    "RunStatus",
    "Schedule",
    "Scope",
    "Step",
    "StepStatus",
    "Subscription",
    "SubscriptionState",
    "Thread",
    "ThreadMessage",
    "Timed",
    "TimingKind",
    "Tree",
    "User",
    "Wait",
    "WaitKind",
    "Wanted",
    "Watcher",
    "WatcherKind",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookScheme",
    "WebhookSource",
    "Worker",
    "WorkerState",
    "Workspace",
]
