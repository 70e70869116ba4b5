"""Where a run begins: by itself, or as a fork of another run.

A fork has copies of the other's steps, and one record more, which says what they must agree with: ids, random numbers
and the time come out in their replay as they did there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from agents.engine.canonical import decode
from agents.engine.records import Claimed, StepRecord

FORK_KEY = "fork"
"""Key of that record. No step of a workflow's can have it: theirs end in a number."""
COPIED = "copied"
"""Stands for the digest of a copied step. Whoever made the fork has said that it is reused, whatever is asked there."""


class Beginning(NamedTuple):
    """What random numbers and ids are made from, and the time before anything is recorded."""

    seed: UUID
    at: datetime


def beginning_of(claimed: Claimed, steps: Mapping[str, StepRecord]) -> Beginning:
    """Give a run's beginning; that of a fork is its origin's."""
    record = steps.get(FORK_KEY)
    if record is None:
        return Beginning(claimed.id, claimed.created_at)
    told = decode(record.outcome)
    return Beginning(UUID(told["seed"]), datetime.fromisoformat(told["began_at"]))
