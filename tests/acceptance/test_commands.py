"""The `agentsite` command as an operator uses it."""

import os
import re
import signal
import time

import httpx
import orjson
import psutil
import pytest

from tests.instance import Instance, Process, wait_until

ONCE = pytest.mark.once("the command line and its processes are what it is about")


def said(process: Process) -> str:
    return process.log.read_text()


def start_up(instance: Instance) -> Process:
    process = instance.start("up", WORKERS="1")
    wait_until(lambda: "ready at" in said(process) or not process.is_running, 60, "agentsite up to be ready")
    assert process.is_running, said(process)
    return process


def test_up_serves_restarts_what_dies_and_stops_all(instance: Instance) -> None:
    up = start_up(instance)
    assert httpx.get(f"{instance.url}/", trust_env=False).status_code in (200, 302)
    wait_until(lambda: "warn  workers" not in instance.run("doctor").stdout, 30, "a worker's first heartbeat")

    (web,) = [child for child in up.children() if child.cmdline()[2:4] == ["agentsite", "web"]]
    instance.kill(web)
    wait_until(lambda: f"web (pid {web.pid}) died: killed by SIGKILL" in said(up))
    wait_until(lambda: said(up).count("web started") == 2)

    children = up.children()
    up.popen.send_signal(signal.SIGINT)
    assert up.popen.wait(60) == 0, said(up)
    assert not any(child.is_running() for child in children)


@ONCE
def test_nothing_survives_a_killed_up(instance: Instance) -> None:
    up = start_up(instance)
    children = up.children()
    assert len(children) >= 3
    instance.kill(up)
    wait_until(lambda: not [child for child in children if psutil.pid_exists(child.pid)], 40, "all children to end")


@ONCE
def test_an_occupied_port_is_named_at_once(instance: Instance) -> None:
    instance.start_web()
    refused = instance.run("up")
    assert refused.returncode == 1
    assert f"Port {instance.port} is in use" in refused.stderr


@ONCE
def test_first_link_is_printed_until_there_is_a_password(instance: Instance) -> None:
    assert instance.manage("prepare") == "", "the template's administrator has a password"
    script = "from agents.models import User; u = User.objects.get(); u.set_unusable_password(); u.save()"
    instance.manage("shell", "--command", script)
    link = instance.manage("prepare").strip()
    assert re.fullmatch(rf"http://localhost:{instance.port}/welcome/[\w-]{{40,}}", link)


def test_run_prints_the_result_and_exits_by_the_outcome(shared_instance: Instance) -> None:
    done = shared_instance.run("run", "tool-agent", "What is 6 * 7?")
    assert done.returncode == 0, done.stderr
    assert "42" in done.stdout
    assert "think" in done.stderr

    as_json = shared_instance.run("run", "tool-agent", "What is 6 * 7?", "--json")
    run = orjson.loads(as_json.stdout)
    assert run["status"] == "succeeded"
    assert as_json.stderr == ""


@ONCE
def test_ctrl_c_detaches_and_the_run_goes_on(shared_instance: Instance) -> None:
    watching = watch(shared_instance, "Wait 60 seconds")
    os.kill(watching.pid, signal.SIGINT)
    assert watching.popen.wait(20) == 3, said(watching)
    assert "the run goes on" in said(watching)


@ONCE
def test_ctrl_c_twice_cancels_the_run(shared_instance: Instance) -> None:
    watching = watch(shared_instance, "Wait 61 seconds")
    for _ in range(2):
        os.kill(watching.pid, signal.SIGINT)
        time.sleep(0.2)  # two that come at the same moment are one
    assert watching.popen.wait(20) == 2, said(watching)
    assert said(watching).rstrip().endswith("cancelled")


def watch(instance: Instance, goal: str) -> Process:
    watching = instance.start("run", "tool-agent", goal)
    wait_until(lambda: goal in instance.api.get("runs").text, 30, "the run to be started")
    time.sleep(1.0)  # it prints nothing that would tell when it has begun to watch: stderr is no terminal here
    return watching


@ONCE
def test_unknown_names_are_explained(shared_instance: Instance) -> None:
    assert "no workspace 'nowhere'" in shared_instance.run("run", "researcher", "x", "--workspace", "nowhere").stderr
    assert "no user 'nobody'" in shared_instance.run("token", "create", "--user", "nobody").stderr


@ONCE
def test_deploy_check_is_clean(instance: Instance) -> None:
    done = instance.run("check", "--deploy", "--fail-level", "WARNING", PUBLIC_URL="https://agents.example.org")
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout
