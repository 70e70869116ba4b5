"""All tables: importing this registers them."""

from agents.admin import (
    approvals,
    catalogue,
    events,
    limits,
    people,
    providers,
    records,
    runs,
    secrets,
    threads,
    timed,
    webhooks,
)

__all__ = [
    "approvals",
    "catalogue",
    "events",
    "limits",
    "people",
    "providers",
    "records",
    "runs",
    "secrets",
    "threads",
    "timed",
    "webhooks",
]
