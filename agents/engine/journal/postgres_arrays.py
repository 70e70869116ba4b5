"""Rows as PostgreSQL takes them at least cost: an array for each column, in the binary form of its protocol.

The server copies such values as they are. As JSON, which is a little cheaper to write, it would read each row letter by
letter and look each name up: twice the time of an insert. psycopg writes binary arrays too, but asks each value for its
type, which costs the worker's thread ten times as much.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import orjson
import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER = struct.Struct("!iiIii")
"""Of an array with one dimension: how many, whether NULLs may come, the elements' type, their count, the first index.
PostgreSQL's array_recv reads it."""
_LENGTH = struct.Struct("!i")
_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""PostgreSQL counts its microseconds from here."""
_MICROSECOND = timedelta(microseconds=1)

Encode: TypeAlias = Callable[[Any], bytes]


class BinaryArray(bytes):
    """An array as the server reads it; the subclass says of what."""


def array(type: str, values: Sequence[object]) -> BinaryArray:
    """Give the values, or None for NULL, as an array of that type.

    Raises ValueError for text that is not Unicode, OverflowError for a number that is too large.
    """
    kind, oid, encode = _TYPES[type]
    if not values:
        return kind(struct.pack("!iiI", 0, 0, oid))
    head = _HEADER.pack(1, 1, oid, len(values), 1)
    first = values[0]
    if values.count(first) == len(values):
        # Most columns of a batch hold one value.
        return kind(head + _element(first, encode) * len(values))
    return kind(head + b"".join([_element(value, encode) for value in values]))


def columns(types: Mapping[str, str], rows: Iterable[Sequence[object]]) -> list[BinaryArray]:
    """Give the parameters of a table that is unnested (`table`): an array per column."""
    taken = list(zip(*rows, strict=True)) or [()] * len(types)
    return [array(type, values) for type, values in zip(types.values(), taken, strict=True)]


def table(types: Mapping[str, str]) -> str:
    """Give the SQL of the table `v` whose columns are parameters."""
    return f"unnest({', '.join(f'%s::{type}[]' for type in types.values())}) AS v({', '.join(types)})"


def adapt(connection: psycopg.Connection[Any]) -> None:
    """Let a connection take these arrays as parameters."""
    for dumper, (kind, _, _) in zip(_DUMPERS, _TYPES.values(), strict=True):
        connection.adapters.register_dumper(kind, dumper)


def _element(value: object, encode: Encode) -> bytes:
    if value is None:
        return _NULL
    raw = encode(value)
    return _LENGTH.pack(len(raw)) + raw


def _number(form: str) -> Encode:
    pack = struct.Struct(form).pack

    def encode(value: Any) -> bytes:
        try:
            return pack(value)
        except struct.error as error:
            raise OverflowError(str(error)) from error

    return encode


def _uuid(value: UUID) -> bytes:
    return value.int.to_bytes(16, "big")


def _moment(value: datetime) -> bytes:
    return _bigint((value - _EPOCH) // _MICROSECOND)


def _json(value: object) -> bytes:
    return b"\x01" + orjson.dumps(value)


_bigint = _number("!q")


def _kind(oid: int) -> tuple[type[BinaryArray], type[Dumper]]:
    """Give the class of the arrays of a type, whose own oid this is, and what hands them to psycopg."""
    kind = type("BinaryArray", (BinaryArray,), {})

    class ArrayDumper(Dumper):
        format = Format.BINARY

        def dump(self, obj: bytes) -> bytes:
            return obj

    ArrayDumper.oid = oid
    return kind, ArrayDumper


# From PostgreSQL's pg_type: the oid of the array, the oid of its elements.
_OIDS: dict[str, tuple[int, int, Encode]] = {
    "uuid": (2951, 2950, _uuid),
    "text": (1009, 25, str.encode),
    "timestamptz": (1185, 1184, _moment),
    "smallint": (1005, 21, _number("!h")),
    "int": (1007, 23, _number("!i")),
    "bigint": (1016, 20, _bigint),
    "float8": (1022, 701, _number("!d")),
    "boolean": (1000, 16, _number("!?")),
    "bytea": (1001, 17, bytes),
    "jsonb": (3807, 3802, _json),
}
_KINDS = {name: _kind(array_oid) for name, (array_oid, _, _) in _OIDS.items()}
_DUMPERS = [dumper for _, dumper in _KINDS.values()]
_TYPES = {name: (_KINDS[name][0], oid, encode) for name, (_, oid, encode) in _OIDS.items()}
