"""A morning's choices in a browser without scripts: review, unlink, bulk link, taking back; an unlink stays."""

from __future__ import annotations

from datetime import timedelta

from playwright.sync_api import expect

from app.demo.stage import Stage
from app.testing.mail_stage import mail
from tests.e2e.conftest import NewPage


def test_choices_are_made_and_taken_back_without_scripts(new_page: NewPage, stage: Stage) -> None:
    page = new_page(scripts=False)

    page.goto("/review")
    tom = page.locator("section", has=page.get_by_role("heading", name="Tom Okafor"))
    tom.get_by_label("Tick “Dates in April”").uncheck()
    tom.get_by_role("button", name="Riverside ışık spa").click()
    expect(page.get_by_role("status")).to_contain_text("Conversations linked: 1.")
    expect(page.get_by_role("link", name="Lamps for the spa")).to_have_count(0)

    page.goto("/inbox?state=review")
    page.get_by_label("Tick “Dates in April”").check()
    page.get_by_role("button", name="Link conversations").click()
    expect(page.get_by_role("button", name="Brightwater lobby")).to_contain_text("fits 1 of 1")
    page.get_by_label("Find a deal, lead or project").fill("lobby")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Brightwater lobby").first.click()
    expect(page.get_by_role("status")).to_contain_text("Conversations linked: 1.")
    page.goto("/doctor")  # what was done last can be taken back from any page
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status")).to_contain_text("Taken back.")

    page.goto("/inbox?state=review")
    page.locator(".row", has_text="Dates in April").get_by_role("button", name="Link item").click()
    page.get_by_role("button", name="Brightwater lobby").click()
    expect(page.get_by_role("status")).to_contain_text("Linked.")
    assert "state=review" in page.url
    page.get_by_role("button", name="Undo").click()

    page.goto("/inbox?s=prices")
    page.locator(".row a.open").click()
    page.get_by_role("button", name="Unlink").click()
    expect(page.get_by_role("status")).to_contain_text("Unlinked.")

    # A new mail of the conversation does not put the link back (T4).
    simulator = stage.simulators["gmail"]
    answer = {"From": "Bea <bea@acme.test>", "Subject": "Re: Prices for the rollout", "Message-ID": "<late@acme.test>"}
    first = next(message for message in stage.describe() if message["subject"] == "Prices for the rollout")
    answer["References"] = first["messages"][0]["internet_id"]
    stage.clock.advance(stage.clock.now() + timedelta(minutes=5))
    simulator.deliver("ada@northwind.test", mail(99, **answer), at=stage.clock.now())
    stage.settle()
    page.reload()
    expect(page.locator(".message")).to_have_count(2)
    expect(page.get_by_text("Not linked")).to_be_visible()


def test_mail_that_arrives_shows_on_the_next_look(new_page: NewPage, stage: Stage) -> None:
    page = new_page()
    page.goto("/inbox")
    expect(page.get_by_text("Second order")).to_have_count(0)
    stage.clock.advance(stage.clock.now() + timedelta(minutes=5))
    fresh = mail(100, **{"From": "Bea <bea@acme.test>", "Subject": "Second order", "Message-ID": "<fresh@acme.test>"})
    stage.simulators["gmail"].deliver("ada@northwind.test", fresh, at=stage.clock.now())
    stage.settle()
    page.reload()
    row = page.locator(".row", has_text="Second order")
    expect(row.get_by_text("Acme rollout")).to_be_visible()


def test_signing_out_ends_it(new_page: NewPage, stage: Stage) -> None:
    page = new_page()
    page.context.clear_cookies()  # a session of its own: signing in again would end the one that all tests share
    page.goto(stage.sign_in_link())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox")
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto("/inbox")
    page.wait_for_url("**/sign-in")
