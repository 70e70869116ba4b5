"""The client of the chaos: starts runs over the API, steers them, answers what they ask, remembers every promise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

import httpx
from django.db import DatabaseError, InterfaceError, connection

from agents.engine import control
from agents.engine.deciding import decision_name
from agents.models import ENDED, Run, Wait, WaitKind
from tests.chaos.ledger import Known, Ledger
from tests.chaos.outside import Outside
from tests.chaos.plans import Order, first_events, message_for, name_in, order
from tests.instance import Instance

MOST_ACTIVE = 50
"""Runs of the client that may be under way at once."""
START_GAP = 0.15
LOOK_GAP = 0.25
ASK_SECONDS = 90.0
MOST_RETRIES = 8
UNCLEAR = (500, 502, 503, 504)
"""Answers after which the client does not know whether it was done, and asks again."""


class Unanswered(Exception):
    """The product has not answered for very long."""


class Client:
    """Two threads: one starts runs, the other watches and steers them until all have ended."""

    def __init__(self, instance: Instance, token: str, seed: int, ledger: Ledger, outside: Outside) -> None:
        self.ledger = ledger
        self.error: BaseException | None = None
        self._instance = instance
        self._token = token
        self._seed = seed
        self._outside = outside
        self._active = 0
        self._started = 0
        self._ended: set[str] = set()
        self._is_over = threading.Event()
        self._is_closed = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(loop,), daemon=True)
            for loop in (self._start_runs, self._steer_runs)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop_starting(self) -> None:
        """Start no more runs; those that were accepted are steered to their end."""
        self._is_over.set()
        self._threads[0].join(ASK_SECONDS)

    def close(self) -> None:
        """Stop steering."""
        self._is_over.set()
        self._is_closed.set()
        for thread in self._threads:
            thread.join(ASK_SECONDS)

    def is_done(self) -> bool:
        """Whether every run, also those that runs started, has ended, and the client wants no more of any."""
        if Run.objects.active().exists():
            return False
        return all(run in self._ended for run in self.ledger.started())

    def _guarded(self, loop: Callable[[httpx.Client], None]) -> None:
        try:
            with self._instance.client(self._token) as api:
                loop(api)
        except BaseException as error:  # noqa: BLE001 (shown with the result)
            self.error = error
        finally:
            connection.close()

    # -- starting --------------------------------------------------------------------------------------------------

    def _start_runs(self, api: httpx.Client) -> None:
        while not self._is_over.wait(START_GAP):
            if self._active < MOST_ACTIVE:
                self._start_one(api, order(self._seed, self._started))
                self._started += 1

    def _start_one(self, api: httpx.Client, wanted: Order) -> None:
        body = {"workflow": wanted.workflow, "input": {"plan": wanted.plan}, "priority": wanted.priority}
        # The key lets it ask again after an answer that was lost, without starting a second run.
        answer = self._ask(api, "runs", body, {"Idempotency-Key": f"chaos-{wanted.number}"})
        if answer.status_code != 202:
            self.ledger.complain(f"run {wanted.number} was refused: {answer.status_code} {answer.text}")
            return
        self.ledger.accepted(answer.json()["id"], wanted)
        if wanted.steering.early_messages:
            for key in first_events(wanted.plan):
                self._tell(answer.json()["id"], key, f"{key}:early")

    def _ask(
        self, api: httpx.Client, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Ask until there is a clear answer; what is asked is such that asking twice does nothing twice."""
        deadline = time.monotonic() + ASK_SECONDS
        while time.monotonic() < deadline:
            if answer := self._ask_once(api, path, body, headers):
                return answer
            time.sleep(0.2)
        raise Unanswered(f"no clear answer to {path} for {ASK_SECONDS:g} s")

    def _ask_once(
        self, api: httpx.Client, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response | None:
        """Ask once; None if it is not clear whether it was done."""
        try:
            answer = api.post(path, json=body, headers=headers)
        except httpx.TransportError:
            return None
        if answer.status_code == 500:
            self.ledger.complain(f"{path} was answered with 500: {answer.text}")
        # A conflict that says when to ask again: the request before, whose answer was lost, is still under way.
        is_open = answer.status_code in UNCLEAR or (answer.status_code == 409 and "retry-after" in answer.headers)
        return None if is_open else answer

    # -- steering --------------------------------------------------------------------------------------------------

    def _steer_runs(self, api: httpx.Client) -> None:
        while not self._is_closed.wait(LOOK_GAP):
            try:
                statuses = self._look()
                waits = list(
                    Wait.objects.filter(kind__in=(WaitKind.EVENT, WaitKind.UNKNOWN)).values_list(
                        "id", "run_id", "kind", "key"
                    )
                )
            except (DatabaseError, InterfaceError):
                connection.close()
                continue
            for run, status in statuses.items():
                self._steer(api, run, status)
            for wait, run_id, kind, key in waits:
                if kind == WaitKind.EVENT:
                    self._tell(str(run_id), key, f"{key}:{wait}")
                else:
                    self._decide(api, str(run_id), key.removeprefix(decision_name("")))

    def _look(self) -> dict[str, str]:
        open_runs = [run for run in self.ledger.started() if run not in self._ended]
        rows = Run.objects.filter(id__in=open_runs).values_list("id", "status")
        statuses = {str(id): status for id, status in rows}
        self._active = len(open_runs)
        return statuses

    def _steer(self, api: httpx.Client, run: str, status: str) -> None:
        known = self.ledger.known(run)
        assert known.order is not None
        steering, age = known.order.steering, time.time() - known.accepted_at
        if status in ENDED:
            self._after_the_end(api, run, known, status)
            return
        if known.paused_at is not None:
            if time.time() - known.paused_at > steering.pause_for or self._is_over.is_set():
                self._resume(api, run, known)
        elif steering.pause is not None and age > steering.pause and not self._has_done(known, "pause"):
            self._pause(api, run, known)
        if steering.cancel is not None and age > steering.cancel and not known.cancelled_at:
            self._ask(api, f"runs/{run}/cancel")
            known.cancelled_at.append(time.time())
            self.ledger.write("cancelled", run=run)

    @staticmethod
    def _has_done(known: Known, what: str) -> bool:
        """Whether this was done to the run before; remembers that it is done now."""
        if what in known.done:
            return True
        known.done.add(what)
        return False

    def _after_the_end(self, api: httpx.Client, run: str, known: Known, status: str) -> None:
        assert known.order is not None
        steering = known.order.steering
        is_to_go_on = status == "failed" or (status == "cancelled" and steering.retry_cancelled)
        if not is_to_go_on or len(known.retried_at) >= MOST_RETRIES:
            self._ended.add(run)
            return
        asked_at = time.time()
        answer = self._ask(api, f"runs/{run}/retry")
        if answer.status_code == 202:
            known.retried_at.append(asked_at)
            self.ledger.write("retried", run=run)

    def _pause(self, api: httpx.Client, run: str, known: Known) -> None:
        answer = self._ask(api, f"runs/{run}/pause")
        if answer.status_code == 202 or "paused already" in answer.text:
            known.paused_at = time.time()
            self.ledger.write("paused", run=run)

    def _resume(self, api: httpx.Client, run: str, known: Known) -> None:
        # Refused when the run has ended in spite of its pause, or when it was resumed by an answer that was lost.
        self._ask(api, f"runs/{run}/resume")
        known.paused_at = None
        self.ledger.write("resumed", run=run)

    def _tell(self, run: str, key: str, token: str) -> None:
        """Send what a run waits for; now and then twice, which must not count twice."""
        for _ in range(1 if Random(run + token).random() < 0.7 else 2):
            try:
                control.tell(UUID(run), key, message_for(name_in(key)), token=token)
            except (DatabaseError, InterfaceError):
                # Sent again when the run is seen to wait.
                connection.close()

    def _decide(self, api: httpx.Client, run: str, key: str) -> None:
        """Say what became of an unsafe step, as a person would who looks at the world."""
        known = self.ledger.known(run)
        if self._outside.has_happened(run, key):
            body: dict[str, Any] = {"key": key, "choice": "done", "outcome": name_in(key)}
        elif known.order is not None and known.order.steering.gives_up and not known.has_given_up:
            body = {"key": key, "choice": "give_up"}
            known.has_given_up = True
        else:
            body = {"key": key, "choice": "retry"}
            known.retry_choices.setdefault(key, []).append(time.time())
        # Not asked again at once: the next question about the step may find the world changed.
        self._ask_once(api, f"runs/{run}/decisions", body)
        self.ledger.write("decided", run=run, key=key, choice=body["choice"])
