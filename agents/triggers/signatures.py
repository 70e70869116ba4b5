"""Who sent this webhook? Signatures of incoming webhooks by the schemes of those who send them. Pure: no I/O, no clock.

What is signed is the body as it came, byte for byte; reading it and writing it anew would change it. Every key is tried
against every signature, without stopping at the first that fits: how long it takes says nothing about the key.

SignatureRefused
├── SignatureMissing    a header that the scheme needs is not there
├── SignatureMalformed  it is there and can't be read
├── SignatureStale      its time is too far from ours: perhaps somebody sends what was sent before
└── SignatureWrong      it was not made with one of our keys, or not of this body
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

STANDARD, GITHUB, STRIPE, HMAC, TOKEN, NONE = "standard", "github", "stripe", "hmac", "token", "none"
SCHEMES: Final = (STANDARD, GITHUB, STRIPE, HMAC, TOKEN, NONE)
ALGORITHMS: Final = ("sha256", "sha512", "sha384", "sha1")
ENCODINGS: Final = ("hex", "base64")
TOLERANCE: Final = 300
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 (what secrets begin with)
LEAST_KEY, MOST_KEY = 16, 128
"""Bytes of a key of Standard Webhooks. They advise 24 to 64; some senders give out others."""
MAX_HEADER = 4096
BODY, TIMESTAMP = "{body}", "{timestamp}"
_SECONDS = re.compile(r"[0-9]{1,12}")


class SignatureRefused(Exception):
    """The webhook is not accepted; the message says what the sender can mend."""


class SignatureMissing(SignatureRefused):
    """A header that the scheme needs is not there."""


class SignatureMalformed(SignatureRefused):
    """The signature can't be read."""


class SignatureStale(SignatureRefused):
    """Its time is too far from ours."""


class SignatureWrong(SignatureRefused):
    """It was not made with one of our keys, or not of this body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How the webhooks of a source are signed. What stands below `kind` counts for `hmac` and `token` alone.

    `header` carries the signature, `prefix` stands before it. `signed` is what is signed: `{body}`, perhaps with the
    `{timestamp}` of `timestamp_header`. `tolerance` is how many seconds that may be off.
    """

    kind: str
    header: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    signed: str = BODY
    timestamp_header: str = ""
    tolerance: int = TOLERANCE


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a request says of itself: the text that was signed, and the signatures that it brings along."""

    text: bytes
    signatures: tuple[bytes, ...]


def verify(scheme: Scheme, secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    """Accept a webhook or raise SignatureRefused. Names of headers are lower case; any of the secrets will do."""
    if scheme.kind == NONE:
        return
    claim = _read_claim(scheme, headers, body, now)
    # A list, not a generator: all are compared.
    fits = [
        hmac.compare_digest(made, given)
        for made in (_expected(scheme, secret, claim.text) for secret in secrets)
        for given in claim.signatures
    ]
    if not any(fits):
        what = "token" if scheme.kind == TOKEN else "signature"
        raise SignatureWrong(f"The {what} in {signature_header(scheme)} is wrong: check the secret on both sides.")


def sign(scheme: Scheme, secret: str, body: bytes, *, id: str, now: datetime) -> dict[str, str]:
    """Give the headers that a sender adds to a webhook of this scheme; `id` where the scheme carries one."""
    seconds = str(int(now.timestamp()))
    headers: dict[str, str] = {}
    match scheme.kind:
        case "none":
            return headers
        case "standard":
            signature = _encode(_expected(scheme, secret, _standard_text(id, seconds, body)), "base64")
            return {"webhook-id": id, "webhook-timestamp": seconds, "webhook-signature": f"v1,{signature}"}
        case "github":
            headers["x-github-delivery"] = id
            text = body
        case "stripe":
            text = b"%s.%s" % (seconds.encode(), body)
            return {"stripe-signature": f"t={seconds},v1={_expected(scheme, secret, text).hex()}"}
        case "token":
            return {scheme.header.lower(): scheme.prefix + secret}
        case _:
            text = _own_text(scheme, seconds, body)
            if scheme.timestamp_header:
                headers[scheme.timestamp_header.lower()] = seconds
    made = _encode(_expected(scheme, secret, text), "hex" if scheme.kind == GITHUB else scheme.encoding)
    prefix = "sha256=" if scheme.kind == GITHUB else scheme.prefix
    return {**headers, signature_header(scheme).lower(): prefix + made}


def signature_header(scheme: Scheme) -> str:
    """Give the name of the header with the signature, as senders write it; empty if there is none."""
    known = {STANDARD: "webhook-signature", GITHUB: "X-Hub-Signature-256", STRIPE: "Stripe-Signature", NONE: ""}
    return known.get(scheme.kind, scheme.header)


def standard_key(secret: str) -> bytes:
    """Read a secret of Standard Webhooks, `whsec_…`; raises ValueError for what is none."""
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        # Some give them out without the padding at their end.
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("a secret of Standard Webhooks is whsec_ and base64") from error
    if not LEAST_KEY <= len(key) <= MOST_KEY:
        raise ValueError(f"a secret of Standard Webhooks has {LEAST_KEY} to {MOST_KEY} bytes, this one {len(key)}")
    return key


def _read_claim(scheme: Scheme, headers: Mapping[str, str], body: bytes, now: datetime) -> _Claim:
    carried = _header(headers, signature_header(scheme))
    match scheme.kind:
        case "standard":
            id, seconds = _header(headers, "webhook-id"), _header(headers, "webhook-timestamp")
            _check_time(seconds, scheme, now)
            entries = (entry.partition(",") for entry in carried.split(" "))
            signatures = _decoded((text for version, _, text in entries if version == "v1"), "base64")
            return _Claim(_standard_text(id, seconds, body), signatures)
        case "stripe":
            parts = [part.strip().partition("=") for part in carried.split(",")]
            seconds = next((value for name, _, value in parts if name == "t"), "")
            _check_time(seconds, scheme, now)
            # v0 is for tests alone: to take it for a signature would let anybody in.
            signatures = _decoded((value for name, _, value in parts if name == "v1"), "hex")
            return _Claim(b"%s.%s" % (seconds.encode(), body), signatures)
        case "github":
            return _Claim(body, _decoded([_without_prefix(carried, "sha256=")], "hex"))
        case "token":
            return _Claim(b"", (_without_prefix(carried, scheme.prefix).encode(),))
    seconds = ""
    if scheme.timestamp_header:
        seconds = _header(headers, scheme.timestamp_header)
        _check_time(seconds, scheme, now)
    signatures = _decoded([_without_prefix(carried, scheme.prefix)], scheme.encoding)
    return _Claim(_own_text(scheme, seconds, body), signatures)


def _expected(scheme: Scheme, secret: str, text: bytes) -> bytes:
    if scheme.kind == TOKEN:
        return secret.encode()
    key = standard_key(secret) if scheme.kind == STANDARD else secret.encode()
    algorithm = scheme.algorithm if scheme.kind == HMAC else "sha256"
    return hmac.digest(key, text, getattr(hashlib, algorithm))


def _standard_text(id: str, seconds: str, body: bytes) -> bytes:
    return b"%s.%s.%s" % (id.encode(), seconds.encode(), body)


def _own_text(scheme: Scheme, seconds: str, body: bytes) -> bytes:
    before, _, after = scheme.signed.partition(BODY)
    return before.replace(TIMESTAMP, seconds).encode() + body + after.replace(TIMESTAMP, seconds).encode()


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name.lower(), "").strip()
    if not value:
        raise SignatureMissing(f"The header {name} is missing.")
    if len(value) > MAX_HEADER:
        raise SignatureMalformed(f"The header {name} has more than {MAX_HEADER:,} characters.")
    return value


def _without_prefix(text: str, prefix: str) -> str:
    if not text.startswith(prefix):
        raise SignatureMalformed(f"The signature does not begin with {prefix!r}.")
    return text[len(prefix) :].strip()


def _check_time(text: str, scheme: Scheme, now: datetime) -> None:
    if not _SECONDS.fullmatch(text):
        raise SignatureMalformed("The signature's time is no number of seconds since 1970.")
    away = abs(now.timestamp() - int(text))
    if away > scheme.tolerance:
        raise SignatureStale(
            f"The signature's time is more than {scheme.tolerance} s from ours: it is sent too late, sent once more,"
            " or one of the clocks is wrong."
        )


def _decoded(texts: Iterable[str], encoding: str) -> tuple[bytes, ...]:
    found = []
    for text in texts:
        try:
            found.append(bytes.fromhex(text) if encoding == "hex" else base64.b64decode(text, validate=True))
        except ValueError:
            continue
    if not found:
        raise SignatureMalformed(f"The signature can't be read: it is no {encoding}, or not of a kind that is known.")
    return tuple(found)


def _encode(signature: bytes, encoding: str) -> str:
    return signature.hex() if encoding == "hex" else base64.b64encode(signature).decode()
