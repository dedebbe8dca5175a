"""The Outlook pane in a browser: framed by a simulated Outlook, Microsoft's script replaced by that Outlook's own.

Pictures lie in tmp_path for whoever wants to look.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Page, Route, expect

from app.demo.stage import Stage
from connectors.mail.graph.simulator import GraphSimulator
from connectors.mail.graph.simulator_client import CLIENT_ID
from connectors.mail.graph.simulator_login import TENANT_ID
from tests.e2e.conftest import AXE, NewPage

pytestmark = pytest.mark.addon

CAN = "can@northwind.test"
ENTRA = "https://login.microsoftonline.com"
SCOPE = f"api://{CLIENT_ID}/access_as_user"
MAILS = (
    ("o1", "Bea Lindqvist <bea@acme.test>", "Prices once more"),
    ("o2", "Tom Okafor <tom@brightwater.test>", "Which lamps"),
    ("o3", "Sam <sam@elsewhere.test>", "<b>Hello</b> there"),
    ("o4", "Lea <lea@elsewhere.test>", "Parking"),
)


@pytest.fixture(scope="module")
def outlook(stage: Stage) -> str:
    """Deliver mail to Can, whose mailbox is Microsoft's; return where it is read."""
    simulator = cast("GraphSimulator", stage.simulators["graph"])
    for key, sender, subject in MAILS:
        head = f"From: {sender}\r\nTo: {CAN}\r\nSubject: {subject}\r\nMessage-ID: <{key}@x.test>\r\n"
        simulator.deliver(CAN, f"{head}\r\nText.\r\n".encode(), at=stage.clock.now())
    stage.settle()
    return f"{stage.pane_page()}/{CAN}"


@pytest.fixture
def page(new_page: NewPage) -> Iterator[Page]:
    made = new_page(width=760)
    yield made
    made.unroute_all(behavior="ignoreErrors")


class Entra:
    """What a browser asks of Entra: a code for the page that it came from, a token for the code and its verifier."""

    def __init__(self, simulator: GraphSimulator) -> None:
        self._simulator = simulator
        self.asked: dict[str, str] = {}
        self.refuses = False

    def put_into_the_page(self, route: Route) -> None:
        """Name Microsoft's own address, which msal speaks to over https alone, in place of the simulator's."""
        page = route.fetch()
        found = re.search(r'data-authority="(http://[^/]+)', page.text())
        assert found
        own, said = found[1], page.headers["content-security-policy"]
        headers = {**page.headers, "content-security-policy": said.replace(own, f"{own} {ENTRA}")}
        body = page.text().replace(f'data-authority="{own}', f'data-authority="{ENTRA}')
        route.fulfill(response=page, body=body, headers=headers)

    def answer(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path.endswith("/oauth2/v2.0/authorize"):
            self.asked = dict(parse_qsl(urlsplit(route.request.url).query))
            said = {"error": "access_denied"} if self.refuses else {"code": "a-code", "client_info": self._whose()}
            back = urlencode({**said, "state": self.asked["state"]})
            address = json.dumps(f"{self.asked['redirect_uri']}#{back}")  # Playwright does not see redirects
            route.fulfill(body=f"<script>location.replace({address})</script>", content_type="text/html")
            return
        assert path.endswith("/oauth2/v2.0/token"), path
        form = dict(parse_qsl(route.request.post_data or ""))
        verifier = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(verifier).decode().rstrip("=") == self.asked["code_challenge"]
        assert (form["code"], form["redirect_uri"]) == ("a-code", self.asked["redirect_uri"])
        given = {
            "token_type": "Bearer",
            "scope": self.asked["scope"],
            "expires_in": 3_600,
            "access_token": self._simulator.pane_token(CAN),
            "id_token": self._simulator.pane_token(CAN, nonce=self.asked["nonce"]),
            "client_info": self._whose(),
        }
        route.fulfill(json=given, headers={"Access-Control-Allow-Origin": "*"})

    def _whose(self) -> str:
        said = json.dumps({"uid": self._simulator.user_id(CAN), "utid": TENANT_ID})
        return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def pane_of(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


def open_mail(page: Page, subject: str) -> FrameLocator:
    page.get_by_role("button", name=subject).click()
    return pane_of(page)


def check(page: Page) -> None:
    """Hold what the pane shows to axe and to 320 pixels."""
    frame = page.frames[1]
    found = Axe().run(cast("Page", frame), options=AXE)
    assert found.violations_count == 0, found.generate_report()
    assert frame.evaluate("document.documentElement.scrollWidth <= innerWidth && innerWidth <= 320")


def test_the_pane_follows_the_open_message(page: Page, outlook: str, tmp_path: Path) -> None:
    page.context.grant_permissions(["clipboard-read"])  # for the page around the pane
    page.goto(outlook)
    expect(pane_of(page).get_by_role("heading", name="Open a message")).to_be_visible()
    pane = open_mail(page, "Prices once more")
    expect(pane.get_by_role("link", name="Acme rollout")).to_be_visible()
    expect(pane.get_by_text("Linked: the only open item of Bea Lindqvist.")).to_be_visible()
    check(page)
    page.screenshot(path=tmp_path / "linked.png")
    for button, named in (("Smart BCC", "own"), ("Send mail to this item", "own-item")):
        pane.get_by_role("button", name=button).click()
        pane.get_by_role("button", name="Copy: Your address").click()
        expect(pane.get_by_role("status")).to_have_text("The address is copied.")
        assert page.evaluate("navigator.clipboard.readText()") == pane.locator(f"#{named}").input_value()
        check(page)
        page.screenshot(path=tmp_path / f"{named}.png")
        pane.get_by_role("button", name="Close").click()
        expect(pane.get_by_role("button", name=button)).to_be_focused()
    pane.get_by_role("button", name="Unlink").click()
    expect(pane.get_by_text("Take the link to “Acme rollout” off")).to_be_visible()
    expect(pane.locator(".ask").get_by_role("button", name="Unlink")).to_be_focused()
    check(page)
    pane.get_by_role("button", name="Keep it").click()
    pane.get_by_label("Deal, lead or project").fill("isik")
    pane.get_by_role("button", name="Find").click()
    pane.get_by_role("button", name="Change: Riverside ışık spa").click()
    expect(pane.get_by_text("linked to “Acme rollout”. Link it to “Riverside ışık spa” instead?")).to_be_visible()
    page.screenshot(path=tmp_path / "move.png")
    pane = open_mail(page, "<b>Hello</b> there")
    expect(pane.get_by_text("<b>Hello</b> there")).to_be_visible()  # as text
    pane.get_by_role("button", name="New lead").click()
    expect(pane.get_by_label("Title")).to_have_value("<b>Hello</b> there")
    check(page)
    page.screenshot(path=tmp_path / "create.png")
    page.get_by_role("button", name="Close the message").click()
    expect(pane.get_by_role("heading", name="Open a message")).to_be_visible()
    page.get_by_role("button", name="Select all").click()
    expect(pane.get_by_role("heading", name="Conversations to link to one item: 5.")).to_be_visible()
    check(page)
    page.screenshot(path=tmp_path / "many.png")
    pane.get_by_label("Deal, lead or project").fill("isik")  # the pane has the focus now, and of several none is open
    pane.get_by_role("button", name="Find").click()
    expect(pane.get_by_role("button", name="Riverside ışık spa").first).to_be_visible()
    pane.get_by_role("button", name="Refresh").click()
    expect(pane.get_by_label("Deal, lead or project")).to_have_value("")
    expect(pane.get_by_role("heading", name="Conversations to link to one item: 5.")).to_be_visible()
    pane = open_mail(page, "Prices once more")
    expect(pane.get_by_role("link", name="Acme rollout")).to_be_visible()


def test_the_pane_speaks_turkish_and_is_dark_as_outlook_is(page: Page, outlook: str, tmp_path: Path) -> None:
    page.goto(f"{outlook}?hl=tr&theme=dark")
    pane = open_mail(page, "Which lamps")
    expect(pane.get_by_role("heading", name="Bağlı değil")).to_be_visible()
    expect(pane.locator("html")).to_have_attribute("lang", "tr")
    expect(pane.get_by_role("button", name="Yenile")).to_be_visible()
    expect(pane.locator("body")).to_have_css("background-color", "rgb(41, 41, 41)")
    check(page)
    page.screenshot(path=tmp_path / "dark.png")


def test_an_answer_for_an_earlier_message_is_not_shown(page: Page, outlook: str) -> None:
    held: list[Route] = []
    page.route("**/outlook/dismiss", lambda route: held.append(route))  # noqa: PLW0108  # Playwright marks what it calls
    page.goto(outlook)
    pane = open_mail(page, "Parking")
    pane.get_by_role("button", name="Not about any item").click()
    pane = open_mail(page, "Prices once more")
    expect(pane.get_by_role("link", name="Acme rollout")).to_be_visible()
    with page.expect_response("**/outlook/dismiss") as late:
        held[0].continue_()
    assert "Parking" in late.value.text()
    page.wait_for_timeout(200)
    expect(pane.get_by_role("link", name="Acme rollout")).to_be_visible()
    expect(pane.get_by_text("Parking")).to_have_count(0)


def test_an_ended_session_is_renewed_without_a_word(browser: Browser, outlook: str, stage: Stage) -> None:
    page = browser.new_page()  # not new_page(): the browser itself logs the 401 that the script answers
    begun: list[int] = []
    page.on("response", lambda each: begun.append(each.status) if "/outlook/session" in each.url else None)
    page.goto(outlook)
    pane = open_mail(page, "Which lamps")
    expect(pane.get_by_role("heading", name="Not linked")).to_be_visible()
    stage.clock.advance(stage.clock.now() + timedelta(minutes=11))
    with page.expect_response(lambda each: each.url.endswith("/outlook/item") and each.status == 401):
        open_mail(page, "Prices once more")
    expect(pane.get_by_role("link", name="Acme rollout")).to_be_visible()
    assert begun == [200, 200]
    page.close()


@pytest.mark.parametrize("signs_in", ["window", "broken", "refuses"])
def test_without_outlooks_sign_in_a_window_is_asked_for(
    page: Page, outlook: str, stage: Stage, signs_in: str, tmp_path: Path
) -> None:
    entra = Entra(cast("GraphSimulator", stage.simulators["graph"]))
    page.context.route(f"{ENTRA}/**", entra.answer)
    page.context.route("**/outlook/dialog*", entra.put_into_the_page)
    # A page that was changed on its way is none of this machine to the browser, which keeps it from others here.
    page.context.route("**/office.js", lambda route: route.fulfill(response=route.fetch()))
    page.goto(f"{outlook}?signin={signs_in}")
    pane = open_mail(page, "Prices once more")
    expect(pane.get_by_role("heading", name="Sign in")).to_be_visible()
    check(page)
    page.screenshot(path=tmp_path / "sign_in.png")
    entra.refuses = True
    pane.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(pane.get_by_text("Microsoft did not sign you in.")).to_be_visible()
    check(page)
    entra.refuses = False
    with page.expect_popup() as window:
        pane.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(pane.get_by_role("link", name="Acme rollout")).to_be_visible()
    expect(pane.get_by_text("Microsoft did not sign you in.")).to_be_hidden()
    assert window.value.is_closed()
    assert entra.asked["login_hint"] == CAN
    assert entra.asked["redirect_uri"] == f"{stage.url}/outlook/dialog"
    assert SCOPE in entra.asked["scope"].split()
    open_mail(page, "Which lamps")  # without another window
    expect(pane.get_by_role("heading", name="Not linked")).to_be_visible()


def test_outlook_asks_the_person_when_it_must(page: Page, outlook: str) -> None:
    page.goto(f"{outlook}?signin=asks")
    pane = open_mail(page, "Which lamps")
    pane.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(pane.get_by_role("heading", name="Not linked")).to_be_visible()
    assert len(page.context.pages) == 1


def test_who_is_not_let_in_is_told_so(browser: Browser, outlook: str) -> None:
    page = browser.new_page()  # not new_page(): the browser itself logs the 401
    page.route("**/outlook/session", lambda route: route.fulfill(status=401, body=""))
    page.goto(outlook)
    pane = open_mail(page, "Which lamps")
    expect(pane.get_by_role("heading", name="threadlink does not take this sign-in")).to_be_visible()
    page.close()


def test_the_pane_asks_for_nothing_that_mobile_has_not(page: Page, outlook: str) -> None:
    """Mailbox 1.5 alone, no other ids, no selection, no colours (add-ons.md 3)."""

    def as_on_mobile(route: Route) -> None:
        script = route.fetch().text().replace("Mailbox: 1.13", "Mailbox: 1.5")
        for missing in ("convertToRestId", "getSelectedItemsAsync", "officeTheme", "SelectedItemsChanged"):
            assert f"{missing}:" in script
            script = script.replace(f"{missing}:", "notOnMobile:")
        route.fulfill(body=script, content_type="text/javascript")

    page.route("**/office.js", as_on_mobile)
    page.goto(outlook)
    pane = open_mail(page, "Prices once more")
    expect(pane.get_by_role("link", name="Acme rollout")).to_be_visible()


def test_a_blocked_script_of_outlook_is_said(new_page: NewPage, outlook: str) -> None:
    page = new_page(width=760)
    page.route("**/office.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(outlook)
    expect(pane_of(page).get_by_role("heading", name=re.compile("Outlook does not answer"))).to_be_visible()
    check(page)
