"""The inbox as somebody uses it all day: keys alone, choices answered in place, new mail that shows by itself."""

from __future__ import annotations

from datetime import timedelta

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from app.demo.stage import Stage
from app.testing.mail_stage import mail
from tests.e2e.conftest import AXE, NewPage


def test_a_morning_by_keyboard_alone_is_answered_in_place(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/inbox?state=review")
    page.evaluate("window.here = true")  # gone after a reload
    press = page.keyboard.press
    press("j")
    row = page.locator(".row", has_text="Lamps for the spa")
    expect(row.locator("a.open")).to_be_focused()
    press("l")
    expect(row.locator(".offer").first).to_be_focused()
    assert Axe().run(page, options=AXE).violations_count == 0
    press("Escape")
    expect(page.locator(".picker")).to_have_count(0)
    press("l")
    expect(row.locator(".offer").first).to_be_focused()
    press("Enter")
    expect(page.locator("#status")).to_contain_text("Linked.")
    expect(row).to_contain_text("by hand")
    expect(row.locator("a.open")).to_be_focused()
    expect(page.locator("#tabs a[aria-current] .count")).to_have_text("1")
    press("Shift+L")
    expect(page.locator("#status")).to_contain_text("Unlinked.")
    press("z")
    expect(page.locator("#status")).to_contain_text("Taken back.")
    expect(row).to_contain_text("by hand")

    # A link is replaced after a question that names both (T7).
    press("l")
    page.get_by_role("button", name="Brightwater lobby").or_(page.get_by_role("button", name="Riverside")).first.click()
    expect(page.locator(".picker")).to_contain_text("Link it to")
    press("Escape")
    press("Shift+L")
    expect(page.locator("#tabs a[aria-current] .count")).to_have_text("2")

    press("x")
    press("j")
    press("x")
    expect(page.locator("#ticked")).to_have_text("2 selected")
    page.get_by_role("button", name="Link conversations").click()
    expect(page.locator("#picked .offer").first).to_contain_text("fits 2 of 2")
    press("Enter")
    expect(page.locator("#status")).to_contain_text("Conversations linked: 2.")
    press("z")
    expect(page.locator("#tabs a[aria-current] .count")).to_have_text("2")
    page.get_by_role("button", name="Select page").click()
    page.get_by_role("button", name="Not about any item", exact=True).click()
    expect(page.locator("#status")).to_contain_text("Taken out of the list: 2.")
    press("z")
    expect(page.locator("#status")).to_contain_text("Taken back.")
    assert page.evaluate("window.here")

    press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("Escape")
    press("/")
    expect(page.locator("#s")).to_be_focused()
    page.keyboard.type("jx?")
    expect(page.get_by_role("dialog")).to_have_count(0)  # off inside inputs
    page.locator("h1").click()
    press("g")
    press("r")
    page.wait_for_url("**/review")


def test_one_key_settles_a_persons_conversations(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/review")
    group = page.locator("section.choice", has_text="Tom Okafor")
    expect(group.locator("input[type=checkbox]")).to_have_count(2)
    page.keyboard.press("1")
    expect(page.locator("#status")).to_contain_text("Conversations linked: 2.")
    expect(group).to_have_count(0)
    expect(page.get_by_text("Nothing needs a choice.")).to_be_visible()
    page.keyboard.press("z")
    expect(group).to_have_count(1)
    page.keyboard.press("l")  # another item, for both of them
    expect(group.locator(".picker")).to_contain_text("Conversations to link to one item: 2.")
    assert Axe().run(page, options=AXE).violations_count == 0
    group.get_by_label("Find a deal, lead or project").fill("rollout")
    page.keyboard.press("Enter")
    group.locator(".picker").get_by_role("button", name="Acme rollout").click()
    expect(page.locator("#status")).to_contain_text("Conversations linked: 2.")
    expect(group).to_have_count(0)
    page.keyboard.press("z")
    expect(group).to_have_count(1)
    page.keyboard.press("n")
    expect(page.locator("#status")).to_contain_text("Taken out of the list: 2.")
    page.keyboard.press("z")
    expect(group).to_have_count(1)


def test_new_mail_shows_by_itself_and_nothing_moves(new_page: NewPage, stage: Stage) -> None:
    page = new_page()
    page.goto("/inbox")
    ticks = page.locator("#rows .tick")
    ticks.first.click()
    ticks.nth(2).click(modifiers=["Shift"])
    expect(page.locator("#ticked")).to_have_text("3 selected")
    ticks.first.click(modifiers=["Shift"])
    expect(page.locator("#ticked")).to_be_hidden()
    page.get_by_label("Tick “Prices for the rollout”").check()
    page.evaluate("window.here = true")
    stage.clock.advance(stage.clock.now() + timedelta(minutes=5))
    for number in range(2):
        fresh = mail(
            200 + number,
            **{"From": "Bea <bea@acme.test>", "Subject": f"Order {number}", "Message-ID": f"<n{number}@acme.test>"},
        )
        stage.simulators["gmail"].deliver("ada@northwind.test", fresh, at=stage.clock.now())
    stage.settle()
    page.evaluate("htmx.trigger('#fresh', 'look')")  # as the clock does every 20 seconds
    bar = page.get_by_role("link", name="2 new")
    expect(bar).to_be_visible()
    expect(page.get_by_text("Order 1")).to_have_count(0)
    assert Axe().run(page, options=AXE).violations_count == 0
    bar.click()
    expect(page.locator(".row", has_text="Order 1")).to_be_visible()
    expect(page.get_by_role("link", name="2 new")).to_have_count(0)
    expect(page.get_by_label("Tick “Prices for the rollout”")).to_be_checked()
    assert page.evaluate("window.here")


def test_keys_are_off_for_who_turned_them_off_and_words_are_turkish(new_page: NewPage, stage: Stage) -> None:
    page = new_page()
    page.goto("/preferences")
    page.get_by_label("Language").select_option("tr")
    page.get_by_label("Single keys act in the inbox").uncheck()
    page.get_by_role("button", name="Save").click()
    page.goto("/inbox?state=review")
    page.keyboard.press("j")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    row = page.locator(".row").first
    row.hover()
    row.get_by_role("button", name="Öğeyi bağla").click()
    row.locator(".offer").first.click()
    expect(page.locator("#status")).to_contain_text("Bağlandı.")
    page.get_by_role("button", name="Geri al").click()
    expect(page.locator("#status")).to_contain_text("Geri alındı.")
    expect(page.get_by_role("link", name="Seçim bekleyenler").first).to_be_visible()
    page.goto("/preferences")
    page.locator("#locale").select_option("en")
    page.locator("[name=shortcuts]").check()
    page.get_by_role("button", name="Kaydet").click()
