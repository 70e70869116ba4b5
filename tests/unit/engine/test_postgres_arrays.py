"""Arrays in PostgreSQL's binary form, as psycopg reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from psycopg.adapt import Transformer
from psycopg.pq import Format

from agents.engine.journal import postgres_arrays as arrays

VALUES: dict[str, tuple[int, list[Any]]] = {
    "uuid": (2951, [UUID(int=0), UUID(int=2**128 - 1)]),
    "text": (1009, ["", "no\nline 'quoted' \\ \"", "日本 🦆"]),
    "timestamptz": (1185, [datetime(1970, 1, 1, 0, 0, 0, 1, UTC), datetime(2026, 11, 30, 12, 0, 0, 999_999, UTC)]),
    "smallint": (1005, [-(2**15), 2**15 - 1]),
    "int": (1007, [-(2**31), 2**31 - 1]),
    "bigint": (1016, [-(2**63), 2**63 - 1]),
    "float8": (1022, [0.1, -1e300]),
    "boolean": (1000, [True, False]),
    "bytea": (1001, [b"", b"\x00\xff"]),
    "jsonb": (3807, [{"a": [1, None, "ü"]}, []]),
}


@pytest.mark.parametrize("type", VALUES)
def test_arrays_say_what_they_were_made_of(type: str) -> None:
    oid, values = VALUES[type]
    load = Transformer().get_loader(oid, Format.BINARY).load
    for given in ([*values, None, values[0]], [values[0]] * 3, [None, None], []):
        assert load(arrays.array(type, given)) == given


@pytest.mark.parametrize(("type", "value"), [("int", 2**31), ("smallint", -(2**15) - 1), ("bigint", 2**63)])
def test_a_number_that_does_not_fit_is_an_overflow(type: str, value: int) -> None:
    with pytest.raises(OverflowError):
        arrays.array(type, [0, value])


def test_text_that_is_not_unicode_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        arrays.array("text", ["lone \ud800"])


def test_a_table_has_a_column_per_type() -> None:
    types = {"id": "uuid", "count": "int"}
    assert arrays.table(types) == "unnest(%s::uuid[], %s::int[]) AS v(id, count)"
    assert [len(column) for column in arrays.columns(types, [(UUID(int=1), 1), (UUID(int=2), 2)])] == [60, 36]
    with pytest.raises(ValueError, match="zip"):
        arrays.columns(types, [(UUID(int=1), 1, 1)])
