"""Events: accepted by one web process, from the commit to a run's first step, and met with ever more subscriptions.

`single` is one event for each request of 32 clients, `batch` a hundred for each of four. What a dispatcher takes for an
event is measured here, in a process without a worker: for events that nobody wants, and for such as start one run.
"""

from __future__ import annotations

import random
import time
from uuid import UUID

from django.db import transaction

from agents.models import Agent, AgentVersion, Match, Subscription, Workspace
from agents.services.dispatching import Dispatcher
from agents.services.events import NewEvent, emit_event, emit_events
from benchmarks.accept import load
from benchmarks.harness import Bench, stamps_of
from benchmarks.report import Figures, milliseconds, percentile

_SHARED = {"batch_events_per_second": ">= 500", "unwanted_10000_to_10": "<= 1.5", "wanted_10000_to_10": "<= 1.5"}
TARGETS = {"sqlite": _SHARED, "postgresql": {**_SHARED, "first_step_ms_p50": "<= 40"}}
SECONDS = 8
CLIENTS, BATCH_CLIENTS, BATCH = 32, 4, 100
STARTS = 60
SUBSCRIPTIONS = (10, 1_000, 10_000)
EVENTS, ROUNDS = 100, 5


def measure(bench: Bench) -> Figures:
    agent = _agent(bench.workspace)
    figures = _matching(bench.workspace, agent)
    bench.instance.start_web()
    token = bench.instance.token()
    load(bench, token, clients=4, seconds=2, events=1)
    single = load(bench, token, clients=CLIENTS, seconds=SECONDS, events=1)
    batch = load(bench, token, clients=BATCH_CLIENTS, seconds=SECONDS, events=BATCH)
    bench.start_worker()
    bench.warm_up()
    starts = [_first_step(bench) for _ in range(STARTS)]
    return {
        "single_events_per_second": round(len(single) / SECONDS, 1),
        "single_ms_p50": milliseconds(percentile(single, 50)),
        "single_ms_p99": milliseconds(percentile(single, 99)),
        "batch_events_per_second": round(len(batch) * BATCH / SECONDS, 1),
        "batch_ms_p50": milliseconds(percentile(batch, 50)),
        "first_step_ms_p50": milliseconds(percentile(starts, 50)),
        "first_step_ms_p95": milliseconds(percentile(starts, 95)),
        **figures,
    }


def _agent(workspace: Workspace) -> Agent:
    agent = Agent.objects.create(workspace=workspace, name="bench")
    agent.current = AgentVersion.objects.create(agent=agent, number=1, workflow="bench_stamps")
    agent.save()
    return agent


def _first_step(bench: Bench) -> float:
    """Give the seconds from the commit of an event to the start of the first step of the run that it starts."""
    # At any point of the polling loops, not always at the same one.
    time.sleep(random.uniform(0.05, 0.25))
    with transaction.atomic():
        event = emit_event(bench.workspace, "bench.wanted", {"stamps": 1})
    told = time.time()
    run = _started(event.pk)
    bench.wait_for_end([run])
    return stamps_of(run)[0] - told


def _started(event: int) -> UUID:
    ends = time.monotonic() + 30.0
    while (run := Match.objects.filter(event=event, run__isnull=False).values_list("run", flat=True).first()) is None:
        if time.monotonic() > ends:
            raise TimeoutError(f"The event {event} has started nothing.")
        time.sleep(0.005)
    return run


def _matching(workspace: Workspace, agent: Agent) -> Figures:
    """Give the microseconds that an event takes by how many subscriptions there are; one wants `bench.wanted`."""
    figures: Figures = {}
    wanted = Subscription(workspace=workspace, name="wanted", pattern="bench.wanted", agent=agent, state="active")
    wanted.input = {"stamps": "{{ data.stamps }}"}
    wanted.save()
    made = 1
    for count in SUBSCRIPTIONS:
        others = [
            Subscription(
                workspace=workspace,
                name=f"other-{number}",
                pattern=f"other.{number}" if number % 2 else f"other.{number}.*",
                agent=agent,
                state="active",
            )
            for number in range(made, count)
        ]
        Subscription.objects.bulk_create(others, batch_size=500)
        made = count
        for kind in ("unwanted", "wanted"):
            figures[f"{kind}_us_at_{count}"] = _dispatch(workspace, f"bench.{kind}")
    for kind in ("unwanted", "wanted"):
        most, least = SUBSCRIPTIONS[-1], SUBSCRIPTIONS[0]
        figures[f"{kind}_{most}_to_{least}"] = round(
            float(figures[f"{kind}_us_at_{most}"]) / float(figures[f"{kind}_us_at_{least}"]), 2
        )
    return figures


def _dispatch(workspace: Workspace, name: str) -> float:
    """Give the least microseconds that an event took, of some rounds: others take the processors now and then."""
    dispatch = Dispatcher()
    taken = []
    for _ in range(ROUNDS):
        with transaction.atomic():
            emit_events(workspace, [NewEvent(name=name, data={"stamps": 1}) for _ in range(EVENTS)])
        began = time.perf_counter()
        dispatch()
        taken.append((time.perf_counter() - began) / EVENTS * 1e6)
    return round(min(taken), 1)
