"""Pictures of a running service's page, each view in light and dark, wide and on a phone: `scripts/pictures`."""

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import httpx
from PIL import Image
from playwright.sync_api import Error, Page, ViewportSize

from tests.service.api.page.browser import chromium, open_page

FOLDER = Path(__file__).parents[4] / "service/pictures"
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
SIZES: dict[str, ViewportSize] = {"": {"width": 1280, "height": 900}, "-phone": {"width": 390, "height": 844}}

EXAMPLES = """examples:
  scripts/up                                            in one terminal; in another one:
  scripts/pictures --leads leads.csv                    the service at 127.0.0.1:8080, into service/pictures
  scripts/pictures --leads leads.csv --url http://127.0.0.1:9000 --out /tmp/pictures

The leads are scored, and their scores recorded. After a while of `scripts/up --with-loop --speed 1440` the model's
view has evaluations, drift and decisions to show.

exit status: 0 done, 1 the service or the browser failed, 2 wrong use
"""


def take(url: str, leads: Path, folder: Path) -> Iterator[Path]:
    """Each picture as it is taken. Raises playwright's Error."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for scheme, (suffix, size) in itertools.product(SCHEMES, SIZES.items()):
            page = browser.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
            page.set_default_timeout(60_000)
            for view, prepare in (("try", _try), ("file", _file), ("model", None)):
                open_page(page, url, view)
                page.reload()
                page.wait_for_selector("html[data-ready]")
                if prepare:
                    prepare(page, leads)
                path = folder / f"{view}-{scheme}{suffix}.png"
                if view != "file":
                    page.evaluate("() => scrollTo(0, 0)")  # or what sticks to the window's edge stands amid the picture
                page.screenshot(path=path, full_page=view != "file", animations="disabled", caret="hide")
                # A palette takes a third of the room, and is not seen.
                Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)
                yield path
            page.close()


def _try(page: Page, _: Path) -> None:
    """A lead that differs from the typical one in each of its first choices and numbers."""
    for select in page.locator("#lead select").all():
        last = select.locator("option").count() - 1
        select.select_option(index=last)
    for number in page.locator("#lead input[inputmode=decimal]").all():
        typical = float(number.get_attribute("data-typical") or 0)
        number.fill(f"{3 * typical or 5:g}")
    page.locator("#lead button[type=submit]").click()
    page.wait_for_selector("#answer:not([hidden])")
    page.wait_for_load_state("networkidle")


def _file(page: Page, leads: Path) -> None:
    page.set_input_files("#choose", leads)
    page.locator("#start").click()
    page.wait_for_selector("#list:not([hidden])")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="scripts/pictures",
        description="Take pictures of a running service's page, each view in light and dark, wide and on a phone.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--leads", type=Path, required=True, metavar="FILE.csv", help="leads to score in the picture")
    parser.add_argument(
        "--url",
        type=lambda text: text.rstrip("/"),
        default="http://127.0.0.1:8080",
        help="the service (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the pictures go (default: service/pictures)")
    given = parser.parse_args(arguments)
    if not given.leads.is_file():
        parser.error(f"--leads {given.leads}: there is no such file")
    try:
        httpx.get(f"{given.url}/readyz", trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        print(f"pictures: {given.url} is not ready ({error}); scripts/up starts a service", file=sys.stderr)
        return 1
    try:
        for path in take(given.url, given.leads, given.out):
            print(path)
    except Error as error:
        print(f"pictures: {error.message.splitlines()[0]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
