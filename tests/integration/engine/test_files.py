"""Files that runs keep by tools: found again by their names, in their run alone, and never elsewhere. Fault H 42."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from agents.engine import Context, Permanent, StepFailed, workflow
from agents.engine.artifacts import FileArtifacts
from agents.engine.messages import user
from agents.engine.ports import Ports
from agents.engine.worker_settings import WorkerSettings
from agents.models import Artifact, Event, Run, Workspace
from agents.services.artifacts import RunFiles
from agents.services.runs import retry_run, start_run
from agents.testing import ScriptedModel, ScriptedTools
from agents.workflows.redacting import RedactingTools
from agents.workflows.toolport import RegistryToolPort
from tests.driving import QUICK, Partials, RunningDriver, until
from tests.factories import make_run
from tools import tool
from tools.errors import ToolFailed
from tools.redaction import Redactor
from tools.registry import Registry
from tools.types import File

NAMES = [
    "../x",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    ".hidden",
    "a\\b",
    "C:x",
    "a\x00b",
    "a\nb",
    "",
    "x" * 201,
    " ",
    "\u202ex",
]


class Closing(RunFiles):
    """Leaves no connection open in the threads of the tools, which outlive the test."""

    def load(self, workspace_id: int, run_id: UUID, name: str) -> File:
        try:
            return super().load(workspace_id, run_id, name)
        finally:
            connections.close_all()


async def _nothing(workspace_id: int) -> Redactor:
    return Redactor()


@pytest.mark.fault(42)
def test_files_are_kept_and_read_by_their_names_and_by_nothing_else(
    workspace: Workspace, model: ScriptedModel, tmp_path: Path
) -> None:
    store = FileArtifacts(tmp_path / "artifacts")

    @workflow("files")
    async def files(ctx: Context, input: Any) -> Any:
        await ctx.tool("write_artifact", name="a.txt", content="first")
        await ctx.tool("write_artifact", name="a.txt", content="grüße", media_type="text/markdown")
        refused = []
        for name in NAMES:
            for called in ("write_artifact", "read_artifact"):
                more: dict[str, Any] = {"content": "x"} if called == "write_artifact" else {}
                try:
                    await ctx.tool(called, name=name, **more)
                except StepFailed as failure:
                    refused.append(failure.type)
        found = await ctx.tool("read_artifact", name="a.txt", start=1)
        return [found.text, found.data, refused]

    tools = RedactingTools(RegistryToolPort(search=lambda *_: [], files=Closing(store)), _nothing)
    driver = RunningDriver(Ports(model, tools, Partials(), store), WorkerSettings(**QUICK))
    try:
        run = start_run(workspace=workspace, workflow="files", input={}, by=None)
        ended = until(run.pk)
    finally:
        driver.stop()
    assert ended.status == "succeeded", ended.error
    text, data, refused = ended.output
    assert text == "rüße"
    assert data == {"name": "a.txt", "media_type": "text/markdown", "characters": 5, "start": 1}
    assert refused == ["ToolFailed"] * 2 * len(NAMES)
    assert set(Artifact.objects.values_list("name", flat=True)) == {"a.txt"}
    assert {path.name for path in tmp_path.iterdir()} == {"artifacts"}
    assert_each_is_an_event(workspace, run)
    assert_nobody_else_has_it(RunFiles(store), run)


def assert_each_is_an_event(workspace: Workspace, run: Run) -> None:
    """Each file is an event of the run that kept it, written with it."""
    told = Event.objects.filter(name="artifact.added", source="artifacts", cause=run).order_by("id")
    assert [event.data for event in told] == [
        {
            "artifact": str(kept.pk),
            "run": str(run.pk),
            "step": f"tool:write_artifact#{number}",
            "name": "a.txt",
            "media_type": kept.media_type,
            "size": kept.size,
        }
        for number, kept in enumerate(Artifact.objects.order_by("id"))
    ]
    assert [(event.workspace, event.tainted) for event in told] == [(workspace, False)] * 2


def assert_nobody_else_has_it(files_of: RunFiles, run: Run) -> None:
    """Another run, and another workspace, have no such file."""
    assert files_of.load(run.workspace_id, run.pk, "a.txt").content == "grüße".encode()
    for workspace_id, run_id in ((run.workspace_id + 1, run.pk), (run.workspace_id, make_run(run.workspace).pk)):
        with pytest.raises(ToolFailed, match="no file named"):
            files_of.load(workspace_id, run_id, "a.txt")


def test_of_a_long_result_the_model_reads_the_beginning_and_the_whole_is_a_file(
    workspace: Workspace, model: ScriptedModel, tmp_path: Path
) -> None:
    known, store = Registry(), FileArtifacts(tmp_path)
    model.replies = ["read"]
    whole = "".join(f"line {number} of the log\n" for number in range(10_000))

    @tool(into=known, effect="none", trust="trusted", kind="search")
    def read_log() -> str:
        "Read the log."
        return whole

    @workflow("long_result")
    async def long_result(ctx: Context, input: Any) -> Any:
        found = await ctx.tool("read_log")
        await ctx.think([user("What does the log say?"), found])
        return found.text

    tools = RegistryToolPort(search=lambda *_: [], known=known, files=Closing(store))
    driver = RunningDriver(Ports(model, tools, Partials(), store), WorkerSettings(**QUICK))
    try:
        run = start_run(workspace=workspace, workflow="long_result", input={}, by=None)
        ended = until(run.pk)
    finally:
        driver.stop()
    assert ended.status == "succeeded", ended.error
    file = Artifact.objects.get(run=run)
    assert store.read(file.address).decode() == whole
    assert (file.key, file.media_type) == ("tool:read_log#0", "text/plain")
    (request,) = model.requests
    read = request.messages[-1].text
    assert read == ended.output
    assert read.startswith(whole[:99_000])
    assert len(read) < 100_200
    assert read.endswith(
        f"[Cut here: {len(whole) - 100_000:,} more characters.]\n\n[Kept as a file of this run: {file.name}]"
    )


def test_a_step_that_is_executed_anew_after_a_retry_keeps_its_file_again(
    workspace: Workspace, model: ScriptedModel, tmp_path: Path
) -> None:
    store = FileArtifacts(tmp_path)
    tries: list[str] = []

    def fail_once() -> str:
        tries.append("x")
        if len(tries) == 1:
            raise Permanent("not yet")
        return "done"

    @workflow("reports_failure")
    async def reports_failure(ctx: Context, input: Any) -> Any:
        failure = None
        try:
            await ctx.step("work", fail_once)
        except StepFailed as error:
            failure = error
        await ctx.artifact("report.txt", f"failed: {failure is not None}")
        if failure is not None:
            raise failure
        return "done"

    driver = RunningDriver(Ports(model, ScriptedTools(), Partials(), store), WorkerSettings(**QUICK))
    try:
        run = start_run(workspace=workspace, workflow="reports_failure", input={}, by=None)
        assert until(run.pk).status == "failed"
        retry_run(Run.objects.get(pk=run.pk), by=None)
        ended = until(run.pk)
    finally:
        driver.stop()
    assert (ended.status, ended.output) == ("succeeded", "done"), ended.error
    kept = Artifact.objects.filter(run=run).order_by("pk")
    assert [store.read(file.address) for file in kept] == [b"failed: True", b"failed: False"]
    assert [store.read(file.address) for file in kept.standing()] == [b"failed: False"]
    assert RunFiles(store).load(workspace.pk, run.pk, "report.txt").content == b"failed: False"


@pytest.mark.fault(42)
def test_a_link_in_the_place_of_a_file_leads_nowhere(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "artifacts")
    outside = tmp_path / "outside"
    outside.write_bytes(b"a secret")
    address = store.write(1, b"content")
    assert store.read(address) == b"content"
    path = store.path(address)
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises((OSError, ValueError)):
        store.read(address)
    path.unlink()
    os.link(outside, path)
    with pytest.raises(ValueError, match="not the one"):
        store.read(address)
    for wrong in ("../outside", "1/../../outside", str(outside)):
        with pytest.raises((OSError, ValueError)):
            store.read(wrong)
