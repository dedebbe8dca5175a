"""The pages say everything in both languages."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter

import pytest

from app.audit_log import Entry
from app.errors import ThreadlinkError
from app.web.application import ANSWERS
from app.web.audit import about as said
from app.web.wording import AREAS, LOCALES, provider_name, words

APP = Path(__file__).parents[3] / "app"
TEMPLATES = APP / "web" / "templates"


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_texts_with_the_same_fields() -> None:
    english, turkish = (words(locale) for locale in LOCALES)
    assert english.keys() == turkish.keys()
    assert {key: fields(text) for key, text in english.items()} == {key: fields(turkish[key]) for key in turkish}


def test_a_text_stands_in_one_area() -> None:
    keys = [key for area in AREAS for key in area.EN]
    assert len(keys) == len(set(keys))


def test_no_text_has_a_name_that_a_template_would_take_for_something_else() -> None:
    assert [key for key in words("en") if hasattr(dict, key)] == []  # text.keys would be the method


def test_no_text_is_left_in_english() -> None:
    english, turkish = (words(locale) for locale in LOCALES)
    assert [key for key in english if english[key] == turkish[key]] == []


def test_no_number_stands_before_a_plural() -> None:
    """It may be one: "Conversations linked: {n}." """
    plural = re.compile(r"\{(n|total|done)\} (more |other )?(accounts|browsers|conversations|items|messages|people)\b")
    assert [key for key, text in words("en").items() if plural.search(text)] == []


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.stem)
def test_a_template_uses_texts_that_are_there(template: Path) -> None:
    used = set(re.findall(r"\btext\.(\w+)", template.read_text("utf-8")))
    assert used <= words("en").keys()
    assert {name for name in used if hasattr(dict, name)} == set()  # Jinja would find the method first


def test_every_text_is_used() -> None:
    """It is named somewhere, or begins or ends like one that is put together."""
    sources = [path for path in [*APP.rglob("*.py"), *APP.rglob("*.html")] if path.parent.name != "wording"]
    code = "\n".join(path.read_text("utf-8") for path in sources)
    named = set(re.findall(r"\w+", code))
    beginnings = tuple({a or b for a, b in re.findall(r"""["'](\w+_)["'] ~|f["'](\w+_)\{""", code)})
    endings = tuple({a or b for a, b in re.findall(r"""~ ["'](_\w+)["']|\}(_\w+)["']""", code)})
    unnamed = words("en").keys() - named
    assert {key for key in unnamed if not key.startswith(beginnings) and not key.endswith(endings)} == set()


@pytest.mark.parametrize(("error", "reason"), [(kind, reason) for kind, _, reason in ANSWERS if reason])
def test_an_error_that_is_answered_has_words(error: type[ThreadlinkError], reason: str) -> None:
    assert f"problem_{reason}" in words("en"), error


def audited() -> set[str]:
    """Return every action that some code writes into the audit log: what it calls a function of that name with."""
    found: set[str] = set()
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
                "audit",
                "_audit",
                "audit_all",
            ):
                found |= {
                    each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
            if isinstance(node, ast.Dict) and any(
                isinstance(k, ast.Constant) and k.value == "member_id" for k in node.keys
            ):
                written = dict(zip([ast.unparse(key) for key in node.keys if key], node.values, strict=True))
                action = written.get("'action'")
                found |= {action.value} if isinstance(action, ast.Constant) else set()
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.IfExp)
                and ast.unparse(node.targets[0]) == "action"
            ):
                found |= {
                    e.value
                    for e in (node.value.body, node.value.orelse)
                    if isinstance(e, ast.Constant) and isinstance(e.value, str)
                }
    return found


def test_everything_that_is_audited_has_words() -> None:
    written = audited()
    assert {"link", "connect_account", "connect_account_again", "change_policy", "sign_in", "export_audit"} <= written
    assert {action for action in written if f"audit_{action}" not in words("en")} == set()


@pytest.mark.parametrize("about", [{"switch": "on"}, {"switch": "off"}, {"role": "admin"}, {"role": "member"}])
@pytest.mark.parametrize("locale", LOCALES)
def test_the_audit_log_has_words_for_what_was_switched(about: dict[str, str], locale: str) -> None:
    entry = Entry(1, datetime(2026, 3, 2, tzinfo=UTC), None, "set_auto_link", about)
    assert said(entry, locale)[0] not in ("", *about.values()) or locale == "en"


def test_an_unknown_locale_reads_english_and_a_plug_in_goes_by_its_own_name() -> None:
    assert words("xx") is words("en")
    assert (provider_name("gmail"), provider_name("acme")) == ("Google", "acme")
