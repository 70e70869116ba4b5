"""The subscriptions of schedules and watchers: by those, and by nothing else, their events start agents.

Each has at most one, made from it and kept in step with it. What somebody changes in it by hand lasts until its owner
is changed.
"""

from __future__ import annotations

from agents.engine.canonical import JSON
from agents.models import Overlap, Schedule, Subscription, SubscriptionState, User, Watcher
from agents.services.errors import InvalidInput
from agents.services.lines import hold_workspace, look_again, remove_with_lines


def keep_subscription(owner: Schedule | Watcher, *, by: User | None) -> None:
    """Make, change or remove the subscription of a schedule or a watcher, so that it says what its owner says.

    In the transaction in which the owner itself is written.
    """
    if owner.agent is None:
        drop_subscription(owner)
        return
    hold_workspace(owner.workspace_id)
    kind = str(owner._meta.model_name)
    kept = owner.subscription
    if kept is None:
        kept = Subscription(workspace=owner.workspace, name=f"{kind}-{owner.name}", created_by=by)
        if Subscription.objects.filter(workspace=owner.workspace, name=kept.name).exists():
            raise InvalidInput(f"There is a subscription named {kept.name!r} already; it would need this name.", "name")
    kept.pattern, kept.state = f"{kind}.{owner.name}", SubscriptionState.ACTIVE
    kept.agent, kept.input, kept.priority = owner.agent, owner.input, owner.priority
    kept.flow = flow_of(owner.overlap)
    kept.note = f"Of the {kind} {owner.name}: changed with it."
    kept.save()
    look_again(kept)
    if owner.subscription_id != kept.pk:
        owner.subscription = kept
        owner.save(update_fields=["subscription"])


def drop_subscription(owner: Schedule | Watcher) -> None:
    """Remove the subscription of a schedule or a watcher, if it has one."""
    if owner.subscription is not None:
        hold_workspace(owner.workspace_id)
        remove_with_lines(owner.subscription)
        owner.subscription = None


def flow_of(overlap: str) -> JSON:
    """Give the flow control that does what the rule about overlaps says."""
    return {} if overlap == Overlap.ALLOW else {"overlap": overlap}
