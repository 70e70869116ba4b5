"""Whatever an answer says, the browser makes no request and runs nothing for it."""

from __future__ import annotations

import re

import pytest

from agents.web.markdown import render_answer

ALLOWED = re.compile(r'<a href="(?:https?://[^"]*|\?step=[^"]*|#[^"]*)" rel="nofollow noopener noreferrer">')

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![pixel](https://evil.example/pixel.png)",
    "![pixel][p]\n\n[p]: https://evil.example/pixel.png",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](java\nscript:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:msgbox)",
    "[click](//evil.example/)",
    "[click](/logout/)",
    "[click](cited:1)",
    "<https://ok.example/><javascript:alert(1)>",
    '[x](https://ok.example "onmouseover=alert(1)")',
    '[x](<https://ok.example/" onmouseover="alert(1)>)',
    "<svg onload=alert(1)>",
    "<iframe src=https://evil.example></iframe>",
    "<style>@import url(https://evil.example)</style>",
    "<link rel=stylesheet href=https://evil.example>",
    "<a href=javascript:alert(1)>x</a>",
    "`<img src=x>`",
    "```html\n<script>alert(1)</script>\n```",
    "<!-- --><script>alert(1)</script>",
    "[1]: https://evil.example/\n\n[1]",
    "> <form action=https://evil.example><input>",
    "a\u0000<script>",
    "[" * 5000 + "](" * 5000,
    "*" * 5000 + "_" * 5000,
    "> " * 3000,
]


@pytest.mark.fault(44)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_answers_become_harmless(text: str) -> None:
    html = str(render_answer(text, ["?step=think%230"]))
    tags = re.findall(r"<[^>]*>", html)
    assert not [
        tag for tag in tags if re.match(r"</?(?:script|img|svg|iframe|style|link|form|input|object|meta)\b", tag)
    ]
    for tag in tags:
        if tag.startswith("<a"):
            assert ALLOWED.fullmatch(tag) or tag == '<a rel="nofollow noopener noreferrer">', tag
        else:
            assert "=" not in tag or re.fullmatch(r'<ol start="\d+">', tag), tag


def test_citations_lead_to_what_was_cited() -> None:
    html = render_answer("So it is [1], and so [2]; not [3].", ["?step=a", "?step=b"])
    assert '<sup><a href="?step=a" rel="nofollow noopener noreferrer">1</a></sup>' in html
    assert '<a href="?step=b"' in html
    assert "not [3]" in html


def test_citations_in_code_and_links_stay_text() -> None:
    html = render_answer("`x[1]` and [see [1]](https://ok.example/)", ["?step=a"])
    assert "<code>x[1]</code>" in html
    assert "?step=a" not in html


def test_a_list_of_sources_at_the_end_is_left_to_the_page() -> None:
    text = "It is [1].\n\n**Sources**\n\n- [1] A title (document:3)\n- [2] [3] Another"
    assert "A title" not in render_answer(text, ["?step=a", "?step=a", "?step=a"])
    assert "A title" in render_answer(text)


def test_ordinary_markdown_is_shown() -> None:
    html = render_answer("# A\n\n- one\n- **two**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n~~no~~")
    for tag in ("<h1>", "<li>", "<strong>", "<table>", "<td>", "<s>"):
        assert tag in html
