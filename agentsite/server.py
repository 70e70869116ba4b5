"""The web server: daphne, which takes no more of a request, and waits no longer for it, than the site can use.

Daphne hands a request on when all of it has come, and keeps until then whatever is sent: a body of gigabytes would
fill the disk before anybody could refuse it, and a client that drips would be waited for as long as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# First: it installs the event loop of the whole process.
from daphne import server  # isort: split

from daphne import http_protocol
from daphne.cli import CommandLineInterface
from django.conf import settings
from twisted.internet import reactor

from agentsite.handler import MAX_BODY

__all__ = ["BoundedRequest", "server"]

_REASONS = {408: b"Request Timeout", 413: b"Content Too Large"}
_TEXTS = {408: b"The request took too long.\n", 413: b"The body is too large.\n"}


class BoundedRequest(http_protocol.WebRequest):
    """A request of at most MAX_BODY bytes, which has come within REQUEST_SECONDS of its first line.

    Its body is for the application alone to read: twisted would look into forms, whose fields nobody asks it for.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._received = 0
        self._is_refused = False
        super().__init__(*args, **{**kwargs, "parsePOSTFormSubmission": False})
        clock: Any = reactor
        self._patience = clock.callLater(settings.REQUEST_SECONDS, self._refuse, 408)

    def gotLength(self, length: int | None) -> None:  # noqa: N802 (twisted's name)
        super().gotLength(length)
        if length is not None and length > MAX_BODY:
            self._refuse(413)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 (twisted's name)
        self._received += len(data)
        if self._received > MAX_BODY:
            self._refuse(413)
        if not self._is_refused:
            super().handleContentChunk(data)

    def process(self) -> Any:
        self._stop_waiting()
        return None if self._is_refused else super().process()

    def connectionLost(self, reason: Any) -> None:  # noqa: N802 (twisted's name)
        self._stop_waiting()
        super().connectionLost(reason)

    def _stop_waiting(self) -> None:
        if self._patience.active():
            self._patience.cancel()

    def _refuse(self, status: int) -> None:
        """Answer at once and hang up: what is still to come is not read."""
        if self._is_refused or self.channel is None:
            return
        self._is_refused = True
        self._stop_waiting()
        text = _TEXTS[status]
        head = b"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        self.channel.transport.write(head % (status, _REASONS[status], len(text)) + text)
        self.channel.loseConnection()


class QuietFactory(http_protocol.HTTPFactory):
    """Makes the requests. The site logs them itself: twisted would write a line for each, which nobody gets to read."""

    def log(self, request: Any) -> None:
        """Leave it to agentsite.outages.RequestLog."""


def main(arguments: Sequence[str]) -> None:
    """Serve until told to stop, by daphne's own arguments."""
    http_protocol.WebRequest = BoundedRequest
    server.HTTPFactory = QuietFactory
    CommandLineInterface().run(list(arguments))
