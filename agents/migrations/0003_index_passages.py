"""The full text index of passages. Each database keeps it up to date by itself, whoever writes the table."""

from __future__ import annotations

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

POSTGRES = (
    # Generated from our own terms, without a language: array_to_tsvector neither stems nor drops anything.
    """
    ALTER TABLE agents_passage ADD COLUMN search tsvector GENERATED ALWAYS AS (
        array_to_tsvector(array_append(string_to_array(terms, ' '), 'w:' || workspace_id::text))
    ) STORED
    """,
    "CREATE INDEX agents_passage_search ON agents_passage USING gin (search)",
)
POSTGRES_BACK = ("ALTER TABLE agents_passage DROP COLUMN search",)

SQLITE = (
    # External content: the words stay in agents_passage, the index holds only itself.
    """
    CREATE VIRTUAL TABLE agents_passage_search USING fts5 (
        workspace_id, terms, content = 'agents_passage', content_rowid = 'id',
        tokenize = 'unicode61 remove_diacritics 0'
    )
    """,
    """
    CREATE TRIGGER agents_passage_added AFTER INSERT ON agents_passage BEGIN
        INSERT INTO agents_passage_search (rowid, workspace_id, terms) VALUES (new.id, new.workspace_id, new.terms);
    END
    """,
    """
    CREATE TRIGGER agents_passage_removed AFTER DELETE ON agents_passage BEGIN
        INSERT INTO agents_passage_search (agents_passage_search, rowid, workspace_id, terms)
        VALUES ('delete', old.id, old.workspace_id, old.terms);
    END
    """,
    """
    CREATE TRIGGER agents_passage_changed AFTER UPDATE OF workspace_id, terms ON agents_passage BEGIN
        INSERT INTO agents_passage_search (agents_passage_search, rowid, workspace_id, terms)
        VALUES ('delete', old.id, old.workspace_id, old.terms);
        INSERT INTO agents_passage_search (rowid, workspace_id, terms) VALUES (new.id, new.workspace_id, new.terms);
    END
    """,
    # Passages that were there before the index.
    "INSERT INTO agents_passage_search (agents_passage_search) VALUES ('rebuild')",
)
SQLITE_BACK = (
    "DROP TRIGGER agents_passage_added",
    "DROP TRIGGER agents_passage_removed",
    "DROP TRIGGER agents_passage_changed",
    "DROP TABLE agents_passage_search",
)


def create_index(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Create the index and fill it."""
    _execute(editor, POSTGRES, SQLITE)


def drop_index(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the index; the passages stay."""
    _execute(editor, POSTGRES_BACK, SQLITE_BACK)


def _execute(editor: BaseDatabaseSchemaEditor, postgres: tuple[str, ...], sqlite: tuple[str, ...]) -> None:
    for statement in postgres if editor.connection.vendor == "postgresql" else sqlite:
        editor.execute(statement, None)


class Migration(migrations.Migration):
    dependencies = (("agents", "0002_create_passages"),)

    operations = (migrations.RunPython(create_index, drop_index),)
