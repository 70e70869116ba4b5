"""Signatures of incoming webhooks: the examples that their makers publish, and what is refused. Faults E 27."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from agents.triggers import signatures
from agents.triggers.signatures import (
    Scheme,
    SignatureMalformed,
    SignatureMissing,
    SignatureRefused,
    SignatureStale,
    SignatureWrong,
    sign,
    verify,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = b'{"type": "order.created", "data": {"id": 7}}'
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another key of twenty-four").decode()

STRIPE_BODY = """{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
"""
PUBLISHED: dict[str, tuple[Scheme, str, dict[str, str], bytes, int]] = {
    # The example of the specification's test suites.
    "standard": (
        Scheme(kind="standard"),
        KEY,
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        1614265330,
    ),
    # The example of GitHub's page on validating deliveries.
    "github": (
        Scheme(kind="github"),
        "It's a Secret to Everybody",
        {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
        0,
    ),
    # The example of Stripe's own client for .NET.
    "stripe": (
        Scheme(kind="stripe"),
        "webhook_secret",
        {
            "stripe-signature": "t=1533204620"
            ",v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7"
            ",v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
        },
        STRIPE_BODY.encode(),
        1533204620,
    ),
}


SCHEMES = {
    "standard": Scheme(kind="standard"),
    "github": Scheme(kind="github"),
    "stripe": Scheme(kind="stripe"),
    "plain hmac": Scheme(kind="hmac", header="X-Signature"),
    "with a time": Scheme(
        kind="hmac",
        header="X-Signature",
        algorithm="sha512",
        encoding="base64",
        prefix="v0=",
        signed="v0:{timestamp}:{body}",
        timestamp_header="X-Time",
    ),
    "token": Scheme(kind="token", header="Authorization", prefix="Bearer "),
}


def signed(name: str, secret: str = KEY, body: bytes = BODY, now: datetime = NOW) -> dict[str, str]:
    return sign(SCHEMES[name], secret, body, id="msg_1", now=now)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_examples_are_verified_as_they_stand(name: str) -> None:
    scheme, secret, headers, body, seconds = PUBLISHED[name]
    at = datetime.fromtimestamp(seconds + 100, UTC)
    verify(scheme, [secret], headers, body, now=at)
    with pytest.raises(SignatureWrong):
        verify(scheme, [secret], headers, body + b" ", now=at)
    with pytest.raises(SignatureWrong):
        verify(scheme, [OTHER], headers, body, now=at)


@pytest.mark.parametrize("name", SCHEMES)
def test_what_we_sign_we_accept_with_either_key_of_a_rotation(name: str) -> None:
    verify(SCHEMES[name], [KEY], signed(name), BODY, now=NOW)
    verify(SCHEMES[name], [OTHER, KEY], signed(name), BODY, now=NOW)
    with pytest.raises(SignatureWrong):
        verify(SCHEMES[name], [OTHER], signed(name), BODY, now=NOW)
    with pytest.raises(SignatureWrong):
        verify(SCHEMES[name], [], signed(name), BODY, now=NOW)


@pytest.mark.fault(27)
@pytest.mark.parametrize("name", SCHEMES)
def test_each_header_is_needed(name: str) -> None:
    headers = signed(name)
    for missing in headers:
        if missing == "x-github-delivery":
            continue  # Not signed: it tells deliveries apart.
        rest = {other: value for other, value in headers.items() if other != missing}
        with pytest.raises(SignatureMissing, match=f"(?i){missing}"):
            verify(SCHEMES[name], [KEY], rest, BODY, now=NOW)


@pytest.mark.fault(27)
@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "token"])
def test_another_body_is_refused(name: str) -> None:
    with pytest.raises(SignatureWrong):
        verify(SCHEMES[name], [KEY], signed(name), BODY.replace(b"7", b"8"), now=NOW)


@pytest.mark.fault(27)
@pytest.mark.parametrize("name", ["standard", "stripe", "with a time"])
@pytest.mark.parametrize("away", [-301, 301])
def test_what_was_signed_long_ago_or_in_the_future_is_refused(name: str, away: int) -> None:
    headers = signed(name)
    verify(SCHEMES[name], [KEY], headers, BODY, now=NOW + timedelta(seconds=away // 2))
    with pytest.raises(SignatureStale, match="300 s"):
        verify(SCHEMES[name], [KEY], headers, BODY, now=NOW + timedelta(seconds=away))


@pytest.mark.fault(27)
@pytest.mark.parametrize("name", SCHEMES)
def test_all_keys_and_all_signatures_are_compared_in_constant_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[Any, Any]] = []

    compare = hmac.compare_digest

    def watch(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watch)
    verify(SCHEMES[name], [KEY, OTHER], signed(name), BODY, now=NOW)
    first = len(compared)
    with pytest.raises(SignatureWrong):
        verify(SCHEMES[name], [OTHER, OTHER], signed(name), BODY, now=NOW)
    assert (first, len(compared)) == (2, 4)


def test_a_rotating_sender_may_bring_several_signatures() -> None:
    mine, others = signed("standard"), signed("standard", OTHER)
    both = {**mine, "webhook-signature": f"v1a,abc {others['webhook-signature']} {mine['webhook-signature']}"}
    verify(SCHEMES["standard"], [KEY], both, BODY, now=NOW)
    times = signed("stripe")["stripe-signature"], signed("stripe", OTHER)["stripe-signature"].partition(",")[2]
    verify(SCHEMES["stripe"], [KEY], {"stripe-signature": ", ".join(reversed(times))}, BODY, now=NOW)


def test_only_the_known_versions_count() -> None:
    headers = signed("stripe")
    old = {"stripe-signature": headers["stripe-signature"].replace("v1=", "v0=")}
    with pytest.raises(SignatureMalformed):
        verify(SCHEMES["stripe"], [KEY], old, BODY, now=NOW)
    headers = signed("standard")
    with pytest.raises(SignatureMalformed):
        verify(SCHEMES["standard"], [KEY], {**headers, "webhook-signature": "v2,abcd"}, BODY, now=NOW)


@pytest.mark.fault(27)
@pytest.mark.parametrize("name", SCHEMES)
@given(text=st.text(max_size=60), data=st.data())
def test_whatever_headers_hold_they_are_refused_and_nothing_else_happens(
    name: str, text: str, data: st.DataObject
) -> None:
    headers = signed(name)
    changed = data.draw(st.sampled_from([header for header in headers if header != "x-github-delivery"]))
    before = headers[changed]
    cut = data.draw(st.integers(0, len(before)))
    given_instead = data.draw(st.sampled_from([text, before[:cut] + text, text + before[cut:]]))
    if given_instead.strip() == before:
        return
    try:
        verify(SCHEMES[name], [KEY], {**headers, changed: given_instead}, BODY, now=NOW)
    except SignatureRefused:
        return
    # Spaces, upper case and parts that do not count change nothing of what is meant.
    assert before.split("=")[-1].split(",")[-1].lower() in given_instead.lower().replace(" ", "")


def test_a_receivers_library_accepts_what_we_send() -> None:
    now = datetime.now(UTC)
    headers = sign(Scheme(kind="standard"), KEY, BODY, id="msg_1", now=now)
    assert Webhook(KEY).verify(BODY, headers)["data"] == {"id": 7}


@pytest.mark.parametrize(
    "secret", ["whsec_", "whsec_short", "whsec_not base64 at all!", "whsec_" + "A" * 400, "plain words", "whsec_ü"]
)
def test_what_is_no_key_is_refused_when_it_is_set(secret: str) -> None:
    with pytest.raises(ValueError, match="secret of Standard Webhooks"):
        signatures.standard_key(secret)


def test_without_a_scheme_everything_is_accepted() -> None:
    verify(Scheme(kind="none"), [], {}, BODY, now=NOW)
    assert sign(Scheme(kind="none"), "", BODY, id="1", now=NOW) == {}


def test_the_signed_text_is_the_one_that_is_declared() -> None:
    made = signed("with a time")
    text = b"v0:%d:%s" % (NOW.timestamp(), BODY)
    expected = base64.b64encode(hmac.new(KEY.encode(), text, hashlib.sha512).digest()).decode()
    assert made == {"x-time": str(int(NOW.timestamp())), "x-signature": f"v0={expected}"}
