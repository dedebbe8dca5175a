"""A real browser on the whole product: Debian's chromium, driven by Playwright, with a morning of mail in the inbox."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from app.demo.stage import Stage
from app.demo.world import DemoWorld
from app.scenario.read import load
from app.scenario.run import run
from tests.conftest import FAST

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SCENARIO = Path(__file__).parent / "morning.yaml"

NewPage = Callable[..., Page]
# axe copies style sheets that are still on their way into elements of its own, and the browser blames that on the page.
# Only its rule about pages that are locked to an orientation reads sheets; a test of our sheets stands in for it.
AXE = {"resultTypes": ["violations"], "preload": False}

# How long an answer takes says something about the machine, not about the page.
expect.set_options(timeout=20_000)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test of the folder its mark, one worker for each module, and the reason when there is no browser."""
    missing = pytest.mark.skip(reason="no chromium here: `apt-get install chromium` gets it")
    for item in items:
        if "tests/e2e/" in item.path.as_posix():
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
            if CHROMIUM is None:
                item.add_marker(missing)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Run a small team with mail that is linked, ambiguous and unknown; each module has its own."""
    scenario = load(SCENARIO)
    with Stage(scenario, server_settings=FAST) as running:
        assert run(scenario, DemoWorld(running)).failures == ()
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def signed_in(stage: Stage, browser: Browser) -> dict[str, object]:
    """Sign the first member in as a person does, and return the cookies."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(stage.sign_in_link())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox")
    state = context.storage_state()
    context.close()
    return dict(state)


@pytest.fixture
def new_page(stage: Stage, browser: Browser, signed_in: dict[str, object]) -> Iterator[NewPage]:
    """Open pages of the signed-in member; what the browser complains about fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def make(width: int = 1280, scheme: str = "light", *, scripts: bool = True) -> Page:
        context = browser.new_context(
            base_url=stage.url,
            storage_state=signed_in,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []
