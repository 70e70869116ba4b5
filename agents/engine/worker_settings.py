"""How a worker process behaves; all in seconds and counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The figures of one worker process.

    `slots` runs are driven at once; a worker that is silent for `lease` seconds loses its runs; after SIGTERM steps
    get `grace` seconds to end.
    """

    slots: int = 500
    lease: float = 8.0
    heartbeat: float = 2.0
    grace: float = 20.0
    claim_at_once: int = 64
    poll: float = 1.0
    short_pause: float = 2.0
    linger: float = 0.2
