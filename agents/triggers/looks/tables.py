"""What a statement gives from a registered database: rows that have come and rows that have gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module

import orjson

from agents.triggers.looks.base import JSON, BadTarget, Change, Look, State, Surroundings, digest_of, text_of
from agents.triggers.looks.base import only as only_known
from tools.builtin.sql_guard import MAX_SQL, check_statement
from tools.errors import ToolFailed
from tools.text import clean_text
from tools.threads import run_in_thread

MAX_ROWS = 1_000
MAX_KEPT = 250_000
"""Bytes of rows that are kept, to tell later which have come and gone."""
MAX_SHOWN = 50


def read_target(given: Mapping[str, JSON]) -> dict[str, JSON]:
    """Check `connection`, a name of the setting SQL_CONNECTIONS, and `sql`, one statement that only reads."""
    only_known(given, "connection", "sql")
    sql = text_of(given, "sql", MAX_SQL)
    try:
        check_statement(sql)
    except ToolFailed as error:
        raise BadTarget(str(error), "sql") from error
    return {"connection": text_of(given, "connection", 60), "sql": sql}


async def look(target: Mapping[str, JSON], state: State | None, around: Surroundings) -> Look:
    """Ask the database; raises ToolsError if that can't be done."""
    return await run_in_thread(_look, target, state, around.workspace_id)


def _look(target: Mapping[str, JSON], state: State | None, workspace_id: int) -> Look:
    reading = import_module("tools.builtin.sql_reading")
    database = reading.find_database(str(target["connection"]), workspace_id)
    table = reading.read(database, check_statement(str(target["sql"])), MAX_ROWS)
    columns = [clean_text(str(column)) for column in table.columns]
    rows = [orjson.dumps([clean_text(cell) if isinstance(cell, str) else cell for cell in row]) for row in table.rows]
    # The same rows in another order are no change: few statements say in which order they come.
    digest = digest_of(b"\n".join([orjson.dumps(columns), *sorted(rows)]))
    kept = [orjson.loads(row) for row in rows] if sum(map(len, rows)) <= MAX_KEPT else None
    now: State = {"digest": digest, "rows": kept}
    if state is None or state.get("digest") == digest:
        return Look(now)
    data: dict[str, JSON] = {
        "connection": target["connection"],
        "columns": columns,
        "rows": [orjson.loads(row) for row in rows[:MAX_SHOWN]],
        "row_count": len(rows),
        "is_cut": table.is_cut or len(rows) > MAX_SHOWN,
    }
    if kept is not None and state.get("rows") is not None:
        data["added"], data["removed"] = _only_in(kept, state["rows"]), _only_in(state["rows"], kept)
    return Look(now, (Change(data),))


def _only_in(these: Sequence[JSON], those: Sequence[JSON]) -> list[JSON]:
    left = Counter(orjson.dumps(row) for row in those)
    found = []
    for row in these:
        as_text = orjson.dumps(row)
        if left[as_text]:
            left[as_text] -= 1
        else:
            found.append(row)
    return found[:MAX_SHOWN]
