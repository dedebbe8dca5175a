"""A team's policy as people write it: read, checked field by field, and stored by an administrator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import pydantic
import sqlalchemy as sa

from app.accounts import audit
from app.acting import Acting
from app.deciding import policy_of
from app.errors import InvalidRequest, NotAllowed
from app.linking.addresses import blocked_by, is_entry, normalize
from app.model import Policy
from app.store import teams

MOST_BLOCKED = 10_000
_TYPE = pydantic.TypeAdapter(Policy)


def read(given: Mapping[str, Any], base: Policy | None = None) -> Policy:
    """Return the policy that these fields make of `base` (the defaults without one). Raises InvalidRequest."""
    known = {field.name for field in fields(Policy)}
    wrong = [{"field": str(name), "message": "is no field of the policy"} for name in given if name not in known]
    if wrong:
        raise InvalidRequest(wrong)
    try:
        policy = _TYPE.validate_python({**asdict(base or Policy()), **given})
    except pydantic.ValidationError as error:
        raise InvalidRequest(
            [{"field": ".".join(map(str, each["loc"])), "message": each["msg"]} for each in error.errors()]
        ) from None
    if policy.max_counterparts < 1:
        raise InvalidRequest([{"field": "max_counterparts", "message": "must be at least 1"}])
    if not all(map(is_entry, policy.blocklist)):
        raise InvalidRequest([{"field": "blocklist", "message": "must hold addresses and domains"}])
    if len(policy.blocklist) > MOST_BLOCKED:
        raise InvalidRequest([{"field": "blocklist", "message": f"must have at most {MOST_BLOCKED:,} entries"}])
    return policy


def current(connection: sa.Connection) -> Policy:
    """Return the team's policy."""
    team = teams.team(connection)
    return policy_of(team.policy if team else {})


def change(connection: sa.Connection, acting: Acting, given: Mapping[str, Any]) -> Policy:
    """Change these fields of the team's policy; new mail is decided by it, what is linked stays.

    Raises NotAllowed (not_administrator), InvalidRequest.
    """
    if acting.member.role != "admin":
        raise NotAllowed("not_administrator")
    before = current(connection)
    policy = read(given, before)
    teams.set_policy(connection, as_json(policy))
    changed = sorted(name for name, value in asdict(policy).items() if value != getattr(before, name))
    detail = {"fields": changed, "before": as_json(before)}
    audit(
        connection,
        acting.team_id,
        acting.member.id,
        "change_policy",
        detail,
        acting.now,
        batch_id=acting.batch_id,
    )
    return policy


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two policies as as_json() writes them: field -> (before, after).

    Of lists only what one of them has and the other has not.
    """
    found = {name: (value, after[name]) for name, value in before.items() if value != after[name]}
    return {
        name: (_left_out(old, new), _left_out(new, old)) if isinstance(old, list) else (old, new)
        for name, (old, new) in found.items()
    }


def _left_out(these: list[Any], those: list[Any]) -> list[Any]:
    known = set(those)
    return [each for each in these if each not in known]


@dataclass(frozen=True, slots=True)
class Tested:
    """Whether mail of an address would be blocked: the entry that says so, and the address in its normal form."""

    address: str | None  # None: it is no address
    entry: str | None


def try_address(policy: Policy, text: str) -> Tested:
    """Say whether a policy blocks an address, and by which entry."""
    address = normalize(text)
    return Tested(address, blocked_by(address, policy.blocklist) if address else None)


def as_json(policy: Policy) -> dict[str, Any]:
    """Return a policy as plain data, lists in order."""
    return json.loads(json.dumps(asdict(policy), default=sorted))  # type: ignore[no-any-return]  # a dict went in
