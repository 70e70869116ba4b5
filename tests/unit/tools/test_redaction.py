"""Secrets are taken out of texts in every spelling in which others send them back."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.hosts import is_listed, read_hosts
from tools.redaction import SHORTEST, Redactor

VALUE = 'sk-"C4NARY"/+&<é>\\0123'


@pytest.fixture
def redactor() -> Redactor:
    made = Redactor()
    made.know(VALUE, "shop")
    return made


@pytest.mark.parametrize(
    "text",
    [
        VALUE,
        json.dumps({"key": VALUE}),
        json.dumps({"key": VALUE}, ensure_ascii=False),
        repr({"key": VALUE}),
        quote(VALUE),
        quote_plus(VALUE),
        urlencode({"key": VALUE, "more": "x"}),
        html.escape(VALUE),
        f"Basic {base64.b64encode(VALUE.encode()).decode()}",
        *(base64.b64encode(f"{'user'[:n]}:{VALUE}:x".encode()).decode() for n in range(4)),
        base64.urlsafe_b64encode(f"user:{VALUE}".encode()).decode(),
    ],
)
def test_each_spelling_is_taken_out(redactor: Redactor, text: str) -> None:
    clean = redactor.text(f"before {text} after")
    assert "[secret shop]" in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert "C4NARY" not in clean
    for spelling in (base64.b64encode(VALUE.encode()[n:]).decode().rstrip("=")[3:-3] for n in range(3)):
        assert spelling not in clean


def test_json_is_cleaned_in_keys_and_values(redactor: Redactor) -> None:
    clean = redactor.json({VALUE: [VALUE, 1, None, {"a": (f"x{VALUE}",)}]})
    assert clean == {"[secret shop]": ["[secret shop]", 1, None, {"a": ["x[secret shop]"]}]}


def test_a_key_of_many_lines_is_taken_out_line_by_line() -> None:
    redactor = Redactor()
    redactor.know("-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nAQEFAASCBKcwggSjAgEAAoI\n-----END KEY-----", "pem")
    assert "MIIEvQ" not in redactor.text("the line MIIEvQIBADANBgkqhkiG9w0 alone")


def test_what_is_too_short_to_be_told_from_words_is_left_alone() -> None:
    redactor = Redactor()
    redactor.know("a" * (SHORTEST - 1), "short")
    assert not redactor
    assert redactor.text("a" * 100) == "a" * 100


@given(st.text(min_size=SHORTEST, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_no_text_keeps_its_secret(value: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.know(value, "x")
    assert value not in redactor.text(before + value + after).replace("[secret x]", "\0")


def test_hosts_are_read_and_matched() -> None:
    hosts = read_hosts([" API.Example.org. ", "*.example.net", "", "api.example.org", "127.0.0.1", "::1"])
    assert hosts == ["api.example.org", "*.example.net", "127.0.0.1", "::1"]
    for host in ("api.example.org", "API.EXAMPLE.ORG.", "a.b.example.net", "[::1]"):
        assert is_listed(host, hosts), host
    for host in ("example.org", "xapi.example.org", "api.example.org.evil.test", "example.net", "badexample.net", ""):
        assert not is_listed(host, hosts), host
    for wrong in ("*", "*.", "http://example.org", "a b", "example.org/x", "*.*.org", "exa\0mple.org", "a" * 300):
        with pytest.raises(ValueError, match="no name of a host"):
            read_hosts([wrong])
