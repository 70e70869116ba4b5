"""What all tests share: settings of their own, the database, real instances, time limits.

DATABASE_URL chooses the database (default: a SQLite file). FAIL_ON_SKIP=1 turns every skip into a failure.
"""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

# Before anything reads the settings: the tests' instance lives in a folder of its own, never in the developer's.
# Processes of xdist inherit the folder that the first one made.
_MADE_VAR_DIR = "PYTEST_XDIST_WORKER" not in os.environ
if _MADE_VAR_DIR:
    os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="agentsite-tests-")
    for _name in ("PUBLIC_URL", "ALLOWED_HOSTS", "SECRET_KEY", "DEBUG", "OPENAI_API_KEY", "OPENAI_BASE_URL", "MODEL"):
        os.environ.pop(_name, None)
os.environ["DJANGO_SETTINGS_MODULE"] = "agentsite.settings"

import pytest

from tests.instance import Instance, Template, running_instance
from tests.migrated import drop_migrated

TESTS = Path(__file__).resolve().parent
# A test that needs longer is stuck: its stack is printed and the run ends.
SECONDS = {"unit": 60, "integration": 60, "acceptance": 180}
# What takes longest begins first: otherwise one process is still busy with it when the others have nothing left.
FIRST = (
    *(f"acceptance/test_{name}.py" for name in ("cluster", "kill", "browser", "boundaries")),
    "chaos/test_chaos.py",
    *(f"acceptance/test_{name}.py" for name in ("trust", "two_hosts", "live_resume", "process_tools", "limits")),
)
KINDS = ("acceptance", "chaos", "protocol", "integration", "unit")
FAIL_ON_SKIP = os.environ.get("FAIL_ON_SKIP", "") not in ("", "0")


def pytest_configure(config: pytest.Config) -> None:
    """Give the SQLite test database a file: other threads and processes must be able to open it."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    if database["ENGINE"] == "agentsite.sqlite":
        database.setdefault("TEST", {})["NAME"] = str(Path(os.environ["VAR_DIR"]) / "test.sqlite3")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _MADE_VAR_DIR:
        Template.drop_shared(_shared_folder())
        drop_migrated(_shared_folder())
        shutil.rmtree(os.environ["VAR_DIR"], ignore_errors=True)


def _shared_folder() -> Path:
    """Give the folder that all processes of a run of the tests have in common."""
    return Path(os.environ["VAR_DIR"]) / "shared"


def _server() -> str:
    """Give the URL of the PostgreSQL server under test; empty on SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    return url if url.startswith("postgres") else ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each test the time limit of its kind, unless it names its own; put the files into order."""
    if _server():
        done = [item for item in items if item.get_closest_marker("once")]
        config.hook.pytest_deselected(items=done)
        items[:] = [item for item in items if item not in set(done)]
    for item in items:
        kind = _place(item).parts[0]
        if kind in SECONDS and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS[kind]))
    # Within a file the tests stay as they are.
    items.sort(key=_turn)


def _place(item: pytest.Item) -> Path:
    return item.path.relative_to(TESTS) if item.path.is_relative_to(TESTS) else item.path


def _turn(item: pytest.Item) -> tuple[int, int, str]:
    """Say when the file of a test has its turn."""
    place = _place(item)
    name, kind = str(place), place.parts[0]
    first = FIRST.index(name) if name in FIRST else len(FIRST)
    return first, KINDS.index(kind) if kind in KINDS else len(KINDS), name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show an instance's logs with a failure; refuse skips where everything must be there."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Instance):
                report.sections.append((f"logs of {name}", value.logs()))
    if FAIL_ON_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and FAIL_ON_SKIP is set: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse whole modules that skip themselves, too."""
    report = yield
    if FAIL_ON_SKIP and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, and FAIL_ON_SKIP is set: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio, like the product."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _emptied_by_deleting() -> Iterator[None]:
    from django.test import TransactionTestCase

    from tests.emptying import delete_all_rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", delete_all_rows)
        yield


@pytest.fixture(scope="session", autouse=True)
def _static_files_are_found_once() -> Iterator[None]:
    """Each test client makes the middleware anew; that would look for all static files again, for most of its time."""
    from agentsite.middleware import StaticFiles

    look = StaticFiles.add_files_from_finders
    found: dict[str, Any] = {}

    def add_known(files: StaticFiles) -> None:
        if not found:
            look(files)
            found.update(files.files)
        files.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StaticFiles, "add_files_from_finders", add_known)
        yield


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: Any
) -> Iterator[None]:
    """Let the processes of xdist migrate one database between them, instead of one each."""
    from tests.migrated import test_database

    with ExitStack() as stack:
        with django_db_blocker.unblock():
            stack.enter_context(test_database(_shared_folder(), _server()))
        yield
        with django_db_blocker.unblock():
            stack.close()


@pytest.fixture(scope="session")
def instance_template(django_db_setup: None) -> Template:
    """A prepared database to copy: setting one up takes seconds, copying it milliseconds."""
    return Template.shared(_shared_folder(), server=_server())


@pytest.fixture
def instance(instance_template: Template, tmp_path: Path) -> Iterator[Instance]:
    """An instance for one test. Nothing runs in it yet."""
    with running_instance(instance_template, tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def shared_instance(instance_template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance with web and workers running, for tests that only add to it and kill nothing."""
    with running_instance(instance_template, tmp_path_factory.mktemp("shared")) as made:
        made.start_worker()
        made.start_web()
        yield made
