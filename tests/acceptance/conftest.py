"""Which acceptance tests are of one database only; they are not collected with the other: nothing is skipped."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.disk import can_mount
from tests.screenshots import ARGUMENTS, CHROMIUM

OF_POSTGRES = ["test_postgres_faults.py", "test_two_hosts.py"]
OF_SQLITE = ["test_one_file.py"]

if os.environ.get("DATABASE_URL", "").startswith("postgres"):
    # What stands in for a full disk where none can be mounted does not work for a server's processes.
    collect_ignore = OF_SQLITE if can_mount() else [*OF_SQLITE, "test_disk_full.py"]
else:
    collect_ignore = OF_POSTGRES


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Not the plugin's: its event loop would stay in this thread, where later tests use the database.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
