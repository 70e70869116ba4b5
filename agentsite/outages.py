"""What a request is told while the database does not serve: 503, what is the matter, and when to come again."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from functools import lru_cache

import structlog
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.functional import SimpleLazyObject
from django.views import defaults
from django_structlog.middlewares import RequestMiddleware
from ipware import get_client_ip
from python_ipware.modern.defaults import DEFAULT_PRECEDENCE

from agents.api import problems
from agents.engine.outages import DATABASE_ERRORS, outage_of, outages


class RequestLog(RequestMiddleware):
    """django-structlog's middleware, which logs each request and who asks; an outage is answered, not logged as a bug.

    Here, because to find out who asks is what needs the database first. Who it is, and from where, is found out in
    ways that don't cost each request a fifth of its time.
    """

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        try:
            response = super().__call__(request)
        except DATABASE_ERRORS as error:
            structlog.contextvars.clear_contextvars()
            answer = answer_outage(request, error)
            if answer is None:
                raise
            return answer
        # Set by Django when the request used the database and found it alive.
        if not outages.is_quiet and getattr(connection, "health_check_done", False):
            note_service(request, response)
        return response

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        """Note the client's address."""
        said = tuple((name, request.META[name]) for name in DEFAULT_PRECEDENCE if name in request.META)
        structlog.contextvars.bind_contextvars(ip=_client_ip(said))

    @staticmethod
    def bind_user_id(request: HttpRequest) -> None:
        """Note who asks; where nobody has said yet and there is no session, it is nobody."""
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if has_session or not isinstance(getattr(request, "user", None), SimpleLazyObject):
            RequestMiddleware.bind_user_id(request)
        else:
            structlog.contextvars.bind_contextvars(user_id=None)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer for a view."""
        return answer_outage(request, error)


@lru_cache(maxsize=256)
def _client_ip(said: tuple[tuple[str, str], ...]) -> str | None:
    """Give the client's address by what the request's headers say."""
    request = HttpRequest()
    request.META = dict(said)
    ip, _ = get_client_ip(request)
    return ip


def note_service(request: HttpRequest, response: object) -> None:
    """Tell the log of outages that a request was served."""
    if getattr(response, "status_code", 503) < 500:
        outages.worked(problems.purpose_of(request))
        # Whoever could write could have read.
        outages.worked(problems.READING)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for what failed outside of the views, like a session that could not be saved."""
    error = sys.exc_info()[1]
    answer = answer_outage(request, error) if error is not None else None
    return answer or defaults.server_error(request)


def answer_outage(request: HttpRequest, error: BaseException) -> HttpResponse | None:
    """Give the answer if the error is an outage of the database."""
    outage = outage_of(error)
    if outage is None:
        return None
    outages.failed(problems.purpose_of(request), outage, error)
    if request.path_info.startswith("/api/"):
        return problems.database_away(outage)
    page = render_to_string("503.html", {"outage": outage})
    return HttpResponse(page, status=503, headers={"Retry-After": str(outage.retry_seconds)})
