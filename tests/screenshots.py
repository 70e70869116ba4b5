"""Pictures of the pages, to be looked at: `python -m tests.screenshots DIR URL NAME PASSWORD`.

Logs in to a running instance, starts the first sample goal, and takes each page in light and dark, wide and narrow.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = {"wide": 1280, "narrow": 390}


def take_all(folder: Path, url: str, name: str, password: str) -> None:
    """Take every page in every form."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        run = ""
        for theme in ("light", "dark"):
            for width, pixels in WIDTHS.items():
                page = _open(browser, theme, pixels)
                run = _visit(page, folder, f"{width}-{theme}", url, (name, password), run)
                page.context.close()
        browser.close()


def _open(browser: Browser, theme: str, width: int) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": 860},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        device_scale_factor=1,
    )
    return context.new_page()


def _visit(page: Page, folder: Path, form: str, url: str, login: tuple[str, str], run: str) -> str:
    def take(name: str) -> None:
        page.screenshot(path=folder / f"{name}-{form}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        if wide:
            sys.stderr.write(f"{name}-{form} scrolls sideways\n")

    page.goto(f"{url}/login/")
    take("login")
    page.fill("#id_username", login[0])
    page.fill("#id_password", login[1])
    page.click("button.primary")
    page.wait_for_url("**/w/**")
    home = page.url
    take("home")
    if not run:
        page.click(".sample >> nth=0")
        page.wait_for_selector("article[data-run]")
        page.wait_for_selector(".prose", timeout=60_000)
        run = page.url
    page.goto(run)
    take("run")
    page.click("[data-tracks] li:nth-child(2) a")
    page.wait_for_selector("#run-pane[data-chosen]:not([data-chosen=''])")
    take("step")
    for name, path in (
        ("runs", "runs/"),
        ("approvals", "approvals/"),
        ("documents", "documents/?find=lease"),
        ("add", "documents/add/"),
        ("workers", "workers/"),
        ("tokens", "settings/tokens/"),
        ("missing", "nothing/"),
    ):
        page.goto(home + path)
        take(name)
    page.goto(f"{url}/admin/")
    take("admin")
    return run


if __name__ == "__main__":
    take_all(Path(sys.argv[1]), sys.argv[2].rstrip("/"), sys.argv[3], sys.argv[4])
