"""How a worker process behaves; all in seconds and counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The figures of one worker process.

    `slots` runs are driven at once; a worker that is silent for `lease` seconds loses its runs; after SIGTERM steps
    get `grace` seconds to end. A worker whose loop does not turn for `watchdog` seconds is killed; its marks are in
    `marks_folder`, if there is one. A suspect run that has waited for `suspect_patience` seconds gets a worker emptied.
    `host` is what people call its machine.
    """

    host: str = ""
    slots: int = 500
    lease: float = 8.0
    heartbeat: float = 2.0
    grace: float = 20.0
    watchdog: float = 6.0
    suspect_patience: float = 10.0
    marks_folder: Path | None = None
    claim_at_once: int = 64
    poll: float = 1.0
    short_pause: float = 2.0
    linger: float = 0.2
