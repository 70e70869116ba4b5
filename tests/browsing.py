"""A person's browser for acceptance tests: a page whose complaints and foreign requests are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.instance import ADMIN_PASSWORD, Instance
from tests.screenshots import CHROMIUM

BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium: apt-get install chromium"),
]
"""Marks of what needs a browser."""
PATIENCE = 30_000


class Watched:
    """A page whose complaints and requests are kept."""

    def __init__(self, context: BrowserContext, home: str) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self._home = urlsplit(home).netloc
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._check(request.url))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self._home:
            self.strangers.append(url)


@contextmanager
def watched(browser: Browser, instance: Instance, **options: object) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    yield Watched(context, instance.url)
    context.close()


def log_in(page: Page, instance: Instance) -> None:
    page.goto(f"{instance.url}/login/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", ADMIN_PASSWORD)
    page.click("text=Log in >> nth=-1")
    page.wait_for_url("**/w/default/")


def take_picture(page: Page, name: str) -> None:
    """Take pictures to be looked at, light, dark and narrow, into the folder PICTURES if it is set."""
    folder = os.environ.get("PICTURES")
    if not folder:
        return
    size = page.viewport_size
    for form, theme, width in (("light", "light", 1280), ("dark", "dark", 1280), ("narrow", "light", 320)):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=Path(folder) / f"{name}-{form}.png", full_page=True)
    page.set_viewport_size(size or {"width": 1280, "height": 900})
