"""Where streamed text goes while a step runs: appended rows, at most one per step and tenth of a second."""

from __future__ import annotations

import threading
from collections import defaultdict
from uuid import UUID

from django.db import connection, transaction

from agents.engine.canonical import clean_text
from agents.engine.notify import announce
from agents.engine.outages import DATABASE_ERRORS, Outage, outage_of, outages
from agents.models import Partial

EVERY = 0.1


class DatabasePartials:
    """Writes streamed text on a thread and a connection of its own.

    What can't be written is dropped: the step does not wait for its watchers.
    """

    def __init__(self) -> None:
        self._texts: dict[tuple[UUID, str, int], list[str]] = defaultdict(list)
        self._numbers: dict[tuple[UUID, str, int], int] = {}
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._thread: threading.Thread | None = None

    def append(self, run_id: UUID, key: str, attempt: int, text: str) -> None:
        with self._lock:
            self._texts[run_id, key, attempt].append(text)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_forever, name="partials", daemon=True)
            self._thread.start()
        self._filled.set()

    def _write_forever(self) -> None:
        while True:
            self._filled.wait()
            self._filled.clear()
            try:
                self.flush()
            except DATABASE_ERRORS as error:
                outages.failed("streamed text, dropped", outage_of(error) or Outage.BUSY, error)
                connection.close()
            else:
                outages.worked("streamed text, dropped")
            threading.Event().wait(EVERY)

    def flush(self) -> None:
        """Write what has gathered."""
        with self._lock:
            texts, self._texts = self._texts, defaultdict(list)
        rows = []
        for (run_id, key, attempt), chunks in texts.items():
            number = self._numbers[run_id, key, attempt] = self._numbers.get((run_id, key, attempt), 0) + 1
            text = clean_text("".join(chunks))
            rows.append(Partial(run_id=run_id, key=key, attempt=attempt, number=number, text=text))
        with transaction.atomic():
            Partial.objects.bulk_create(rows)
            announce(live=True)
        if len(self._numbers) > 10_000:
            self._numbers.clear()
