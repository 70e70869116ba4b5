"""The tools `sql_query` and `sql_schema`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tools.builtin.sql_guard import check_statement
from tools.files import file_name, shown_and_whole
from tools.registry import tool
from tools.threads import run_in_thread
from tools.types import Citation, Retry, ToolContext, ToolOutput

if TYPE_CHECKING:
    from tools.builtin.sql_reading import Table

MAX_ROWS = 1000
MAX_TEXT = 30_000

Name = Annotated[str, Field(min_length=1, max_length=60)]


@tool(
    effect="none",
    trust="untrusted",
    kind="search",
    timeout=60,
    retry=Retry(max_attempts=2),
    limits=["sql:{connection}"],
)
async def sql_query(
    context: ToolContext,
    connection: Name,
    sql: Annotated[str, Field(min_length=1, max_length=20_000)],
    limit: Annotated[int, Field(ge=1, le=MAX_ROWS)] = 100,
) -> ToolOutput:
    """Ask a database by one SQL statement that only reads. Call sql_schema first to see its tables and columns.

    Args:
        connection: The name of the database, as the operator has registered it.
        sql: One SELECT, WITH or VALUES, without comments.
        limit: How many rows to give at most.
    """
    statement = check_statement(sql)
    reading = await run_in_thread(import_module, "tools.builtin.sql_reading")
    database = await run_in_thread(reading.find_database, connection, context.workspace_id)
    table: Table = await run_in_thread(reading.read, database, statement, limit)
    data = {"columns": table.columns, "rows": table.rows, "is_cut": table.is_cut}
    text, file = shown_and_whole(_as_text(table), MAX_TEXT, file_name(connection, statement, ".txt"), "text/plain")
    return ToolOutput(text, data, (Citation(f"database:{connection}", f"{connection}, a database"),), file=file)


@tool(
    effect="none",
    trust="untrusted",
    kind="search",
    timeout=60,
    retry=Retry(max_attempts=2),
    limits=["sql:{connection}"],
)
async def sql_schema(context: ToolContext, connection: Name) -> ToolOutput:
    """List the tables of a database and their columns.

    Args:
        connection: The name of the database, as the operator has registered it.
    """
    reading = await run_in_thread(import_module, "tools.builtin.sql_reading")
    database = await run_in_thread(reading.find_database, connection, context.workspace_id)
    tables: dict[str, list[str]] = await run_in_thread(reading.schema, database)
    lines = [f"{name} ({', '.join(columns)})" for name, columns in tables.items()]
    text = f"{database.kind}: {len(tables)} tables\n" + "\n".join(lines)
    shown, file = shown_and_whole(text, MAX_TEXT, file_name(connection, "schema", ".txt"), "text/plain")
    return ToolOutput(shown, {"kind": database.kind, "tables": tables}, file=file)


def _as_text(table: Table) -> str:
    lines = [" | ".join(table.columns), " | ".join("---" for _ in table.columns)]
    lines += [" | ".join("" if value is None else str(value) for value in row) for row in table.rows]
    if table.is_cut:
        lines.append(f"[Cut after {len(table.rows)} rows: there are more.]")
    return "\n".join(lines)
