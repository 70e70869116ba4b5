"""Coming in: the one-time link, the password, and how guessing is slowed down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import time_machine
from django.conf import settings
from django.test import Client, override_settings
from django.utils import timezone

if TYPE_CHECKING:
    from agents.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def _quick_hashes() -> Iterator[None]:
    """Let a guess cost a test little: real hashes are slow on purpose, and one test makes fifty guesses."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture
def user() -> User:
    from tests.factories import make_user, make_workspace

    return make_user(make_workspace(slug="team"), username="walrus", password=PASSWORD)


def attempt(client: Client, password: str, name: str = "walrus", address: str = "127.0.0.1") -> int:
    return client.post("/login/", {"username": name, "password": password}, REMOTE_ADDR=address).status_code


@pytest.mark.fault(36)
def test_a_password_logs_in_and_logging_out_ends_it(client: Client, user: User) -> None:
    assert attempt(client, "wrong") == 422
    response = client.post("/login/", {"username": "walrus", "password": PASSWORD, "next": "/w/team/runs/"})
    assert response["Location"] == "/w/team/runs/"
    assert client.get("/", follow=True).redirect_chain[-1][0] == "/w/team/"
    assert client.get("/logout/").status_code == 405
    elsewhere = Client()
    elsewhere.cookies[settings.SESSION_COOKIE_NAME] = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert elsewhere.get("/w/team/").status_code == 200
    client.post("/logout/")
    assert client.get("/w/team/").status_code == 302
    assert elsewhere.get("/w/team/").status_code == 302


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil.example"]
)
def test_logging_in_leads_nowhere_else(client: Client, user: User, target: str) -> None:
    response = client.post("/login/", {"username": "walrus", "password": PASSWORD, "next": target})
    assert response["Location"] == "/"


@pytest.mark.fault(36)
def test_forms_of_other_sites_are_refused(user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert attempt(client, PASSWORD) == 403


@pytest.mark.fault(36)
def test_guessing_is_throttled_per_person_and_address(client: Client, user: User) -> None:
    from agents.models import LoginAttempt

    assert [attempt(client, "wrong") for _ in range(5)] == [422] * 5
    refused = client.post("/login/", {"username": "WALRUS ", "password": PASSWORD})
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 900
    assert "_auth_user_id" not in client.session
    assert LoginAttempt.objects.count() == 5
    # Somebody else, and the same person from elsewhere, are not locked out.
    assert attempt(client, "wrong", name="seal") == 422
    assert attempt(Client(), PASSWORD, address="192.0.2.7") == 302


def test_the_throttle_ends(client: Client, user: User) -> None:
    for _ in range(5):
        attempt(client, "wrong")
    with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=False):
        assert attempt(client, PASSWORD) == 302


@pytest.mark.fault(36)
def test_one_address_can_not_try_many_names(client: Client, user: User) -> None:
    from agents.services import logins

    codes = [attempt(client, "wrong", name=f"name-{number}") for number in range(logins.PER_ADDRESS + 1)]
    assert codes[:-1] == [422] * logins.PER_ADDRESS
    assert codes[-1] == 429


def test_a_link_logs_in_once_and_asks_for_a_password(client: Client, user: User) -> None:
    from agents.services.access import create_login_link

    user.set_unusable_password()
    user.save()
    token = create_login_link(user)
    assert client.get(f"/welcome/{token}")["Location"] == "/password/"
    page = client.get("/password/").content.decode()
    assert 'name="current"' not in page
    assert client.post("/password/", {"password": "12345678", "again": "12345678"}).status_code == 422
    assert client.post("/password/", {"password": "one long word", "again": "another"}).status_code == 422
    done = client.post("/password/", {"password": "quiet walrus lamp", "again": "quiet walrus lamp"})
    assert done.status_code == 302
    assert client.get("/w/team/").status_code == 200
    assert attempt(Client(), "quiet walrus lamp") == 302
    assert Client().get(f"/welcome/{token}/").status_code == 410


def test_an_old_password_is_asked_for(client: Client, user: User) -> None:
    client.force_login(user)
    new = {"password": "quiet walrus lamp", "again": "quiet walrus lamp"}
    assert client.post("/password/", {"current": "wrong", **new}).status_code == 422
    assert client.post("/password/", {"current": PASSWORD, **new}).status_code == 302
