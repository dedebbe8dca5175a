"""P15: what people wait for beside a message, in the time of the inbox page of the same run; the worker is busy."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import cast

import requests
import sqlalchemy as sa

from app.demo.stage import Stage
from connectors.mail.gmail.simulator import GmailSimulator
from connectors.mail.gmail.simulator_addon import AddonClick
from connectors.mail.graph.simulator import GraphSimulator
from tests.bench.row import Row
from tests.bench.stage import MAILBOX, OUTLOOK_MAILBOX, START, mail, stage

CONVERSATIONS = 200
ROUNDS = 40
BAR = 2.0
TIMEOUT_S = 60
Ask = Callable[[], requests.Response]


def measure() -> list[Row]:
    """Ask for the inbox page and every card in turn, while mail keeps coming."""
    with stage(with_outlook=True) as world:
        simulator = cast("GmailSimulator", world.simulators["gmail"])
        ids = [simulator.deliver(MAILBOX, mail(number), at=START) for number in range(CONVERSATIONS)]
        world.settle()
        page, cards = _page(world), {**_cards(world, simulator, ids[0]), **_pane(world)}
        ended = threading.Event()
        busy = threading.Thread(target=_keep_busy, args=(simulator, ended))
        busy.start()
        try:
            times = _in_turn({"inbox": page, **cards})
        finally:
            ended.set()
            busy.join()
        world.settle()
    reference = statistics.median(times.pop("inbox"))
    return [_row(name, statistics.median(taken), reference) for name, taken in times.items()]


def _page(world: Stage) -> Ask:
    browser = requests.Session()
    link = world.sign_in_link()
    browser.post(link, headers={"Origin": world.url}, timeout=TIMEOUT_S)
    return lambda: browser.get(f"{world.url}/inbox", timeout=TIMEOUT_S)


def _cards(world: Stage, simulator: GmailSimulator, message_id: str) -> dict[str, Ask]:
    """Return a call for each card, made the way Google makes them; the messages are all stored."""
    browser = requests.Session()
    with world.team() as connection:
        conversation = str(connection.execute(sa.text("SELECT public_id FROM conversation ORDER BY id")).scalar())

    def card(function: str, **inputs: str) -> Ask:
        url = f"{world.url}/gmail/{function}"
        fields = {name: [value] for name, value in inputs.items()}
        click = AddonClick(MAILBOX, message_id, {"c": conversation, "k": "deal"}, fields)

        def ask() -> requests.Response:
            headers, body = simulator.addon.call(url, click)
            return browser.post(url, data=body, headers=headers, timeout=TIMEOUT_S)

        return ask

    shown = ("home", "message", "settings", "conversation", "review", "refresh", "ask_create", "ask_unlink")
    return {**{name: card(name) for name in shown}, "search": card("search", q="rollout")}


def _pane(world: Stage) -> dict[str, Ask]:
    """Return a request for each part of the Outlook pane, of which the session is begun as its script does."""
    browser, outlook = requests.Session(), cast("GraphSimulator", world.simulators["graph"])
    token = outlook.pane_token(OUTLOOK_MAILBOX)
    begun = browser.post(f"{world.url}/outlook/session", headers=_bearer(token), timeout=TIMEOUT_S)
    headers = _bearer(begun.json()["bearer"])
    with world.team() as connection:
        conversation = str(connection.execute(sa.text("SELECT public_id FROM conversation ORDER BY id")).scalar())
    messages = [f"<bench-{number}@acme.test>" for number in range(20)]

    def part(name: str, **fields: str | list[str]) -> Ask:
        url = f"{world.url}/outlook/{name}"
        return lambda: browser.post(url, data=fields, headers=headers, timeout=TIMEOUT_S)

    return {
        "pane item": part("item", message=messages[0]),
        "pane search": part("search", c=conversation, q="rollout"),
        "pane ask_unlink": part("ask_unlink", c=conversation),
        "pane ask_create": part("ask_create", c=conversation, kind="deal"),
        "pane items": part("items", message=messages),
    }


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _in_turn(asks: dict[str, Ask]) -> dict[str, list[float]]:
    """Ask each once in every round; return what each took, in milliseconds."""
    for name, ask in asks.items():
        answer = ask()
        assert answer.status_code == 200, (name, answer.status_code)
        assert name == "inbox" or ("hx-post" if name.startswith("pane") else "Card") in answer.text, name
    times: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(ROUNDS):
        for name, ask in asks.items():
            start = time.perf_counter()
            ask()
            times[name].append((time.perf_counter() - start) * 1000)
    return times


def _keep_busy(simulator: GmailSimulator, ended: threading.Event) -> None:
    """Deliver a mail every 50 ms: the worker reads, decides and writes notes all the time."""
    number = CONVERSATIONS
    while not ended.wait(0.05):
        simulator.deliver(MAILBOX, mail(number), at=START + timedelta(seconds=number))
        number += 1


def _row(name: str, ours: float, reference: float) -> Row:
    ratio = ours / reference
    shown = f"Outlook pane, {name.removeprefix('pane ')}" if name.startswith("pane") else f"Gmail card “{name}”"
    what = f"{shown} (median), against the inbox page"
    return Row("P15", what, ours, reference, "ms", ratio, f"<= {BAR:.0f}", ratio <= BAR)
