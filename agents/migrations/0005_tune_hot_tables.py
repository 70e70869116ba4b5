"""Storage of the tables that the engine writes all the time; PostgreSQL has knobs for it, SQLite needs none.

Streamed text is lost in a crash of the database: the step that streamed it is run again anyway. Room in the pages of
runs and steps lets their updates stay on the page, without touching an index.
"""

from django.db import migrations

FORWARD = (
    "ALTER TABLE agents_partial SET UNLOGGED",
    "ALTER TABLE agents_run SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)",
    "ALTER TABLE agents_step SET (fillfactor = 90)",
    "ALTER TABLE agents_worker SET (fillfactor = 50)",
    "ALTER TABLE agents_workspace SET (fillfactor = 50)",
)
BACKWARD = (
    "ALTER TABLE agents_partial SET LOGGED",
    "ALTER TABLE agents_run RESET (fillfactor, autovacuum_vacuum_scale_factor)",
    "ALTER TABLE agents_step RESET (fillfactor)",
    "ALTER TABLE agents_worker RESET (fillfactor)",
    "ALTER TABLE agents_workspace RESET (fillfactor)",
)


def _run(statements):
    def execute(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for statement in statements:
                schema_editor.execute(statement)

    return execute


class Migration(migrations.Migration):
    dependencies = (("agents", "0004_create_login_attempts"), ("django_q", "__latest__"))

    operations = (
        migrations.RunPython(_run(FORWARD), _run(BACKWARD)),
        # django-q2 looks its queue up by these two columns and has no index on them.
        migrations.RunSQL(
            "CREATE INDEX agents_ormq_due ON django_q_ormq (key, lock)", "DROP INDEX IF EXISTS agents_ormq_due"
        ),
    )
