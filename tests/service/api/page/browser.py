"""A real headless browser: Debian's Chromium, driven by Playwright."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
REFUSED = "Failed to load resource"
"""How the console tells of an answer that is no success; no error of the script."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Without its sandbox where root runs it, for that needs another user."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, timeout=600_000)
        try:
            yield browser
        finally:
            browser.close()


def heard(page: Page) -> list[str]:
    """Fills with every error of the page's script, and every violation of its policy."""
    errors: list[str] = []

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(REFUSED):
            errors.append(message.text)

    page.on("console", console)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def open_page(page: Page, url: str, view: str = "try") -> None:
    """Open one of the page's views, and wait until its script is ready."""
    page.goto(f"{url}/#{view}")
    page.wait_for_selector("html[data-ready]")
