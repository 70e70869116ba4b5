"""`agentsite doctor`: is this instance well?"""

from __future__ import annotations

import sys

from django.core.management import BaseCommand

from agents.management.health import Level, examine


class Command(BaseCommand):
    help = "Checks database, migrations, folder, workers, model, clocks and files; exit code 1 when something fails."
    requires_system_checks = ()

    def handle(self, *args: object, **options: object) -> None:
        styles = {Level.OK: self.style.SUCCESS, Level.WARN: self.style.WARNING, Level.FAIL: self.style.ERROR}
        failed = False
        for finding in examine():
            self.stdout.write(f"{styles[finding.level](finding.level.ljust(4))}  {finding.what:<11} {finding.text}")
            failed = failed or finding.level is Level.FAIL
        sys.exit(1 if failed else 0)
