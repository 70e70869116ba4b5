"""Sessions in the database, found by keys that could be ours."""

from __future__ import annotations

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """Django's sessions. A cookie may hold anything: what is no key names no session, and no database is asked.

    PostgreSQL would refuse a NUL character, which a cookie can spell, with an error.
    """

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key if session_key and session_key.isascii() and session_key.isalnum() else None)
