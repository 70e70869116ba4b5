"""Which acceptance tests are of one database only; they are not collected with the other: nothing is skipped."""

import os

from tests.disk import can_mount

OF_POSTGRES = ["test_postgres_faults.py", "test_two_hosts.py"]
OF_SQLITE = ["test_one_file.py"]

if os.environ.get("DATABASE_URL", "").startswith("postgres"):
    # What stands in for a full disk where none can be mounted does not work for a server's processes.
    collect_ignore = OF_SQLITE if can_mount() else [*OF_SQLITE, "test_disk_full.py"]
else:
    collect_ignore = OF_POSTGRES
