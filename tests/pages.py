"""What tests read in the pages that they are answered with."""

from __future__ import annotations

from typing import Any


def text_of(response: Any) -> str:
    return str(response.content.decode())


def main_of(response: Any) -> str:
    """Give what is the page's own, without the frame around it."""
    return text_of(response).split('id="main"')[1].split("</main>")[0]
