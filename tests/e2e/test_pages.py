"""Every page as a browser shows it: axe finds nothing, nothing is wider than the window, the keyboard is enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.demo.stage import Stage
from tests.e2e.conftest import AXE, NewPage

PAGES = [
    "/inbox",
    "/inbox?state=review",
    "/inbox?s=nothing",
    "/inbox?s=prices&since=2026-03-01&about=person/p1",
    "/items/person/p2",
    "/conversations/ of many",
    "picking",
    "keys",
    "/review",
    "/items/deal/rollout",
    "/preferences",
    "/preferences/email-sync",
    "choosing folders",
    "/settings/accounts",
    "/settings/team",
    "/settings/policy?address=spam@brightwater.test",
    "/settings/replay",
    "/work/ of a replay",
    "/work/ of a policy",
    "/work/ of a bulk link",
    "/settings/crm",
    "/settings/crm/disconnect",
    "/doctor?q=Prices",
    "/preferences/sign-in",
    "/preferences/keys",
    "/preferences/smart-bcc",
    "/settings/members",
    "/settings/webhooks",
    "/settings/webhooks/ of one",
    "/settings/audit",
    "/sign-in",
    "/api/docs",
    "/api/docs/policy with its shapes",
    "/conversations/",
]


def visit(page: Page, path: str) -> None:
    match path:
        case "/conversations/":
            page.goto("/inbox?s=prices")
            page.locator(".row a.open").first.click()
        case "/settings/webhooks/ of one":
            page.goto("/settings/webhooks")
            page.get_by_label("Address").fill("https://hooks.acme.test/threadlink/" + "long" * 20)
            page.get_by_role("button", name="Add webhook").click()
            page.get_by_role("button", name="Send a test").click()
            page.get_by_role("button", name="Make a new secret").click()
            page.get_by_label("Secret", exact=True).wait_for()
        case "choosing folders":
            page.goto("/preferences/email-sync")
            page.get_by_role("link", name="Choose labels and folders").first.click()
            page.get_by_label("Only what is ticked").check()
            page.get_by_label("Inbox").wait_for()
        case "/work/ of a replay":
            page.goto("/settings/replay")
            page.get_by_role("button", name="Make the report").click()
            page.wait_for_url("**/work/*")
        case "/work/ of a policy":
            page.goto("/settings/policy")
            page.get_by_label("Blocked addresses and domains").fill("acme.test")
            page.get_by_role("button", name="See what would change").click()
            page.wait_for_url("**/work/*")
        case "/work/ of a bulk link":
            page.goto("/inbox?s=prices")
            page.get_by_label("Tick “Prices for the rollout”").check()
            # Offered where there is more than a page.
            page.evaluate("bulk.insertAdjacentHTML('beforeend', '<input type=hidden name=all value=1>')")
            page.get_by_role("button", name="Link conversations").click()
            page.get_by_label("Find a deal, lead or project").fill("lobby")
            page.get_by_label("Find a deal, lead or project").press("Enter")
            page.get_by_role("button", name="Brightwater lobby").click()
            page.wait_for_url("**/work/*")
        case "/api/docs/policy with its shapes":
            page.goto("/api/docs/policy")
            for shape in page.locator("summary").all():
                shape.click()
        case "picking":
            page.goto("/inbox?state=review")
            page.locator(".row").first.get_by_role("button", name="Link item").click()
            page.wait_for_selector(".picker")
        case "keys":
            page.goto("/inbox")
            page.keyboard.press("?")
        case "/conversations/ of many":
            page.goto("/inbox")
            page.get_by_role("button", name="Select page").click()
            page.get_by_role("button", name="Link conversations").click()
            page.wait_for_selector(".picker")
        case _:
            page.goto(path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_and_nothing_is_too_wide(new_page: NewPage, path: str, scheme: str) -> None:
    page = new_page(1280, scheme)
    visit(page, path)
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page, options=AXE)
        assert found.violations_count == 0, found.generate_report()


def test_a_page_is_used_by_keyboard_alone(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/inbox")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.locator(":focus").evaluate("each => each.matches('.row a.open')"):
            break
    outline = page.locator(":focus").evaluate("each => getComputedStyle(each).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/conversations/**")


def test_what_a_mail_says_is_text(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/inbox?state=unlinked")
    expect(page.get_by_text("<b>Ten minutes</b> of your time?").first).to_be_visible()


def test_the_gmail_add_on_beside_a_message(new_page: NewPage, stage: Stage, tmp_path: Path) -> None:
    """Every card that changes nothing, in the simulated Gmail; pictures lie in tmp_path for whoever wants to look."""
    page, gmail = new_page(), f"{stage.addon_page()}/ada@northwind.test"

    def open_message(subject: str) -> None:
        page.goto(gmail)
        page.get_by_role("link", name=subject).first.click()

    def shows(name: str, *texts: str) -> None:
        panel = page.locator("form.panel")
        for text in texts:
            expect(panel.get_by_text(text).first).to_be_visible()
        assert page.evaluate("document.querySelector('form.panel').scrollWidth <= 300")
        page.screenshot(path=tmp_path / f"{name}.png", full_page=True)

    page.goto(gmail)
    shows("home", "To review", "Recent", "Lamps for the spa")
    page.get_by_role("button", name="Show").first.click()
    shows("review", "Riverside ışık spa", "None of these")
    page.get_by_role("button", name="←").click()
    page.get_by_role("button", name="Settings").click()
    shows("settings", "Automatic linking", "ada@northwind.test")

    open_message("Prices for the rollout")
    shows("linked", "Linked deal", "Acme rollout", "Bea Lindqvist")
    page.get_by_role("button", name="Unlink").click()
    shows("unlink", "Take the link to “Acme rollout” off this conversation?")
    page.get_by_role("button", name="Keep it").click()
    page.get_by_label("Deal, lead or project").fill("isik")
    page.get_by_role("button", name="Find").click()
    shows("hits", "Riverside ışık spa")
    page.get_by_role("button", name="Change").click()
    shows("move", "Confirm to link it to “Riverside ışık spa” instead.")

    open_message("of your time")
    shows("stranger", "<b>Ten minutes</b> of your time?", "Not in the CRM")  # as text: the card is not bold
    page.get_by_role("button", name="New lead").click()
    shows("create", "New lead")
    expect(page.get_by_label("Title")).to_have_value("<b>Ten minutes</b> of your time?")
    page.goto(f"{gmail}?hl=tr")
    shows("home-tr", "Seçim bekleyenler")


def test_a_member_signs_in_with_an_account_once_it_is_theirs(
    browser: Browser, stage: Stage, signed_in: dict[str, object]
) -> None:
    def sign_in(page: Page) -> None:
        page.goto("/sign-in")
        page.get_by_role("button", name="Sign in with Google").click()
        page.get_by_role("link", name="ada@northwind.test").click()

    # Pages of their own: a refusal is a complaint of the browser.
    stranger = browser.new_context(base_url=stage.url)
    ada = browser.new_context(base_url=stage.url, storage_state=signed_in)  # type: ignore[arg-type]  # what it was
    page = stranger.new_page()
    sign_in(page)
    expect(page.get_by_text("Ask your administrator for an invitation.")).to_be_visible()
    added = ada.new_page()
    added.goto("/preferences/sign-in")
    added.get_by_role("button", name="Add an account at Google").click()
    added.get_by_role("link", name="ada@northwind.test").click()
    expect(added.get_by_role("status")).to_contain_text("From now on you can sign in with this account.")
    sign_in(page)
    page.wait_for_url("**/inbox")
    stranger.close()
    ada.close()


def test_an_address_is_copied_by_a_button_that_is_there_where_scripts_run(new_page: NewPage) -> None:
    page = new_page(scripts=False)
    page.goto("/preferences/smart-bcc")
    expect(page.get_by_label("Your address", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Copy: Your address")).to_be_hidden()

    page = new_page(320)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for path in ("/preferences/smart-bcc", "/items/deal/rollout"):
        page.goto(path)
        if path.startswith("/items/"):
            page.get_by_text("Send mail to this item").click()
        page.get_by_role("button", name="Copy: Your address").click()
        expect(page.get_by_role("status")).to_have_text("The address is copied.")
        own = page.get_by_label("Your address", exact=True).input_value()
        assert page.evaluate("navigator.clipboard.readText()") == own
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
