"""Whoever writes, a published version stays as it is; only who published it is forgotten when that person is removed.

On SQLite a migration that makes this table anew loses the trigger and has to make it again.
"""

from django.db import migrations

TABLE = "agents_agentversion"
TRIGGER = "agent_version_guard"
MESSAGE = "A published version of an agent is never changed."
FREE = "created_by_id"

POSTGRESQL = f"""
CREATE FUNCTION {TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - '{FREE}' IS DISTINCT FROM to_jsonb(OLD) - '{FREE}' THEN
        RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER {TRIGGER} BEFORE UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION {TRIGGER}();
"""


def guard(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRESQL)
        return
    fields = apps.get_model("agents", "AgentVersion")._meta.concrete_fields
    columns = ", ".join(field.column for field in fields if field.column != FREE)
    schema_editor.execute(
        f"CREATE TRIGGER {TRIGGER} BEFORE UPDATE OF {columns} ON {TABLE} BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    )


def unguard(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER {TRIGGER} ON {TABLE}")
        schema_editor.execute(f"DROP FUNCTION {TRIGGER}()")
        return
    schema_editor.execute(f"DROP TRIGGER IF EXISTS {TRIGGER}")


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0015_describe_versions'),
    ]

    operations = [
        migrations.RunPython(guard, unguard),
    ]
