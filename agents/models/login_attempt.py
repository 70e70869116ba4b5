"""Attempts to log in with a password, to slow down guessing."""

from __future__ import annotations

from django.db import models


class LoginAttempt(models.Model):
    """A password that was tried and did not fit, or is being checked. `who` is a digest of the name that was given."""

    who = models.CharField(max_length=64)
    address = models.CharField(max_length=45, blank=True)
    at = models.DateTimeField()

    class Meta:
        indexes = (
            models.Index(fields=("who", "at"), name="login_attempt_who"),
            models.Index(fields=("address", "at"), name="login_attempt_address"),
        )

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.address}"
