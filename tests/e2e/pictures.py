"""Takes the pictures of README.md from the demo's morning: `uv run python -m tests.e2e.pictures`."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from app import log
from app.demo.stage import Stage
from app.demo.world import DemoWorld
from app.scenario.read import built_in
from app.scenario.run import run
from tests.e2e.conftest import CHROMIUM

FOLDER = Path(__file__).parent / "pictures"
SUBJECT = "Prices for the showroom"


def main() -> None:
    """Play the morning and look at it."""
    log.configure("ERROR")
    FOLDER.mkdir(exist_ok=True)
    scenario = built_in()
    with Stage(scenario) as stage, sync_playwright() as playwright:
        run(scenario, DemoWorld(stage))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(base_url=stage.url, viewport={"width": 1200, "height": 720})
        page.goto(stage.sign_in_link())
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/inbox")
        kept = page.context.storage_state()
        _take(page, "inbox")
        _open(page, SUBJECT, "conversation")
        _at(page, "/review", "review")
        _at(page, "/settings/policy", "rules")
        _at(page, "/doctor?q=Prices", "doctor")
        phone = browser.new_context(
            base_url=stage.url, storage_state=kept, viewport={"width": 360, "height": 720}, color_scheme="dark"
        ).new_page()
        _at(phone, "/inbox", "inbox-dark-360")
        browser.close()


def _at(page: Page, path: str, name: str) -> None:
    page.goto(path)
    _take(page, name)


def _open(page: Page, subject: str, name: str) -> None:
    page.goto("/inbox")
    page.locator("a.open", has_text=subject).first.click()
    page.wait_for_url("**/conversations/**")
    _take(page, name)


def _take(page: Page, name: str) -> None:
    page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
