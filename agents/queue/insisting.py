"""What has to be written although the database is away: tried again until it is there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import connections

from agents.engine.outages import DATABASE_ERRORS, outage_of, outages
from agents.queue import pulse
from agents.queue.channel import Channel

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


def insist(part: str, call: Callable[[], object]) -> None:
    """Call until the database takes it, or until this process is to stop. What it refuses for good is let go."""
    pause = FIRST_PAUSE
    while not Channel.stopping:
        try:
            call()
        except DATABASE_ERRORS as error:
            connections["default"].close()
            outage = outage_of(error)
            if outage is None:
                logger.exception("%s: the database refuses it", part)
                return
            outages.failed(part, outage, error)
            pulse.beat()
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            outages.worked(part)
            return
