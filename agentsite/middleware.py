"""What every request of the site passes through: the content security policy, the static files, a look for NUL."""

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.exceptions import BadRequest, DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

Handler = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

CSP_HEADER = "Content-Security-Policy"


class ContentSecurityPolicy:
    """Forbid in the browser whatever the site does not need, so that an answer's content can't act.

    No inline script or style, nothing from other hosts, no framing. A view that needs another policy sets the header
    itself.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._respond_async(request)
        return _with_policy(request, cast("HttpResponseBase", self.get_response(request)))

    async def _respond_async(self, request: HttpRequest) -> HttpResponseBase:
        return _with_policy(request, await cast("Awaitable[HttpResponseBase]", self.get_response(request)))


def _with_policy(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if CSP_HEADER not in response.headers:
        response.headers[CSP_HEADER] = content_security_policy(request)
    return response


def content_security_policy(request: HttpRequest) -> str:
    """Return the policy of the site as this request reached it."""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            f"connect-src 'self'{_own_websockets(request)}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _own_websockets(request: HttpRequest) -> str:
    """Name the site's own websockets: older browsers do not count them as 'self'."""
    try:
        host = request.get_host()
    except DisallowedHost:
        return ""
    return f" {'wss' if request.is_secure() else 'ws'}://{host}"


class RefuseNul(MiddlewareMixin):
    """Refuse addresses of pages that hold a NUL character: PostgreSQL answers it with an error, SQLite stops reading.

    Forms refuse it themselves, and so does the API, whose refusals have a form of their own.
    """

    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith("/api/"):
            return
        texts = (text for name, values in request.GET.lists() for text in (name, *values))
        if "\x00" in request.path_info or any("\x00" in text for text in texts):
            raise BadRequest("The address holds a NUL character.")


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise without its detour under ASGI.

    WhiteNoise only knows synchronous handlers: Django would push every request, live streams too, through a thread
    for it. Here only the request for a file touches a thread, to read that file.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Handler) -> None:
        super().__init__(get_response)
        self.get_response: Handler = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        file = self._file(request)
        if file is None:
            return self.get_response(request)
        if self.is_async:
            return self._read_async(file, request)
        return _read(file, request)

    async def _read_async(self, file: StaticFile, request: HttpRequest) -> HttpResponse:
        response: HttpResponse = await sync_to_async(_read, thread_sensitive=False)(file, request)
        return response

    def _file(self, request: HttpRequest) -> StaticFile | None:
        path = request.path_info
        return self.find_file(path) if self.autorefresh else self.files.get(path)


def _read(file: StaticFile, request: HttpRequest) -> HttpResponse:
    answer = file.get_response(request.method, request.META)
    content = b""
    if answer.file is not None:
        with answer.file:
            content = answer.file.read()
    response = HttpResponse(content, status=int(answer.status))
    del response["content-type"]
    for name, value in answer.headers:
        response[name] = value
    return response
