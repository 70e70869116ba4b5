"""In which time zone a person reads."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest

from agents.models import User

COOKIE = "tz"
"""Set by the page's script to the browser's zone."""


def zone_of(request: HttpRequest, user: User) -> tzinfo:
    """Give the zone the person chose, else the browser's, else UTC."""
    for name in (user.time_zone, request.COOKIES.get(COOKIE, "")):
        try:
            if name:
                return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            # A cookie can hold anything; a name that is no zone counts as none.
            continue
    return UTC
