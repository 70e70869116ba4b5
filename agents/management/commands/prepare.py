"""`agentsite prepare`: bring the database up to date and set up what is missing."""

from __future__ import annotations

from django.core.management import BaseCommand

from agents.management.preparing import prepare


class Command(BaseCommand):
    help = "Migrates the database and sets up a new instance; prints the first log-in link while there is one."
    requires_migrations_checks = False

    def handle(self, *args: object, **options: object) -> None:
        applied, started = prepare()
        self.stderr.write(f"{applied} migrations applied" if applied else "the database is up to date")
        if started.login_url:
            self.stdout.write(started.login_url)
