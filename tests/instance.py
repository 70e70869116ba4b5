"""A real instance of the product for acceptance tests: own folder, own database, own processes."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import httpx
import psutil

from tests.migrated import copy_database, create_database, drop_database, migrated_in

CHECKOUT = Path(__file__).resolve().parent.parent
AGENTSITE = [sys.executable, str(CHECKOUT / "manage.py")]
START_SECONDS = 60.0
STOP_SECONDS = 30.0
ADMIN_PASSWORD = "correct horse battery staple"
# What a developer may have exported for an instance of their own must not leak into the tests'.
OWN_SETTINGS = ("DATABASE_URL", "PUBLIC_URL", "ALLOWED_HOSTS", "SECRET_KEY", "DEBUG", "WORKERS")

T = TypeVar("T")


def wait_until(question: Callable[[], T], seconds: float = 20.0, what: str = "") -> T:
    """Ask until the answer is truthy, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            msg = f"gave up after {seconds:g} s waiting for {what or question}"
            raise TimeoutError(msg)
        time.sleep(0.05)


@dataclass
class Process:
    """A process of an instance and its log."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def children(self) -> list[psutil.Process]:
        """Return its descendants, the nearest first; none once it has ended."""
        try:
            return list(psutil.Process(self.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Ask it to end, insist when it does not, leave none of its session behind; return the exit code."""
        if self.is_running:
            self.popen.terminate()
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            self.clear()

    def clear(self) -> None:
        """Kill it and all of its session."""
        for member in _session(self.pid):
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.popen.wait()


def _session(leader: int) -> Iterator[int]:
    """Yield the processes of the session that a process of ours leads."""
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == leader:
                yield pid
        except ProcessLookupError:
            continue


@dataclass
class Template:
    """A migrated and prepared database, made once and copied for each instance."""

    directory: Path
    server: str
    database_url: str = ""
    token: str = ""
    """The administrator's, in each copy."""

    @classmethod
    def shared(cls, directory: Path, server: str) -> "Template":
        """Give the template of all processes that name this folder: whoever comes first prepares it."""
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "template.json").open("a+") as note:
            fcntl.flock(note, fcntl.LOCK_EX)
            note.seek(0)
            if text := note.read():
                return cls(directory, **json.loads(text))
            made = cls(directory, server)
            made.prepare()
            note.write(json.dumps({"server": server, "database_url": made.database_url, "token": made.token}))
            return made

    @classmethod
    def drop_shared(cls, directory: Path) -> None:
        """Remove the template of a folder, if one was made."""
        note = directory / "template.json"
        if note.exists() and (text := note.read_text()):
            template = cls(directory, **json.loads(text))
            template.drop(template.database_url)

    def prepare(self) -> None:
        """Create the database and let the product set it up as on a first start."""
        self.database_url = self._make(template=migrated_in(self.directory))
        made = Instance(directory=self.directory / "template", database_url=self.database_url)
        made.manage("prepare", AGENTSITE_ADMIN_PASSWORD=ADMIN_PASSWORD)
        self.token = made.token()

    def copy(self) -> str:
        """Return the URL of a fresh copy of the database."""
        return self._make(template=self.database_url)

    def drop(self, url: str) -> None:
        """Remove a copy."""
        drop_database(url)

    def _make(self, template: str) -> str:
        name = f"instance_{uuid4().hex[:12]}"
        if self.server:
            url = urlunsplit(urlsplit(self.server)._replace(path=f"/{name}"))
        else:
            url = f"sqlite:///{self.directory / f'{name}.sqlite3'}"
        if template:
            copy_database(template, url)
        else:
            create_database(url)
        return url


def free_port() -> int:
    """Return a port that nothing listens on right now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Instance:
    """The product as a user has it: `agentsite` processes on a folder and a database of their own."""

    directory: Path
    database_url: str
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    processes: list[Process] = field(default_factory=list)
    admin_token: str = ""
    """Made when it is needed, unless the database came with one."""

    def __post_init__(self) -> None:
        self.var_dir.mkdir(parents=True, exist_ok=True)

    @property
    def var_dir(self) -> Path:
        return self.directory / "var"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @cached_property
    def api(self) -> httpx.Client:
        """A client of the REST API with the administrator's token; paths are relative to /api/v1/."""
        return self.client(self.admin_token or self.token())

    def client(self, token: str) -> httpx.Client:
        """Return a client of the REST API that carries a token."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=20.0, trust_env=False)

    def start_web(self, **environment: str) -> Process:
        """Start the web process and wait until it answers."""
        process = self.start("web", "--port", str(self.port), name="web", **environment)

        def answers() -> bool:
            assert process.is_running, f"web ended with {process.popen.returncode}:\n{self.tail(process)}"
            try:
                httpx.get(f"{self.url}/api/v1/", timeout=5.0, trust_env=False)
            except httpx.TransportError:
                return False
            return True

        wait_until(answers, START_SECONDS, "the web process to answer")
        return process

    def start_worker(self, queue: str = "runs", *, within: Sequence[str] = (), **environment: str) -> Process:
        """Start one cluster with a single worker process, unless WORKERS says otherwise."""
        figures = {"WORKERS": "1"} | environment
        return self.start("worker", "--queue", queue, name=f"worker-{queue}", within=within, **figures)

    def start(self, *command: str, name: str = "", within: Sequence[str] = (), **environment: str) -> Process:
        """Start a command in a session of its own, its output going to a log; `within` another program's command."""
        name = f"{name or command[0]}-{len(self.processes) + 1}"
        log = self.directory / f"{name}.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [*within, *AGENTSITE, *command],
                cwd=CHECKOUT,
                env=self._environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(name, popen, log)
        self.processes.append(process)
        return process

    def kill(self, process: Process | psutil.Process | int, by: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to one process and to nothing else."""
        os.kill(process if isinstance(process, int) else process.pid, by)

    def manage(self, *arguments: str, **environment: str) -> str:
        """Run a command to its end and return what it printed; fail with its errors when it fails."""
        done = self.run(*arguments, **environment)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is."""
        return subprocess.run(
            [*AGENTSITE, *arguments],
            cwd=CHECKOUT,
            env=self._environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )

    def token(self, user: str = "admin", *, workspace: str = "default", scopes: Sequence[str] = ()) -> str:
        """Return a new API token."""
        options = [text for scope in scopes for text in ("--scope", scope)]
        return self.manage("token", "create", "--user", user, "--workspace", workspace, *options).split()[-1]

    def stop(self) -> None:
        """Stop everything that was started, the latest first."""
        if "api" in self.__dict__:
            self.api.close()
        for process in reversed(self.processes):
            process.stop()

    def kill_all(self) -> None:
        """End everything that was started at once, as nothing of it is needed any more."""
        if "api" in self.__dict__:
            self.api.close()
        for process in self.processes:
            process.clear()

    def logs(self, lines: int = 60) -> str:
        """Return the end of each process's log."""
        return "\n".join(f"--- {process.name}\n{self.tail(process, lines)}" for process in self.processes)

    @staticmethod
    def tail(process: Process, lines: int = 60) -> str:
        return "\n".join(process.log.read_text(errors="replace").splitlines()[-lines:])

    def _environment(self, extra: dict[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in OWN_SETTINGS}
        return {
            **inherited,
            "DJANGO_SETTINGS_MODULE": "agentsite.settings",
            "VAR_DIR": str(self.var_dir),
            "PORT": str(self.port),
            "DATABASE_URL": self.database_url,
            "PYTHONUNBUFFERED": "1",
            **self.environment,
            **extra,
        }


@contextmanager
def running_instance(template: Template, directory: Path, **environment: str) -> Iterator[Instance]:
    """Yield a prepared instance without processes; end whatever was started in it, and remove its database."""
    url = template.copy()
    made = Instance(directory=directory, database_url=url, environment=environment, admin_token=template.token)
    try:
        yield made
    finally:
        made.kill_all()
        template.drop(url)
