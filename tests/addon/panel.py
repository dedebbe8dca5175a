"""The Gmail add-on as somebody uses it in the tests: Google's signed calls to the real routes, every card validated."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flask.testing import FlaskClient

from connectors.mail.gmail.simulator_addon import AddonClick, SimulatedAddon
from tests.addon.cards import cards_of, check_answer


@dataclass
class Panel:
    """One person's add-on. `answer` is the last one; `card` the card that it shows on top."""

    client: FlaskClient
    addon: SimulatedAddon
    base_url: str
    address: str
    locale: str = "en"
    message_id: str = ""
    answer: dict[str, Any] = field(default_factory=dict)

    def call(
        self,
        function: str,
        parameters: Mapping[str, str] | None = None,
        inputs: Mapping[str, Sequence[str]] | None = None,
    ) -> dict[str, Any]:
        """Call a function as Google does; return the answer, which fits everything that is known of cards."""
        self.answer = self.raw(function, parameters, inputs)
        check_answer(self.answer, self.base_url)
        return self.answer

    def raw(
        self,
        function: str,
        parameters: Mapping[str, str] | None = None,
        inputs: Mapping[str, Sequence[str]] | None = None,
        **claims: Any,
    ) -> Any:
        """Call a function; return what was answered, or the status when it was refused."""
        url = f"{self.base_url}/gmail/{function}"
        click = AddonClick(self.address, self.message_id, parameters or {}, inputs or {}, self.locale)
        headers, body = self.addon.call(url, click, **claims)
        answer = self.client.post(f"/gmail/{function}", data=body, headers=headers)
        return answer.get_json() if answer.status_code == 200 else answer.status_code

    def open(self, message_id: str) -> Panel:
        """Open a message; the add-on shows its card."""
        self.message_id = message_id
        self.call("message")
        return self

    def press(self, label: str, *, at: str = "", inputs: Mapping[str, Sequence[str]] | None = None) -> Panel:
        """Press the button with this label, on the line that says `at`."""
        function, parameters = self.button(label, at=at)
        self.call(function, parameters, inputs)
        return self

    def button(self, label: str, *, at: str = "") -> tuple[str, dict[str, str]]:
        """Return the function and the parameters of a button."""
        for widget in self.widgets:
            line = widget.get("decoratedText", {})
            if at and at not in line.get("text", ""):
                continue
            buttons = [line["button"]] if "button" in line else widget.get("buttonList", {}).get("buttons", [])
            for button in buttons:
                if button["text"] == label:
                    return called(button["onClick"]["action"])
        raise LookupError(f"no button {label!r} at {at!r} among {self.texts}")

    @property
    def card(self) -> dict[str, Any]:
        """The card that is shown after the last call."""
        return list(cards_of(self.answer))[-1]

    @property
    def widgets(self) -> list[dict[str, Any]]:
        return [widget for section in self.card["sections"] for widget in section["widgets"]]

    @property
    def texts(self) -> list[str]:
        """Every text on the card, without markup."""
        return [re.sub(r"</?b>", "", text) for text in _texts(self.card)]

    @property
    def said(self) -> str:
        """What was said for a moment."""
        action = self.answer.get("renderActions", {}).get("action", {})
        return str(action.get("notification", {}).get("text", ""))

    @property
    def verbs(self) -> list[str]:
        """What the answer does to the stack of cards."""
        action = self.answer.get("action") or self.answer["renderActions"]["action"]
        return [verb for navigation in action.get("navigations", ()) for verb in navigation]

    def of(self, address: str) -> Panel:
        """Return somebody else's add-on."""
        return replace(self, address=address, message_id="", answer={})


def called(action: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the function and the parameters that a click calls."""
    return action["function"].rpartition("/")[2], {each["key"]: each["value"] for each in action["parameters"]}


def _texts(value: object) -> list[str]:
    if isinstance(value, Mapping):
        own = [each for key, each in value.items() if key in ("text", "topLabel", "bottomLabel", "header", "title")]
        texts = [each for each in own if isinstance(each, str)]
        return texts + [text for each in value.values() for text in _texts(each)]
    return [text for each in value for text in _texts(each)] if isinstance(value, list) else []
