"""An answer from the outside, read to its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from tools.bodies import decode
from tools.errors import BadResponse, ToolRetry
from tools.types import JSON

_PASSING = {408, 425, 429, 500, 502, 503, 504}
_LONGEST_RETRY_AFTER = 86_400.0


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. `url` is where it came from after redirects; header names are lower case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """Give the declared type without its parameters, in lower case; "" if none was declared."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def text(self) -> str:
        """Give the body as text, in its declared charset."""
        declared = Message()
        declared["content-type"] = self.headers.get("content-type", "")
        charset = declared.get_param("charset")
        return decode(self.body, charset if isinstance(charset, str) else "", is_html="html" in self.media_type)

    def json(self) -> JSON:
        """Give the body as JSON; raises BadResponse if it is none."""
        try:
            return json.loads(self.text())
        except (ValueError, RecursionError) as error:
            raise BadResponse(f"{self._host} answered what is not JSON.") from error

    def check(self, now: datetime | None = None) -> Response:
        """Give the answer itself if it is a success.

        Raises ToolRetry for what passes (too many requests, an overload), BadResponse for other errors.
        """
        if self.status < 400:
            return self
        message = f"{self._host} answered {self.status}{_phrase(self.status)}."
        if self.status in _PASSING:
            raise ToolRetry(message, retry_after=self.retry_after(now or datetime.now(UTC)))
        raise BadResponse(message)

    def retry_after(self, now: datetime) -> float | None:
        """Give the seconds after which the other side wants to be asked again, if it said so."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return min(float(value), _LONGEST_RETRY_AFTER)
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, TypeError, IndexError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return min(max((moment - now).total_seconds(), 0.0), _LONGEST_RETRY_AFTER)

    @property
    def _host(self) -> str:
        return urlsplit(self.url).hostname or self.url


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
