"""Our django-q2 broker: hands out OrmQ's tasks, and hints when runs are due.

A hint has no content. It pokes the driver of a worker process, which claims what it can work on; a hint that is lost,
doubled or late costs nothing.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import psycopg
from django.db import connections
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ

from agents.engine.connecting import postgres_parameters
from agents.engine.journal.postgres import QUEUE_CHANNEL
from agents.engine.notify import announce
from agents.engine.outages import DATABASE_ERRORS, Outage, outage_of, outages
from agents.models import Event, Run, RunStatus
from agents.queue import deliveries, pulse
from agents.queue.insisting import FIRST_PAUSE, LONGEST_PAUSE, insist
from agents.queue.messages import hint

HINT = ("hint", 0)
LONGEST_WAIT = 1.0
"""Seconds after which the broker looks by itself, and the pusher sees that it is to stop."""
TICK, TASK_TICK = 0.015, 0.05
"""How often SQLite is asked whether something changed: where runs wait, and where only ordinary tasks do."""
FIRST_GAP, BUSY_GAP, LONGEST_GAP = 0.01, 0.05, 0.25
"""Seconds between two hints: after none were needed, where runs come and go, and where nobody takes what is due."""
FLAGS_EVERY = 0.2
SWEEP_EVERY = 10.0
"""How often tasks are looked for whose cluster is gone."""


class RunBroker(ORM):
    """Watches the runs table (cluster `runs`) and OrmQ (every cluster) of the default database."""

    def __init__(self, list_key: str | None = None) -> None:
        super().__init__(list_key)
        self._listener: psycopg.Connection[Any] | None = None
        self._data_version = -1
        self._head: object = None
        self._gap = FIRST_GAP
        self._hinted_at = 0.0
        self._flags_at = 0.0
        self._has_news = True
        self._is_quiet = False
        self._sweep_at = 0.0
        self._pause = FIRST_PAUSE

    def __getstate__(self) -> Any:
        return self.list_key, self._info

    def __setstate__(self, state: Any) -> None:
        self.__init__(state[0])  # type: ignore[misc]  # a broker is made anew in each process

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        return OrmQ.objects.using("default")

    def enqueue(self, task: str) -> int:
        """Queue a task in the caller's transaction."""
        row = OrmQ.objects.create(key=self.list_key, payload=task, lock=timezone.now())
        announce(queue=True)
        return int(row.pk)

    def dequeue(self) -> list[tuple[Any, str]] | None:
        """Give tasks or hints; waits up to a second for some."""
        pulse.beat()
        try:
            # Nothing was there a moment ago, and nothing can have come unnoticed: wait for a change at once.
            found = [] if self._is_quiet else self._tasks() or self._hints()
            if not found:
                self._wait()
                # Runs first: a step that waits for its first moment counts milliseconds, a task does not.
                found = self._hints() or self._tasks()
        except DATABASE_ERRORS as error:
            # The stock pusher would sleep for ten seconds and die.
            outages.failed("broker", outage_of(error) or Outage.BUSY, error)
            self._disconnect()
            time.sleep(self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            return None
        outages.worked("broker")
        self._pause = FIRST_PAUSE
        self._is_quiet = not found
        return found

    def acknowledge(self, task_id: Any) -> None:
        """Remove a task that was executed; a hint needs nothing."""
        if not isinstance(task_id, tuple):
            # The stock monitor dies when this raises; and a task that is not acknowledged would be done once more.
            insist("monitor", partial(deliveries.done, task_id))

    fail = delete = acknowledge

    def _tasks(self) -> list[tuple[Any, str]]:
        now = time.monotonic()
        if now >= self._sweep_at:
            self._sweep_at = now + SWEEP_EVERY
            deliveries.give_back_of_the_gone(self.list_key)
        return list(deliveries.fetch(self.list_key, deliveries.own_holder()))

    def _hints(self) -> list[tuple[Any, str]]:
        """Give one hint per worker if runs are due; fewer and fewer while some stay due.

        Whoever has taken all he can takes more by himself. So what the hints before have not emptied needs no new ones,
        unless something new is told of.
        """
        if self.list_key != "runs":
            return []
        now = time.monotonic()
        # Where the database told of something, there is no need to look first.
        is_told = self._has_news and now > self._hinted_at + FIRST_GAP
        head = None if is_told else self._first_due() or self._flagged() or self._first_event()
        if head is None:
            self._gap = FIRST_GAP
            if not self._has_news:
                self._head = None
                return []
        if now < self._hinted_at + self._gap:
            time.sleep(self._hinted_at + self._gap - now)
        self._gap = min(LONGEST_GAP if head == self._head else BUSY_GAP, self._gap * 2)
        self._head, self._hinted_at, self._has_news = head, time.monotonic(), False
        return [(HINT, hint())] * int(Conf.WORKERS)

    @staticmethod
    def _first_due() -> object:
        return Run.objects.filter(status=RunStatus.QUEUED).order_by("rank").values_list("id", "epoch").first()

    def _flagged(self) -> object:
        """On SQLite nothing tells of a cancel or pause of a running run: look for one now and then."""
        now = time.monotonic()
        if connections["default"].vendor != "sqlite" or now < self._flags_at + FLAGS_EVERY:
            return None
        self._flags_at = now
        return Run.objects.filter(status=RunStatus.RUNNING).exclude(wanted="").values_list("id", "wanted").first()

    @staticmethod
    def _first_event() -> object:
        """On SQLite nothing tells of events either."""
        if connections["default"].vendor != "sqlite":
            return None
        waiting = Event.objects.filter(dispatched_at__isnull=True).order_by("workspace_id", "id")
        return waiting.values_list("id", "name").first()

    def _wait(self) -> None:
        if connections["default"].vendor == "postgresql":
            for _ in self._listening().notifies(timeout=LONGEST_WAIT, stop_after=1):
                self._has_news = True
            return
        ends = time.monotonic() + LONGEST_WAIT
        with connections["default"].cursor() as cursor:
            while time.monotonic() < ends:
                version = cursor.execute("PRAGMA data_version").fetchone()[0]
                if version != self._data_version:
                    self._data_version = version
                    return
                time.sleep(TICK if self.list_key == "runs" else TASK_TICK)

    def _listening(self) -> psycopg.Connection[Any]:
        if self._listener is None or self._listener.closed:
            self._listener = psycopg.connect(**postgres_parameters("broker"), autocommit=True)
            self._listener.execute(f'LISTEN "{QUEUE_CHANNEL}"')
            # What was announced before LISTEN took effect was not heard.
            self._has_news = True
        return self._listener

    def _disconnect(self) -> None:
        self._is_quiet = False
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        connections["default"].close()
