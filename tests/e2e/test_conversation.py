"""A conversation in a browser: folded, its original in a frame that calls nobody, attachments saved, choices made."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.demo.stage import Stage
from tests.e2e.conftest import AXE, NewPage

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")


@pytest.fixture(scope="module")
def tracker() -> Iterator[tuple[str, list[str]]]:
    """Listen where a mail's pictures would be loaded from; returns the address and what was asked for."""
    asked: list[str] = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name http.server looks for
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        do_POST = do_GET  # noqa: N815  # another name it looks for

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listening)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def letter(tracker: str) -> EmailMessage:
    """Write an answer with everything that would call somebody, a picture of its own, and an attachment."""
    message = EmailMessage()
    message["From"] = "Bea <bea@acme.test>"
    message["To"] = "ada@northwind.test"
    message["Subject"] = "Re: Prices for the rollout"
    message["Message-ID"] = "<letter@acme.test>"
    message["Date"] = "Mon, 02 Mar 2026 10:00:00 +0000"
    message.set_content("Thank you, that fits.\n\nOn Mon, 2 Mar 2026, Ada wrote:\n> Here they are.\n> Ada\n")
    message.add_alternative(
        f"""<style>@import "{tracker}/import"; body {{ background: url({tracker}/css) }}</style>
        <link rel="stylesheet" href="{tracker}/link"><base href="{tracker}/base/">
        <p style="background:url({tracker}/style)">Thank you, <b>that fits</b>. <img src="cid:logo" alt="Acme"></p>
        <img src="{tracker}/pixel.gif?u=ada" width=1 height=1><img srcset="{tracker}/set 2x">
        <input type=image src="{tracker}/input"><script src="{tracker}/script"></script>
        <table background="{tracker}/table"><tr><td background="{tracker}/cell">Total</td><td>12</td></tr></table>
        <svg><image href="{tracker}/svg"/></svg><video poster="{tracker}/poster" src="{tracker}/video" autoplay></video>
        <iframe src="{tracker}/frame"></iframe><object data="{tracker}/object"></object>
        <form action="{tracker}/form"><button>Pay</button></form><img src=x onerror="fetch('{tracker}/error')">
        <a href="{tracker}/clicked" ping="{tracker}/ping">Our terms</a>
        <meta http-equiv="refresh" content="0;url={tracker}/refresh">""",
        subtype="html",
    )
    message.get_payload()[1].add_related(GIF, "image", "gif", cid="<logo>")
    message.add_attachment(b"<script>alert(1)</script>", "text", "html", filename="offer März.html")
    return message


@pytest.fixture(scope="module")
def conversation(stage: Stage, tracker: tuple[str, list[str]]) -> str:
    """Deliver the letter as an answer; return the path of its conversation."""
    told = next(each for each in stage.describe() if each["subject"] == "Prices for the rollout")
    message = letter(tracker[0])
    message["References"] = told["messages"][0]["internet_id"]
    stage.clock.advance(stage.clock.now() + timedelta(minutes=5))
    stage.simulators["gmail"].deliver("ada@northwind.test", message.as_bytes(), at=stage.clock.now())
    stage.settle()
    return f"/conversations/{told['id']}"


def axe_finds_nothing(page: Page) -> None:
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page, options=AXE)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scripts", [False, True])
def test_the_original_calls_nobody(
    new_page: NewPage, conversation: str, tracker: tuple[str, list[str]], *, scripts: bool
) -> None:
    page = new_page(scripts=scripts)
    page.goto(conversation)
    expect(page.locator(".message")).to_have_count(2)
    expect(page.locator(".message[open]")).to_have_count(1)
    expect(page.get_by_text("Here they are.")).to_be_hidden()
    page.get_by_text("Quoted text").click()
    expect(page.get_by_text("Here they are.")).to_be_visible()

    page.locator(".message[open]").get_by_role("link", name="Show the original").click()
    frame = page.frame_locator("iframe.original")
    expect(frame.get_by_text("that fits")).to_be_visible()
    expect(frame.get_by_alt_text("Acme")).to_be_visible()
    expect(frame.get_by_role("link", name="Our terms")).to_have_attribute("target", "_blank")
    page.wait_for_load_state("networkidle")
    assert tracker[1] == []
    page.get_by_role("link", name="Show the text").click()
    expect(page.locator("iframe")).to_have_count(0)


def test_an_attachment_is_saved_as_it_is(new_page: NewPage, conversation: str) -> None:
    page = new_page(scripts=False)
    page.goto(conversation)
    with page.expect_download() as started:
        page.get_by_role("link", name="offer März.html").click()
    assert started.value.suggested_filename == "offer März.html"
    assert started.value.path().read_bytes() == b"<script>alert(1)</script>"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_whole_conversation(new_page: NewPage, conversation: str, scheme: str) -> None:
    page = new_page(scheme=scheme)
    page.goto(f"{conversation}?q=lobby")
    page.get_by_role("link", name="Show the original").first.click()
    expect(page.frame_locator("iframe.original").get_by_text("that fits")).to_be_visible()
    axe_finds_nothing(page)


def test_a_link_is_moved_after_both_items_are_named_and_taken_back_from_the_history(
    new_page: NewPage, conversation: str
) -> None:
    page = new_page(scripts=False)
    page.goto(f"{conversation}?q=lobby")
    page.locator(".suggestion", has_text="Brightwater lobby").get_by_role("button").click()
    expect(page.get_by_text("Acme rollout")).to_be_visible()
    expect(page.get_by_text("Brightwater lobby")).to_be_visible()
    page.get_by_role("button", name="Link to this item instead").click()
    expect(page.get_by_role("status")).to_contain_text("Linked.")
    entry = page.locator(".history li", has_text="Ada Yılmaz linked it to Brightwater lobby instead.")
    entry.get_by_role("button", name="Undo").click()
    expect(page.locator("aside .chip-linked")).to_have_text("Acme rollout")

    page.get_by_label("Others who see the item may read").select_option("metadata")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("What others may read is changed.")


def test_it_is_unlinked_and_chosen_for_by_keys_and_printed_whole(new_page: NewPage, conversation: str) -> None:
    page = new_page()
    page.goto(conversation)
    page.keyboard.press("l")
    expect(page.locator("#choose :focus")).to_have_count(1)
    page.locator("h1").click()
    page.keyboard.press("Shift+L")
    expect(page.locator("#status")).to_contain_text("Unlinked.")
    page.keyboard.press("z")
    expect(page.locator("#status")).to_contain_text("Taken back.")
    expect(page.locator("aside .chip-linked")).to_have_text("Acme rollout")
    expect(page.locator(".message[open]")).to_have_count(1)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".message[open]")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_next_one_is_a_key_away_and_what_is_missing_in_the_crm_is_made_here(new_page: NewPage, scheme: str) -> None:
    page = new_page(1280, scheme)
    page.goto("/inbox?state=unlinked")
    page.get_by_role("link", name="Ten minutes").click()
    page.wait_for_url("**/conversations/*")
    first = page.url
    page.keyboard.press("k")
    page.wait_for_url(lambda url: url != first)
    expect(page.locator("h1")).to_have_text("Lunch")
    expect(page.locator(".neighbours a[rel=prev]")).to_have_count(0)
    page.keyboard.press("j")
    expect(page).to_have_url(first)
    page.get_by_role("link", name="Create person", exact=True).click()
    expect(page.get_by_label("Name")).to_have_value("stranger@elsewhere.test")
    page.get_by_text("Create a new item").click()
    expect(page.get_by_label("Title")).to_have_value("<b>Ten minutes</b> of your time?")
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page, options=AXE)
        assert found.violations_count == 0, found.generate_report()
