"""Logging in with a password, and what keeps others from guessing it.

An attempt is counted before its password is checked, so that a hundred guesses at the same moment are as few as a
hundred one after the other. The count lives in the database: every web process sees it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db.models import Min

from agents.models import LoginAttempt, User
from agents.services.errors import InvalidInput, ServiceError

WINDOW = timedelta(minutes=15)
PER_PERSON = 5
"""Wrong passwords for one name from one address within the window."""
PER_ADDRESS = 50
"""Wrong passwords from one address, whatever the names."""


class TooManyAttempts(ServiceError):
    """Too many wrong passwords. Wait, then try again."""

    def __init__(self, wait: timedelta) -> None:
        minutes = max(1, round(wait.total_seconds() / 60))
        super().__init__(f"Too many attempts. Try again in {minutes} min.")
        self.wait = wait


def log_in(*, username: str, password: str, address: str, now: datetime) -> User:
    """Give the user with this name and password; raises InvalidInput if there is none, TooManyAttempts if throttled."""
    who = hashlib.sha256(username.strip().lower().encode("utf-8", "replace")).hexdigest()
    attempt = LoginAttempt.objects.create(who=who, address=address[:45], at=now)
    try:
        _check_throttle(attempt, now)
    except TooManyAttempts:
        # A refused attempt tells nothing about the password, so it does not make the wait longer.
        attempt.delete()
        raise
    user = authenticate(None, username=username, password=password)
    if not isinstance(user, User):
        raise InvalidInput("The name or the password is wrong.")
    LoginAttempt.objects.filter(who=who, address=attempt.address).delete()
    return user


def set_password(user: User, password: str) -> None:
    """Give a person a new password; raises InvalidInput with what is weak about it."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidInput(" ".join(error.messages), "password") from error
    user.set_password(password)
    user.save(update_fields=["password"])


def _check_throttle(attempt: LoginAttempt, now: datetime) -> None:
    LoginAttempt.objects.filter(at__lt=now - WINDOW).delete()
    recent = LoginAttempt.objects.filter(address=attempt.address, at__gte=now - WINDOW, pk__lte=attempt.pk)
    for attempts, limit in ((recent.filter(who=attempt.who), PER_PERSON), (recent, PER_ADDRESS)):
        if attempts.count() > limit:
            first = attempts.aggregate(first=Min("at"))["first"] or now
            raise TooManyAttempts(first + WINDOW - now)
