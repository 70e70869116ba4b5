"""Webhooks as they arrive: signed, stored, answered, known when they come twice. Faults E 27, 28."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from agents.models import (
    Event,
    Role,
    Run,
    Subscription,
    SubscriptionState,
    User,
    WebhookScheme,
    WebhookSource,
    Workspace,
)
from agents.services import hooks
from agents.services.dispatching import Dispatcher
from agents.services.errors import Conflict, InvalidInput, NotAllowed
from agents.services.hooks import MAX_BODY, latest_events, send_test
from agents.services.webhook_sources import (
    Options,
    Wanted,
    change_source,
    create_source,
    remove_source,
    rotate_source,
    scheme_of,
)
from agents.triggers.examples import curl_example
from agents.triggers.signatures import sign
from tests.factories import make_agent, make_user, make_workspace
from tools.secrets import rotate

pytestmark = pytest.mark.django_db

SIGNED = Options(header="X-Signature", prefix="v0=", signed="v0:{timestamp}:{body}", timestamp_header="X-Time")
OPTIONS = {"hmac": SIGNED, "token": Options(header="Authorization", prefix="Bearer ")}
BODY = b'{"id": "evt_1", "type": "order.paid", "data": {"total": 5}}'


@pytest.fixture
def home() -> Workspace:
    return make_workspace("home")


@pytest.fixture
def admin(home: Workspace) -> User:
    return make_user(home, Role.ADMIN)


def make_source(home: Workspace, by: User, scheme: str = "standard", **wanted: Any) -> tuple[WebhookSource, str]:
    wanted = {"options": OPTIONS.get(scheme, Options()), **wanted}
    return create_source(home, "shop", scheme, Wanted(**wanted), by=by)


def send(
    source: WebhookSource,
    secret: str,
    body: bytes = BODY,
    *,
    id: str = "msg_1",
    now: datetime | None = None,
    kind: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Any:
    """Send a webhook as its sender does; `headers` come on top of those that it would have."""
    signed = sign(scheme_of(source), secret, body, id=id, now=now or timezone.now())
    return post(source, body, kind, {**signed, **(headers or {})})


def post(source: WebhookSource, body: bytes, kind: str, headers: dict[str, str]) -> Any:
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    return client.generic("POST", f"/hooks/{source.address}", body, content_type=kind, headers=headers)


@pytest.mark.parametrize("scheme", WebhookScheme.values)
def test_a_signed_webhook_becomes_an_event_once(home: Workspace, admin: User, scheme: str) -> None:
    source, secret = make_source(home, admin, scheme)
    first = send(source, secret)
    assert first.status_code == 202, first.content
    event = Event.objects.get()
    assert first.json() == {"event": event.pk}
    assert (event.workspace, event.source, event.tainted) == (home, "webhook:shop", True)
    assert event.data == orjson.loads(BODY)
    again = send(source, secret)
    if scheme in ("token", "none"):
        # Nothing says that it is the same.
        assert Event.objects.count() == 2
    else:
        assert (again.status_code, again.json()) == (202, first.json())
        assert Event.objects.count() == 1
    assert "Set-Cookie" not in first.headers
    assert list(latest_events(source))[-1] == event
    source.refresh_from_db()
    assert (source.refused, source.accepted_at is None) == (0, False)


@pytest.mark.parametrize(
    ("scheme", "wanted", "headers", "name"),
    [
        ("standard", {}, {}, "shop.order.paid"),
        ("stripe", {}, {}, "shop.order.paid"),
        ("github", {}, {"X-GitHub-Event": "push"}, "shop.push"),
        ("github", {"event_name": "github.{type}"}, {}, "github.unknown"),
        ("hmac", {}, {}, "shop.received"),
        ("hmac", {"type_from": "header:X-Event"}, {"X-Event": "made"}, "shop.made"),
        ("token", {"event_name": "order.paid"}, {}, "order.paid"),
    ],
)
def test_the_event_has_the_name_that_is_set(
    home: Workspace, admin: User, scheme: str, wanted: dict[str, Any], headers: dict[str, str], name: str
) -> None:
    source, secret = make_source(home, admin, scheme, **wanted)
    assert send(source, secret, headers=headers).status_code == 202
    assert Event.objects.get().name == name


@pytest.mark.fault(28)
@pytest.mark.django_db(transaction=True)
def test_one_that_comes_ten_times_at_once_is_one_event(home: Workspace, admin: User) -> None:
    source, secret = make_source(home, admin)

    def once(_: int) -> tuple[int, Any]:
        try:
            answer = send(source, secret)
            return answer.status_code, answer.json()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(once, range(10)))
    assert answers == [(202, {"event": Event.objects.get().pk})] * 10


@pytest.mark.fault(28)
@pytest.mark.django_db(transaction=True)
def test_one_that_comes_twice_starts_one_run(home: Workspace, admin: User) -> None:
    source, secret = make_source(home, admin)
    agent = make_agent(home, "clerk")
    Subscription.objects.create(
        workspace=home, name="orders", pattern="shop.*", agent=agent, state=SubscriptionState.ACTIVE
    )
    for _ in range(2):
        assert send(source, secret).status_code == 202
        Dispatcher()()
    run = Run.objects.get()
    assert (run.workspace, run.agent_version, run.tainted) == (home, agent.current, True)
    assert run.matches.get().event == Event.objects.get()


@pytest.mark.fault(27)
@pytest.mark.parametrize("scheme", [scheme for scheme in WebhookScheme.values if scheme != "none"])
def test_what_is_badly_signed_is_refused_counted_and_shown(home: Workspace, admin: User, scheme: str) -> None:
    source, secret = make_source(home, admin, scheme)
    wrong = send(source, "whsec_" + "A" * 43)
    unsigned = post(source, BODY, "application/json", {})
    assert (wrong.status_code, unsigned.status_code) == (401, 401)
    assert b"missing" in unsigned.content
    assert wrong.headers["Content-Type"].startswith("text/plain")
    refused = 2
    if scheme in ("standard", "stripe", "hmac"):
        late = send(source, secret, now=timezone.now() - timedelta(minutes=10))
        assert (late.status_code, b"300 s" in late.content) == (401, True)
        refused += 1
    assert not Event.objects.exists()
    source.refresh_from_db()
    assert (source.refused, source.refused_at is None) == (refused, False)
    assert source.refusal
    assert secret not in source.refusal


@pytest.mark.fault(27)
def test_during_a_rotation_both_secrets_are_good_and_then_one(home: Workspace, admin: User) -> None:
    source, old = make_source(home, admin)
    new = rotate_source(source, hours=2, by=admin)
    source.refresh_from_db()
    assert [send(source, secret, id=secret[-5:]).status_code for secret in (old, new)] == [202, 202]
    WebhookSource.objects.update(previous_until=timezone.now() - timedelta(seconds=1))
    assert [send(source, secret, id=secret[-6:]).status_code for secret in (old, new)] == [401, 202]
    newest = rotate_source(source, hours=0, by=admin)
    assert [send(source, secret, id=secret[-7:]).status_code for secret in (new, newest)] == [401, 202]


def test_secrets_are_sealed_and_sealed_anew(home: Workspace, admin: User, settings: Any) -> None:
    source, secret = make_source(home, admin, "token")
    assert secret not in str(WebhookSource.objects.values().get())
    rotate_source(source, by=admin)
    settings.SECRETS_KEYS = ["MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", *settings.SECRETS_KEYS]
    assert rotate() == 2
    settings.SECRETS_KEYS = settings.SECRETS_KEYS[:1]
    source.refresh_from_db()
    assert send(source, secret).status_code == 202


@pytest.mark.parametrize(
    ("kind", "body", "data"),
    [
        ("application/x-www-form-urlencoded", urlencode({"payload": '{"ref": "main"}'}).encode(), {"ref": "main"}),
        ("application/x-www-form-urlencoded", b"a=1&b=%00&c=%FF", {"a": "1", "b": "�", "c": "�"}),
        ("text/plain", "Grüße".encode(), "Grüße"),
        ("application/json", b"no JSON \x00 \xff", "no JSON � �"),
        ("multipart/form-data; boundary=x", b"--x\r\n", "--x\r\n"),
        ("application/json", b"", ""),
        ("application/json", b'{"a": "\\u0000b", "n": 123456789012345678901234567890}', None),
    ],
)
def test_any_body_is_kept(home: Workspace, admin: User, kind: str, body: bytes, data: Any) -> None:
    source, secret = make_source(home, admin, "github")
    answer = send(source, secret, body, kind=kind)
    assert answer.status_code == 202, answer.content
    kept = Event.objects.get().data
    assert "\x00" not in str(kept)
    assert data is None or kept == data


def test_what_is_too_large_or_packed_is_not_taken(home: Workspace, admin: User) -> None:
    source, secret = make_source(home, admin, "github")
    assert send(source, secret, b"x" * (MAX_BODY + 1)).status_code == 413
    assert send(source, secret, b"[" * 900 + b"]" * 900).status_code == 400
    assert send(source, secret, headers={"Content-Encoding": "gzip"}).status_code == 415
    assert not Event.objects.exists()
    source.refresh_from_db()
    assert source.refused == 0


def test_addresses_that_take_none(home: Workspace, admin: User, client: Client) -> None:
    source, secret = make_source(home, admin)
    assert client.get(f"/hooks/{source.address}").status_code == 405
    for address in ("unknown", "a" * 500, "%C3%BC", source.address[:-1]):
        assert client.post(f"/hooks/{address}").status_code == 404
    change_source(source, Wanted(is_enabled=False), by=admin)
    assert send(source, secret).status_code == 404
    with pytest.raises(Conflict, match="switched off"):
        send_test(source, by=admin)
    remove_source(source, by=admin)
    assert send(source, secret).status_code == 404
    assert not Event.objects.exists()


def test_a_secret_that_can_not_be_read_is_no_fault_of_the_sender(home: Workspace, admin: User) -> None:
    source, secret = make_source(home, admin)
    WebhookSource.objects.update(secret="broken")
    assert send(source, secret).status_code == 503


@pytest.mark.parametrize("scheme", WebhookScheme.values)
def test_the_test_goes_the_way_of_all_webhooks(home: Workspace, admin: User, scheme: str) -> None:
    source, _ = make_source(home, admin, scheme)
    one, other = send_test(source, by=admin), send_test(source, data={"n": 1}, by=admin)
    assert one.pk != other.pk
    assert one.data["data"]["message"].startswith("A test")
    assert one.tainted
    assert one.name == ("shop.test" if source.type_from else "shop.received")
    WebhookSource.objects.update(secret="" if scheme == "none" else source.secret[:-5] + "AAAA=")
    if scheme != "none":
        with pytest.raises(Conflict, match="SECRETS_KEYS"):
            send_test(source, by=admin)
        # Another one mends it.
        rotate_source(source, by=admin)
        send_test(source, by=admin)
        assert WebhookSource.objects.get().previous_until is None


@pytest.mark.parametrize(
    ("scheme", "wanted", "secret", "field"),
    [
        ("morse", {}, "", "scheme"),
        ("hmac", {"options": Options()}, "", "header"),
        ("hmac", {"options": Options(header="X Y")}, "", "header"),
        ("hmac", {"options": Options(header="X", algorithm="md5")}, "", "algorithm"),
        ("hmac", {"options": Options(header="X", encoding="rot13")}, "", "encoding"),
        ("hmac", {"options": Options(header="X", signed="{timestamp}")}, "", "signed"),
        ("hmac", {"options": Options(header="X", signed="{timestamp}.{body}")}, "", "signed"),
        ("hmac", {"options": Options(header="X", timestamp_header="X-Time")}, "", "signed"),
        ("github", {"options": Options(header="X")}, "", "options"),
        ("github", {"tolerance": 0}, "", "tolerance"),
        ("github", {"event_name": "a b"}, "", "event_name"),
        ("github", {"event_name": "{type}"}, "", "event_name"),
        ("github", {"event_name": "run.{type}"}, "", "event_name"),
        ("token", {"event_name": "shop.{type}", "options": OPTIONS["token"]}, "", "type_from"),
        ("github", {"type_from": "cookie:a"}, "", "type_from"),
        ("github", {"id_from": "body:"}, "", "id_from"),
        ("github", {}, "short", "secret"),
        ("github", {}, " a secret with a space around ", "secret"),
        ("standard", {}, "no secret of theirs", "secret"),
        ("none", {}, "what is it for?", "secret"),
        ("github", {"note": "n" * 201}, "", "note"),
    ],
)
def test_what_is_no_source_is_refused_by_field(
    home: Workspace, admin: User, scheme: str, wanted: dict[str, Any], secret: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        create_source(home, "shop", scheme, Wanted(**wanted), secret=secret, by=admin)
    assert refused.value.field == field


def test_only_administrators_set_sources(home: Workspace, admin: User) -> None:
    source, _ = make_source(home, admin)
    with pytest.raises(InvalidInput, match="already"):
        make_source(home, admin)
    for member in (make_user(home), make_user(make_workspace(), Role.ADMIN)):
        with pytest.raises(NotAllowed):
            make_source(home, member)
        with pytest.raises(NotAllowed):
            change_source(source, Wanted(), by=member)
        with pytest.raises(NotAllowed):
            rotate_source(source, by=member)
        with pytest.raises(NotAllowed):
            send_test(source, by=member)
        with pytest.raises(NotAllowed):
            remove_source(source, by=member)


def test_a_sender_may_have_given_the_secret(home: Workspace, admin: User) -> None:
    given = "whsec_" + "given by the other side"
    source, secret = create_source(home, "pay", "stripe", Wanted(), secret=given, by=admin)
    assert secret == given
    assert send(source, given).status_code == 202


@pytest.mark.parametrize("scheme", WebhookScheme.values)
def test_the_command_that_is_shown_signs_as_the_sender_does(
    home: Workspace, admin: User, scheme: str, tmp_path: Any
) -> None:
    assert shutil.which("openssl")
    options = Options(
        header="X-Signature",
        algorithm="sha512",
        encoding="base64",
        prefix='v"$0=',
        signed="v0:{timestamp}:{body}",
        timestamp_header="X-Time",
    )
    wanted = {"options": options} if scheme == "hmac" else {}
    source, secret = make_source(home, admin, scheme, type_from="header:X-Kind", **wanted)
    command = curl_example(
        scheme_of(source), "https://site.example/hooks/x", type_from=source.type_from, id_from=source.id_from
    )
    # In the place of curl stands what writes down what it would send.
    curl = tmp_path / "curl"
    curl.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    curl.chmod(0o755)
    script = command.replace("SECRET='…'", f"SECRET='{secret}'")
    ran = subprocess.run(["sh", "-c", f"PATH={tmp_path}:$PATH\n{script}"], capture_output=True, check=True, text=True)
    arguments = ran.stdout.split("\0")
    headers = dict(arguments[i + 1].split(": ", 1) for i, each in enumerate(arguments) if each == "-H")
    body = arguments[arguments.index("--data-binary") + 1].encode()
    answer = post(source, body, headers.pop("Content-Type"), headers)
    assert answer.status_code == 202, (command, answer.content)
    assert Event.objects.get().name == "shop.test"


def test_a_webhook_is_stored_in_few_statements(
    home: Workspace, admin: User, django_assert_max_num_queries: Any
) -> None:
    source, secret = make_source(home, admin)
    send(source, secret)
    with django_assert_max_num_queries(9):
        send(source, secret, id="msg_2")
    assert hooks.find_source(source.address) == source
