"""10,000 parked runs beside 100,000 finished ones: what they cost a worker, how soon runs wake, how quick pages are."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid4

from django.test import Client

from agents.models import Agent, AgentVersion, Run, RunStatus, User, Wait
from agents.services.events import send_signal
from benchmarks.filling import fill
from benchmarks.harness import Bench, Memory, cpu_seconds, stamps_of
from benchmarks.report import Figures, both, milliseconds, percentile
from tests.instance import wait_until

FINISHED, PARKED = 100_000, 10_000
WAKES, TIMERS, LOOKS = 30, 50, 7
COMMON_EVERY = 2
IDLE_SECONDS = 10.0
TIMER_SECONDS = 6.0
TARGETS = both({"megabytes_over_idle": "<= 60", "wake_ms_p50": "<= 50", "page_ms_most": "<= 250"})


def measure(bench: Bench) -> Figures:
    figures: Figures = {"finished": FINISHED, "parked": PARKED, "fill_seconds": round(fill(FINISHED), 1)}
    rare, common = _agents(bench)
    cluster = bench.start_worker()
    bench.warm_up()
    (worker,) = bench.workers(cluster)
    memory = Memory(worker.pid)
    parked, seconds = _park(bench, common)
    figures |= {
        "parked_per_second": round(PARKED / seconds, 1),
        "megabytes_most_over_idle": round(memory.most_over_idle() / 1e6, 1),
    }
    memory = Memory(worker.pid)
    before = cpu_seconds(worker.pid)
    time.sleep(IDLE_SECONDS)
    figures["percent_of_a_core"] = round(100 * (cpu_seconds(worker.pid) - before) / IDLE_SECONDS, 2)
    wakes = _wakes(bench)
    late = _timers(bench)
    figures |= {
        "megabytes_over_idle": round(memory.most_over_idle() / 1e6, 1),
        "wake_ms_p50": milliseconds(percentile(wakes, 50)),
        "wake_ms_max": milliseconds(max(wakes)),
        "timer_late_ms_p50": milliseconds(percentile(late, 50)),
        "timer_late_ms_max": milliseconds(max(late)),
    }
    pages = _pages(bench, parked[0], (rare, common))
    return figures | {f"{name}_ms": took for name, took in pages.items()} | {"page_ms_most": max(pages.values())}


def _agents(bench: Bench) -> tuple[Agent, Agent]:
    """Make an agent with five old runs, and one with half of all."""
    made = []
    for name in ("rare", "common"):
        agent = Agent.objects.create(workspace=bench.workspace, name=name)
        agent.current = AgentVersion.objects.create(agent=agent, number=1, workflow="bench_parked")
        agent.save()
        made.append(agent)
    rare, common = made
    runs = Run.objects.filter(workflow="bench_noops").order_by("id")
    Run.objects.filter(pk__in=list(runs.values_list("pk", flat=True)[:5])).update(agent_version=rare.current)
    chosen = list(runs.values_list("pk", flat=True)[5::COMMON_EVERY])
    for start in range(0, len(chosen), 5_000):
        Run.objects.filter(pk__in=chosen[start : start + 5_000]).update(agent_version=common.current)
    return rare, common


def _park(bench: Bench, agent: Agent) -> tuple[list[UUID], float]:
    """Queue runs that sleep for long; give them and how long it took until all were parked."""
    began = time.monotonic()
    runs = bench.queue_runs("bench_sleeps", PARKED, seconds=86_400.0)
    among = Run.objects.filter(id__range=(min(runs), max(runs)))
    among.update(agent_version=agent.current)
    wait_until(lambda: among.filter(status=RunStatus.WAITING).count() == PARKED, 300.0, "all runs to be parked")
    return runs, time.monotonic() - began


def _wakes(bench: Bench) -> list[float]:
    """Tell runs what they wait for, one after the other; give the seconds until each takes its next step."""
    runs = bench.queue_runs("bench_parked", WAKES)
    among = Run.objects.filter(id__range=(min(runs), max(runs)), status=RunStatus.WAITING)
    wait_until(lambda: among.count() == WAKES, 60.0, "runs that wait for an event")
    return [_wake(run) for run in runs]


def _wake(run_id: UUID) -> float:
    send_signal(Run.objects.get(pk=run_id), "go", None, signal_id=str(uuid4()))
    told = time.time()
    wait_until(lambda: stamps_of(run_id), what="the run to go on")
    return stamps_of(run_id)[0] - told


def _timers(bench: Bench) -> list[float]:
    """Give by how many seconds runs that sleep go on after their time."""
    runs = bench.queue_runs("bench_sleeps", TIMERS, seconds=TIMER_SECONDS)
    due: dict[UUID, datetime] = {}

    def are_parked() -> bool:
        found = Wait.objects.filter(run__in=runs, kind="timer", due_at__isnull=False)
        due.update((run, at) for run, at in found.values_list("run_id", "due_at") if at is not None)
        return len(due) == TIMERS

    wait_until(are_parked, TIMER_SECONDS, "the timers")
    bench.wait_for_end(runs)
    return [stamps_of(run)[0] - due[run].timestamp() for run in runs]


def _pages(bench: Bench, parked: UUID, agents: Iterable[Agent]) -> dict[str, float]:
    """Give the milliseconds that each page takes a member, the median of some looks."""
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(username="admin"))
    base = f"/w/{bench.workspace.slug}"
    addresses = {
        "home": f"{base}/",
        "runs": f"{base}/runs/",
        "runs_waiting": f"{base}/runs/?status=waiting",
        "runs_failed": f"{base}/runs/?status=failed",
        "agents": f"{base}/agents/",
        "workers": f"{base}/workers/",
        "run": f"{base}/runs/{parked}/",
        **{f"agent_{agent.name}": f"{base}/agents/{agent.name}/" for agent in agents},
        **{f"runs_of_{agent.name}": f"{base}/runs/?agent={agent.name}" for agent in agents},
    }
    return {name: _look(client, address) for name, address in addresses.items()}


def _look(client: Client, address: str) -> float:
    taken = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        response = client.get(address)
        taken.append(time.perf_counter() - began)
        if response.status_code != 200:
            raise RuntimeError(f"{address} answered {response.status_code}.")
    return milliseconds(percentile(taken, 50))
