"""Commands that send a webhook to a source, signed as its scheme wants it: for a shell with curl and openssl. Pure."""

from __future__ import annotations

import shlex

from agents.triggers.signatures import BODY, NONE, TIMESTAMP, Scheme

EXAMPLE = '{"id": "example-1", "type": "test", "data": {"message": "Hello"}}'
_DIGEST = "openssl dgst -{algorithm} {key} -binary"
_AS_TEXT = {"hex": "od -An -v -tx1 | tr -d ' \\n'", "base64": "openssl base64 -A"}
_STANDARD_KEY = (
    '-mac HMAC -macopt hexkey:$(printf %s "${SECRET#whsec_}" | openssl base64 -d -A | ' + _AS_TEXT["hex"] + ")"
)


def curl_example(scheme: Scheme, url: str, *, type_from: str = "", id_from: str = "") -> str:
    """Give the lines of a shell; the first one sets the secret, which whoever runs them knows."""
    lines = [f"BODY={shlex.quote(EXAMPLE)}", "NOW=$(date +%s)"]
    headers = {"Content-Type": "application/json", **_placed(type_from, "test"), **_placed(id_from, "example-$NOW")}
    if scheme.kind != NONE:
        lines.insert(0, "SECRET='…'")
    match scheme.kind:
        case "standard":
            headers |= {"webhook-id": "example-$NOW", "webhook-timestamp": "$NOW"}
            lines.append(_signature('printf %s "example-$NOW.$NOW.$BODY"', _STANDARD_KEY, "sha256", "base64"))
            headers["webhook-signature"] = "v1,$SIGNATURE"
        case "github":
            lines.append(_signature('printf %s "$BODY"', _plain_key(), "sha256", "hex"))
            headers["X-Hub-Signature-256"] = "sha256=$SIGNATURE"
        case "stripe":
            lines.append(_signature('printf %s "$NOW.$BODY"', _plain_key(), "sha256", "hex"))
            headers["Stripe-Signature"] = "t=$NOW,v1=$SIGNATURE"
        case "token":
            headers[scheme.header] = f"{_inside(scheme.prefix)}$SECRET"
        case "hmac":
            text = _inside(scheme.signed).replace(TIMESTAMP, "$NOW").replace(BODY, "$BODY")
            lines.append(_signature(f'printf %s "{text}"', _plain_key(), scheme.algorithm, scheme.encoding))
            headers[scheme.header] = f"{_inside(scheme.prefix)}$SIGNATURE"
            if scheme.timestamp_header:
                headers[scheme.timestamp_header] = "$NOW"
    sent = " \\\n".join(f'  -H "{name}: {value}"' for name, value in headers.items())
    lines.append(f'curl -i {shlex.quote(url)} \\\n{sent} \\\n  --data-binary "$BODY"')
    return "\n".join(lines)


def _signature(text: str, key: str, algorithm: str, encoding: str) -> str:
    digest = _DIGEST.format(algorithm=algorithm, key=key)
    return f"SIGNATURE=$({text} | {digest} | {_AS_TEXT[encoding]})"


def _plain_key() -> str:
    return '-hmac "$SECRET"'


def _placed(place: str, value: str) -> dict[str, str]:
    kind, _, name = place.partition(":")
    return {name: value} if kind == "header" else {}


def _inside(text: str) -> str:
    """Write a text so that it stands for itself between double quotes."""
    for sign in ("\\", '"', "$", "`"):
        text = text.replace(sign, f"\\{sign}")
    return text
