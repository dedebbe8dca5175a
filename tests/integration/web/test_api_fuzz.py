"""Schemathesis asks every route of the API what its document allows and what not, and holds the answers to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, assume, given, settings

from app import api_keys
from app.installation import Installation
from app.store.database import Database
from tests.integration.building import ADA, BEA, Office, northwind

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

HOST = {"Host": "threadlink.test"}
EXAMPLES = 15  # of each route


@pytest.fixture
def office(database: Database, team: Callable[..., int]) -> Office:
    made = northwind(database, team)
    made.mail("m1", BEA, ADA)
    return made


@pytest.fixture
def open_crm(office: Office) -> Callable[[object], Any]:
    return lambda _connection: office.crm


@pytest.fixture
def installation(installation: Installation) -> Installation:
    """Let one member ask as often as a fuzzer does."""
    often = dict.fromkeys(("limit_writes", "limit_searches", "limit_heavy"), 100_000)
    return replace(installation, settings=installation.settings.model_copy(update=often))


@pytest.fixture
def key(installation: Installation, office: Office) -> str:
    with office.database.for_team(office.team_id) as connection:
        return api_keys.make(connection, office.acting(ADA), "fuzz", may_write=True)[1]


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_as_documented(app: Flask, key: str, mode: schemathesis.GenerationMode) -> None:
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", app, headers=HOST)
    for check in (schema.config.checks.negative_data_rejection, schema.config.checks.positive_data_acceptance):
        check.expected_statuses = [*check.expected_statuses, "413"]  # a list as long as it may be is no body we take
    operations = [found.ok() for found in schema.get_all_operations()]
    assert operations
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), deadline=None)
        def ask(case: Any) -> None:
            # In a query a list of one is that one, and an empty list is not there: nothing is wrong on the wire.
            assume(not any(isinstance(value, list) and len(value) < 2 for value in (case.query or {}).values()))
            case.call_and_validate(headers={"Authorization": f"Bearer {key}", **HOST})

        ask()
