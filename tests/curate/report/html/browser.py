"""A report opened in headless Chromium, with everything it says and asks for noted down."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
AXE = next(Path(axe_playwright_python.__file__).parent.glob("**/axe.min.js"))


@dataclass
class Opened:
    """A page under way.

    Attributes:
        page: to drive.
        said: console messages and uncaught errors.
        asked: addresses it asked for beside the file itself.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def violations(self) -> list[dict[str, Any]]:
        """Give axe-core's violations, of whatever impact."""
        self.page.evaluate(AXE.read_text("utf-8"))
        found: list[dict[str, Any]] = self.page.evaluate(
            "axe.run(document).then((found) => found.violations)"
        )
        return [
            {"rule": one["id"], "at": [node["target"] for node in one["nodes"]]} for one in found
        ]


Theme = Literal["light", "dark"]


@contextmanager
def opened(file: Path, width: int = 1400, theme: Theme = "light") -> Iterator[Opened]:
    """Open a file and wait until its samples are listed."""
    if CHROMIUM is None:
        pytest.skip("no chromium: `apt-get install chromium` brings it")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
        found = Opened(page)
        page.on("console", lambda message: found.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: found.said.append(f"error: {error}"))
        page.on("request", lambda request: found.asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector(".chart .main-svg", state="attached")
        found.asked.remove(file.as_uri())
        yield found
        browser.close()
