"""Undocumented is broken: settings, commands, reasons, rules and checks stand where people look for them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from app.cli import threadlink
from app.linking.reasons import REASONS
from app.linking.rules import RULES
from tests.unit.settings_of_all import Setting, settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
CI = (ROOT / ".ci" / "run").read_text("utf-8")


def commands(group: click.Group = threadlink, name: str = "threadlink") -> Iterator[str]:
    for command in group.commands.values():
        full = f"{name} {command.name}"
        if isinstance(command, click.Group):
            yield from commands(command, full)
        else:
            yield full


def check_commands() -> list[str]:
    block = re.search(r"## Checks\n```\n(.*?)```", README, re.DOTALL)
    assert block is not None
    return block.group(1).strip().splitlines()


@pytest.mark.parametrize("setting", settings(), ids=lambda setting: setting.name)
def test_a_setting_stands_in_the_example_under_its_comment(setting: Setting) -> None:
    assert setting.description
    assert re.search(rf"^# {re.escape(setting.description)}\n# {setting.name}=", EXAMPLE, re.MULTILINE)


def test_the_example_holds_nothing_that_is_no_setting() -> None:
    assert re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", EXAMPLE, re.MULTILINE) == [setting.name for setting in settings()]


@pytest.mark.parametrize("setting", settings(), ids=lambda setting: setting.name)
def test_a_setting_stands_in_the_readme(setting: Setting) -> None:
    assert f"| `{setting.name}` | {setting.description} |" in README


@pytest.mark.parametrize("command", list(commands()))
def test_a_command_stands_in_the_readme(command: str) -> None:
    assert f"`{command}`" in README


def test_the_readme_names_no_command_that_is_not_there() -> None:
    table = README.partition("## Commands")[2].partition("## Rules")[0]
    assert set(re.findall(r"`(threadlink [a-z -]+)`", table)) == set(commands())


@pytest.mark.parametrize("command", list(commands()))
def test_a_command_says_what_it_does_and_takes_json(command: str) -> None:
    found: click.Command = threadlink
    for word in command.split()[1:]:
        assert isinstance(found, click.Group)
        found = found.commands[word]
    assert found.help
    assert "--json" in [option for parameter in found.params for option in parameter.opts]


@pytest.mark.parametrize("code", list(REASONS))
def test_a_reason_stands_in_the_readme_with_its_sentence(code: str) -> None:
    assert f"| `{code}` | {REASONS[code].en} |" in README


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_says_which_of_the_readmes_it_is_or_which_policy_asks_for_it(rule: object) -> None:
    doc = rule.__doc__ or ""
    named = re.findall(r"\b[ST]\d{1,2}\b", doc.partition(":")[0])
    assert named or "policy" in doc.lower()
    for name in named:
        assert f"\n| {name} | " in README


def test_every_rule_that_linking_code_names_stands_in_the_readme() -> None:
    sources = [*(ROOT / "app" / "linking").glob("*.py"), *(ROOT / "app" / name for name in ("links.py", "undoing.py"))]
    named = {name for path in sources for name in re.findall(r"\b[ST]\d{1,2}\b", path.read_text("utf-8"))}
    assert {name for name in named if f"\n| {name} | " not in README} == set()


def test_the_four_checks_stand_in_the_readme_and_in_ci_word_for_word() -> None:
    assert len(check_commands()) == 4
    for command in check_commands():
        assert f"\n{command}\n" in CI


def test_the_two_commands_stand_in_the_readme() -> None:
    for command in ("pip install uv && uv run threadlink demo", "pip install uv && uv run pytest"):
        assert f"```\n{command}\n```" in README


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("*/README.md")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "connectors/README.md"])
def test_files_that_a_page_names_are_there(page: str) -> None:
    named = re.findall(r"`((?:app|connectors|manifest|tests)/[\w./]*)`", (ROOT / page).read_text("utf-8"))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
