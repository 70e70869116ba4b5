"""The supervisor with real child processes, itself in a process of its own so that signals reach only it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.instance import wait_until

SUPERVISED = """
import sys
from agents.management import supervisor
from agents.management.children import Program

supervisor.FIRST_PAUSE = float(sys.argv[2])
programs = [Program(f"part{n}", ["sh", "-c", script], {}, stage=n) for n, script in enumerate(sys.argv[3:])]
sys.exit(supervisor.Supervisor(programs, grace=float(sys.argv[1]), say=lambda text: print(text, flush=True)).run())
"""
pytestmark = pytest.mark.once("no process of these has a database")

WAITS = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
DEAF = "trap '' TERM; while :; do sleep 0.05; done"


class Supervised:
    """A supervisor over shell scripts, one stage each."""

    def __init__(self, log: Path, *scripts: str, grace: float = 5.0, pause: float = 1.0) -> None:
        self.log = log
        with log.open("wb") as output:
            command = [sys.executable, "-c", SUPERVISED, str(grace), str(pause), *scripts]
            self.process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.said, 20, f"{text!r} in:\n{self.said}")

    def children(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children())


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "log"
    left = [process for process in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(process.info["cmdline"])]
    assert not left


def test_signal_stops_stage_by_stage_and_exits_clean(log: Path) -> None:
    supervised = Supervised(log, WAITS, WAITS)
    supervised.wait_for("part1 started")
    children = supervised.children()
    supervised.process.send_signal(signal.SIGINT)
    assert supervised.process.wait(15) == 0
    assert not any(child.is_running() for child in children)
    assert supervised.said.index("part0 (pid") < supervised.said.index("part1 (pid")


def test_the_dead_are_named_and_started_again(log: Path) -> None:
    supervised = Supervised(log, WAITS)
    supervised.wait_for("part0 started")
    supervised.children()[0].kill()
    supervised.wait_for("died: killed by SIGKILL; starting it again in 1 s")
    wait_until(lambda: supervised.said.count("part0 started") == 2)
    supervised.process.terminate()
    assert supervised.process.wait(15) == 0


def test_what_keeps_dying_takes_all_down(log: Path) -> None:
    supervised = Supervised(log, WAITS, "exit 7", pause=0.1)
    assert supervised.process.wait(40) == 1
    assert "part1" in supervised.said
    assert "exit code 7; 5 times within a minute, giving up" in supervised.said


def test_the_deaf_are_killed_after_the_grace_period(log: Path) -> None:
    supervised = Supervised(log, DEAF, grace=0.5)
    supervised.wait_for("part0 started")
    time.sleep(0.3)
    supervised.process.terminate()
    assert supervised.process.wait(15) == 0
    assert "did not stop within" in supervised.said


def test_a_second_signal_forces(log: Path) -> None:
    supervised = Supervised(log, DEAF, grace=60)
    supervised.wait_for("part0 started")
    time.sleep(0.3)
    for _ in range(2):
        supervised.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    assert supervised.process.wait(10) == 0


def test_children_die_with_a_killed_supervisor(log: Path) -> None:
    supervised = Supervised(log, WAITS, WAITS)
    supervised.wait_for("part1 started")
    children = supervised.children()
    os.kill(supervised.process.pid, signal.SIGKILL)
    supervised.process.wait(10)
    wait_until(lambda: not any(child.is_running() for child in children), 10)
