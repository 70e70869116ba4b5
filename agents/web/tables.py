"""Lists of plain objects as tables: nothing is left out of them, so that a person sees all that is decided about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MOST_ROWS, MOST_COLUMNS = 200, 6


@dataclass(frozen=True, slots=True)
class Table:
    """Objects of the same few names: a row for each, with the name of the column beside each cell."""

    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, str], ...], ...]


def table_of(value: Any) -> Table | None:
    """Give a list of objects of the same names as a table; None where a cell would say less than JSON does."""
    if not (isinstance(value, list) and 0 < len(value) <= MOST_ROWS and all(isinstance(row, dict) for row in value)):
        return None
    columns = tuple(value[0])
    are_alike = all(row.keys() == value[0].keys() for row in value)
    if not (
        are_alike and 1 < len(columns) <= MOST_COLUMNS and all(_is_plain(row[name]) for row in value for name in row)
    ):
        return None
    return Table(columns, tuple(tuple((name, _cell(row[name])) for name in columns) for row in value))


def _is_plain(cell: Any) -> bool:
    if isinstance(cell, list):
        return all(isinstance(word, str) and word and "," not in word for word in cell)
    return not isinstance(cell, dict | None)


def _cell(cell: Any) -> str:
    if isinstance(cell, list):
        return ", ".join(cell) or "–"
    return str(cell).lower() if isinstance(cell, bool) else str(cell)
