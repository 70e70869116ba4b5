"""Errors as problem details (RFC 9457): every refusal of the API has the same form, and none shows a stack trace."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import orjson
import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from agents.engine.outages import Outage, outage_of, outages
from agents.services.errors import (
    Conflict,
    IdempotencyConflict,
    InFlight,
    InvalidInput,
    NotAllowed,
    NotFound,
    ServiceError,
)

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
READING, WRITING = "requests that read", "requests that write"

_SERVICE_STATUS: tuple[tuple[type[ServiceError], int], ...] = (
    (InvalidInput, 400),
    (NotAllowed, 403),
    (NotFound, 404),
    (IdempotencyConflict, 422),
    (Conflict, 409),
    (ServiceError, 400),
)


class PayloadTooLarge(exceptions.APIException):
    """The body is larger than this address takes."""

    status_code = 413
    default_detail = "The body is larger than this address takes."
    default_code = "payload_too_large"


def handle(error: Exception, context: Mapping[str, Any]) -> Response:
    """Turn any exception of a view into a problem."""
    set_rollback()
    if isinstance(error, ServiceError):
        return _of_service(error)
    if isinstance(error, exceptions.ValidationError):
        return _response(400, "Some fields can't be used.", errors=_by_field(error.detail))
    if isinstance(error, exceptions.APIException):
        return _of_framework(error)
    if isinstance(error, Http404):
        return _response(404, "There is no such thing in this workspace.")
    if isinstance(error, PermissionDenied):
        return _response(403, "This is not allowed.")
    if isinstance(error, RequestDataTooBig):
        return _response(413, str(PayloadTooLarge.default_detail))
    if isinstance(error, SuspiciousOperation):
        return _response(400, "The request is malformed.")
    if outage := outage_of(error):
        outages.failed(purpose_of(context["request"]), outage, error)
        return _response(503, outage_detail(outage), headers={"Retry-After": str(outage.retry_seconds)})
    got_request_exception.send(sender=type(context["view"]), request=context["request"])
    log.error("api_error", exc_info=error)
    return _response(500, "Something went wrong here. The log has more under the request's id.")


def not_found(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
    """Answer an address that the API does not have."""
    body = details(404, "There is no such address.")
    return HttpResponse(orjson.dumps(body), status=404, content_type=MEDIA_TYPE)


def database_away(outage: Outage) -> HttpResponse:
    """Answer a request below /api/ that met an outage before it reached its view."""
    body = orjson.dumps(details(503, outage_detail(outage)))
    headers = {"Retry-After": str(outage.retry_seconds)}
    return HttpResponse(body, status=503, headers=headers, content_type=MEDIA_TYPE)


def purpose_of(request: HttpRequest | Request) -> str:
    """Name the request's kind for the log of outages: a full disk fails those that change something, not the others."""
    return READING if request.method in SAFE_METHODS else WRITING


def outage_detail(outage: Outage) -> str:
    """Say what is the matter with the database, and what the client may do."""
    return f"{outage.text} Try again in {outage.retry_seconds} s."


def details(status: int, detail: str, errors: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    """Give the members of a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id(),
    }
    return body | {"errors": errors} if errors else body


def request_id() -> str:
    """Give the id under which the log knows this request."""
    return str(structlog.contextvars.get_contextvars().get("request_id") or uuid4())


def _response(
    status: int,
    detail: str,
    *,
    errors: Mapping[str, list[str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(details(status, detail, errors), status=status, headers=headers, content_type=MEDIA_TYPE)


def _of_service(error: ServiceError) -> Response:
    status = next(status for kind, status in _SERVICE_STATUS if isinstance(error, kind))
    errors = error.errors if isinstance(error, InvalidInput) else None
    headers = {"Retry-After": "1"} if isinstance(error, InFlight) else None
    return _response(status, error.message, errors=errors, headers=headers)


def _of_framework(error: exceptions.APIException) -> Response:
    headers = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    return _response(error.status_code, str(error.detail), headers=headers)


def _by_field(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Flatten nested field errors into dotted names."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            found |= _by_field(inner, f"{path}.{name}" if path else str(name))
        return found
    items = detail if isinstance(detail, list) else [detail]
    if any(isinstance(item, dict) for item in items):
        return _by_field({str(index): item for index, item in enumerate(items) if item}, path)
    if path in ("", api_settings.NON_FIELD_ERRORS_KEY):
        path = "body"
    return {path: [str(item) for item in items]}
