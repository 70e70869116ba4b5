"""How the test database is emptied after a test with real commits.

Django truncates every table, which takes PostgreSQL a second, and writes down anew which models and permissions there
are. Here the rows that tests have made are deleted, and what the migrations have made stays.
"""

from __future__ import annotations

from django.db import connection, transaction
from django.test import TransactionTestCase

KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def delete_all_rows(_: TransactionTestCase) -> None:
    """Stand in for the end of a TransactionTestCase; closes the connection, as another process's end would."""
    tables = sorted(set(connection.introspection.django_table_names()) - KEPT)
    # SQLite stops checking references only outside of a transaction; PostgreSQL checks them when it commits.
    with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f'DELETE FROM "{table}"')  # noqa: S608 (names of our own tables)
    connection.close()
