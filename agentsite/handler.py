"""How an HTTP request gets from the web server to its view: on one thread, in one go.

Django's own ASGI handler goes to a thread and back for each of its middlewares, on a thread made for the request: that
took more time than most requests themselves. Here a request runs through all middlewares and its view on one of a few
lasting threads, which keep their database connections. Only what is streamed runs on the event loop.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import IO, Any

from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.db import close_old_connections
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

THREADS = 6
"""More would only wait for the interpreter: a request computes most of its time."""

SWITCH_SECONDS = 0.002
"""How long a computing thread may keep the others waiting, those with an answer of the database in hand above all."""

MAX_BODY = 8 * 1024 * 1024
"""No address takes a larger body: see server.py. Other servers at least do not get one handled."""


class Handler(ASGIHandler):
    """Django's handler with the middlewares and the view on one thread."""

    def __init__(self) -> None:
        # Not what ASGIHandler does, which would load the middlewares for the event loop.
        self.load_middleware(is_async=False)
        sys.setswitchinterval(SWITCH_SECONDS)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request")

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if _announced_length(scope) > MAX_BODY:
            await self.send_response(HttpResponse("The body is too large.\n", status=413), send)
            return
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            response = await self._on_thread(self._respond, scope, body)
            if not response.streaming:
                await self.send_response(response, send)
                return
            try:
                await self._stream(response, receive, send)
            finally:
                await self._on_thread(response.close)

    def _respond(self, scope: Any, body: IO[bytes]) -> Any:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response: Any = refusal if request is None else self.get_response(request)
        response._handler_class = self.__class__
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        if response.streaming:
            # It may last for hours: this thread's connection is for the next request.
            close_old_connections()
        else:
            # Ends the request for Django. What is to be sent is in memory.
            response.close()
        return response

    async def _stream(self, response: HttpResponseBase, receive: Receive, send: Send) -> None:
        """Send until all is sent or the client has gone."""
        sending = asyncio.create_task(self.send_response(response, send))
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            leaving.cancel()
            ended, _ = await asyncio.gather(sending, leaving, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended

    async def _on_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        # Not by sync_to_async, which prepares for callbacks to this loop that nobody here makes: as much again as this.
        run = copy_context().run
        return await asyncio.get_running_loop().run_in_executor(self._threads, run, function, *args)


def _announced_length(scope: Any) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
