"""One agent that ends at once, mapped over 10,000 inputs: sub-runs per second, and whether the worker grows."""

from __future__ import annotations

import time

from agents.models import ENDED, Agent, AgentVersion, Run, Step
from agents.services.runs import start_run
from benchmarks.harness import Bench, Memory
from benchmarks.report import Figures

INPUTS = 10_000
WIDTH = 500
TARGETS = {"postgresql": {"sub_runs_per_s": ">= 300"}, "sqlite": {}}


def measure(bench: Bench) -> Figures:
    make_agent(bench, "nobody", "bench_nothing")
    mapper = make_agent(bench, "mapper", "map", sub_agents=["nobody"], options={"width": WIDTH})
    (worker,) = bench.workers(bench.start_worker())
    bench.warm_up()
    memory, half = Memory(worker.pid), 0
    inputs = [{"n": n} for n in range(INPUTS)]
    id = start_run(workspace=bench.workspace, agent=mapper, input={"inputs": inputs}).id
    while not half:
        if Run.objects.filter(pk=id, status__in=ENDED).exists():
            raise RuntimeError("The run ended before half of it was seen.")
        if Step.objects.filter(run=id, kind="each", status="succeeded").count() >= INPUTS // WIDTH // 2:
            half = memory.now()
        time.sleep(0.25)
    span = bench.wait_for_end([id])
    run = Run.objects.get(pk=id)
    if run.output["succeeded"] != INPUTS:
        raise RuntimeError(f"Not all inputs have succeeded: {run.output}")
    return {
        "sub_runs": INPUTS,
        "sub_runs_per_s": round(INPUTS / span.seconds, 1),
        "replays_of_parent": run.epoch - 1,
        "megabytes_at_most": round(memory.most_over_idle() / 1e6, 1),
        "megabytes_of_second_half": round((memory.now() - half) / 1e6, 1),
    }


def make_agent(bench: Bench, name: str, workflow: str, **values: object) -> Agent:
    """Make a published agent."""
    agent = Agent.objects.create(workspace=bench.workspace, name=name)
    agent.current = AgentVersion.objects.create(agent=agent, number=1, workflow=workflow, **values)
    agent.save(update_fields=["current"])
    return agent
