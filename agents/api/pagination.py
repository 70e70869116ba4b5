"""Pages by cursor, stable while new rows arrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

M = TypeVar("M", bound=Model)

DEFAULT_LIMIT = 50
MAX_LIMIT = 100


def newest(request: Request, rows: QuerySet[M]) -> tuple[list[M], str | None]:
    """Cut a page of rows, newest id first; the second value is the address of the next page."""
    return _page(request, rows.order_by("-pk"), "pk__lt")


def oldest(request: Request, rows: QuerySet[M]) -> tuple[list[M], str | None]:
    """Cut a page of rows, oldest id first; the second value is the address of the next page."""
    return _page(request, rows.order_by("pk"), "pk__gt")


def _page(request: Request, rows: QuerySet[M], beyond: str) -> tuple[list[M], str | None]:
    limit = read_limit(request.query_params, DEFAULT_LIMIT, MAX_LIMIT)
    if cursor := request.query_params.get("cursor"):
        try:
            rows = rows.filter(**{beyond: rows.model._meta.pk.to_python(cursor)})
        except (ValidationError, OverflowError) as error:
            raise ParseError("The cursor is not one of ours.") from error
    page = list(rows[: limit + 1])
    more = len(page) > limit
    page = page[:limit]
    return page, next_address(request, cursor=str(page[-1].pk)) if more else None


def next_address(request: Request, **changes: str) -> str:
    """Give this request's address with other parameters."""
    parameters = {name: values for name, values in request.query_params.lists() if name not in changes}
    return f"{request.path}?{urlencode(parameters | changes, doseq=True)}"


def read_limit(parameters: Mapping[str, Any], default: int, most: int) -> int:
    """Read how many items are wanted."""
    return read_number(parameters, "limit", default, least=1, most=most)


def read_number(parameters: Mapping[str, Any], name: str, default: int, *, least: int, most: int) -> int:
    """Read a whole number; what is too large is taken as the largest."""
    text = parameters.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) < least:
        raise ParseError(f"{name} is a whole number of at least {least}.")
    return min(int(text), most)
