"""Long work: what is done to many conversations in parts, with its progress and what became of each of them.

A piece of work first looks at its conversations and says what would be done; then it waits for the member, unless there
is nothing to say; then it does it. Each part is a transaction of its own that also stores what became of the part, so
that a worker which dies in the middle loses and doubles nothing: the next one goes on with the part that was not
committed. A few conversations are dealt with at once, more by a job. Only who asked sees a piece of work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app import links, replay, undoing
from app import policy as policies
from app.accounts import audit
from app.acting import Acting, Seen, ref_json, see
from app.crash_points import crash_point
from app.errors import Conflict, NotAllowed, NotFound, RequestRefused
from app.installation import Installation
from app.links import Elsewhere
from app.model import ItemRef, Member, Policy
from app.replay import Difference, Found
from app.store import last_actions, queue, teams
from app.store import links as link_rows
from app.store import work as rows
from app.store.last_actions import LastAction
from app.store.work import Entry, Kind, State, Work

AT_ONCE = 50  # what is no more than this is done while the member waits
PART = 100  # conversations of one transaction
MOST = replay.MOST  # conversations of one piece of work
SHOWN = 100  # conversations of one page
DRY_RUN_OVER = timedelta(days=30)
LONGEST_REPLAY = timedelta(days=366)

_Part = Callable[[sa.Connection, Acting, Work, Sequence[Entry]], list[Entry]]


# --- what a member asks for ---


def bulk_link(
    connection: sa.Connection,
    acting: Acting,
    conversation_ids: Sequence[int],
    ref: ItemRef,
    *,
    elsewhere: Elsewhere | None = None,
) -> Work:
    """Link many conversations to one item as one batch (S13).

    Without `elsewhere` it is `ready` and waits for begin() when something is to be said first: conversations that would
    be refused, or that are linked to another item. What the member may not see is left out, like what is not there.
    Raises NotFound when nothing is left or the item is unknown, Conflict (item_deleted, kind_not_linkable).
    """
    item = links.item_to_link(connection, acting, ref)
    request = {"item": ref_json(ref), "title": item.title, "elsewhere": elsewhere}
    work = _add(connection, acting, "bulk_link", "looking", request, list(dict.fromkeys(conversation_ids)))
    return _with_something(connection, work)


def bulk_dismiss(connection: sa.Connection, acting: Acting, conversation_ids: Sequence[int]) -> Work:
    """Say of many conversations that they are not about any item, as one batch.

    What the member may not see is left out, like what is not there. Raises NotFound when nothing is left.
    """
    work = _add(connection, acting, "bulk_dismiss", "doing", {}, list(dict.fromkeys(conversation_ids)))
    return _with_something(connection, work)


def look_back(
    connection: sa.Connection, acting: Acting, over: timedelta, given: Mapping[str, Any] | None = None
) -> Work:
    """Report what the team's policy, or one that differs from it in these fields, would do with the mail of a time.

    begin() then does it. For administrators. Raises NotAllowed (not_administrator), InvalidRequest, Conflict
    (work_running).
    """
    _require_administrator(acting.member)
    policy = policies.read(given, policies.current(connection)) if given is not None else None
    since = acting.now - min(over, LONGEST_REPLAY)
    request = {"since": since.isoformat(), "policy": policies.as_json(policy) if policy else None}
    return _report(connection, acting, "replay", since, request)


def try_policy(connection: sa.Connection, acting: Acting, given: Mapping[str, Any]) -> Work:
    """Say what a change of the policy would have changed over the last 30 days; begin() then saves just that change.

    For administrators. Raises NotAllowed (not_administrator), InvalidRequest, Conflict (work_running).
    """
    _require_administrator(acting.member)
    before = policies.current(connection)
    after = policies.read(given, before)
    since = acting.now - DRY_RUN_OVER
    request = {"since": since.isoformat(), "before": policies.as_json(before), "policy": policies.as_json(after)}
    return _report(connection, acting, "policy", since, request)


def undo(connection: sa.Connection, acting: Acting, batch_id: str) -> list[int] | Work:
    """Take an action back: return the conversations on which it was, or the work that does it when they are many.

    Raises what undoing.undo() raises.
    """
    ids = undoing.conversations_of_batch(connection, batch_id)
    if len(ids) <= AT_ONCE:
        return undoing.undo(connection, acting, batch_id)
    if rows.is_running(connection, batch_id):
        raise Conflict("work_running")
    seen = see(connection, acting.member, ids)
    if not seen:
        raise NotFound
    return _add(connection, acting, "undo", "doing", {"batch": batch_id}, [each for each in ids if each in seen])


def begin(connection: sa.Connection, acting: Acting, public_id: str, *, elsewhere: Elsewhere = "skip") -> Work:
    """Do what was looked at and shown: exactly that, under the rights of this moment.

    Raises NotFound, NotAllowed (not_administrator), Conflict (work_begun; changed_meanwhile for a policy that somebody
    changed in between).
    """
    work = rows.lock(connection, of_member(connection, acting.member, public_id).id)
    if work is None or work.state != "ready":
        raise Conflict("work_begun")
    if work.kind != "bulk_link":
        _require_administrator(acting.member)
    if work.kind == "policy":
        _save_policy(connection, acting, work)
        return of_member(connection, acting.member, public_id)
    _do_found(connection, work, elsewhere, acting.now)
    return _go_on(connection, acting.team_id, work, acting.now)


def of_member(connection: sa.Connection, member: Member, public_id: str) -> Work:
    """Return a piece of work that this member asked for. Raises NotFound, for another member's as well."""
    work = rows.of_member(connection, member.id, public_id)
    if work is None:
        raise NotFound
    return work


# --- what there is to be seen ---


@dataclass(frozen=True, slots=True)
class Line:
    """A conversation of a piece of work as its reader may know it."""

    entry: Entry
    seen: Seen
    difference: Difference | None  # of a report


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece of work with a page of its conversations: refusals and what was found, and what there is in numbers."""

    work: Work
    counts: Mapping[str, int]
    lines: tuple[Line, ...]
    is_undone: bool
    end: int | None  # where the next page begins; None for the last

    @property
    def may_undo(self) -> bool:
        """Whether there is something to take back."""
        is_over = self.work.state in ("done", "stopped") and self.work.kind != "undo"
        return is_over and not self.is_undone and self.counts.get("done", 0) > 0


def show(connection: sa.Connection, member: Member, public_id: str, locale: str, after: int = 0) -> Shown:
    """Return a piece of work for its page, judged for its reader now. Raises NotFound."""
    work = of_member(connection, member, public_id)
    if work.kind in ("replay", "policy"):
        _require_administrator(member)
    entries = [] if work.is_running else rows.page(connection, work.id, ["refused", "found"], after, SHOWN + 1)
    shown = entries[:SHOWN]
    seen = see(connection, member, {entry.conversation_id for entry in shown})
    reports = [entry for entry in shown if "about" in (entry.detail or {})]
    told = replay.tell(connection, member, [_found_of(entry) for entry in reports], locale)
    lines = tuple(
        Line(entry, seen[entry.conversation_id], told.get(entry.conversation_id))
        for entry in shown
        if entry.conversation_id in seen
    )
    is_undone = not work.is_running and bool(link_rows.taken_back(connection, work.batch_id))
    end = shown[-1].position if len(entries) > SHOWN else None
    return Shown(work, counts(connection, work), lines, is_undone, end)


def counts(connection: sa.Connection, work: Work) -> dict[str, int]:
    """Count by state (done, refused, waiting), and what was found and not done by its kind."""
    found: dict[str, int] = {}
    for (state, kind), n in rows.tally(connection, work.id).items():
        name = kind if state == "found" else state
        found[name] = found.get(name, 0) + n
    return found


# --- doing it, part by part ---


def run(installation: Installation, team_id: int, work_id: int) -> None:
    """Go on with a piece of work until it ends or waits for its member."""
    while True:
        with installation.database.for_team(team_id) as connection:
            more = advance(connection, team_id, work_id, installation.clock.now())
            crash_point("work.part_done")
        crash_point("work.part_committed")
        if not more:
            return


def advance(connection: sa.Connection, team_id: int, work_id: int, now: datetime) -> bool:
    """Do the next part; say whether there is more to do."""
    work = rows.lock(connection, work_id)
    if work is None or not work.is_running:
        return False
    member = teams.member_by_id(connection, work.member_id)
    if member is None:  # removed meanwhile: what is left is not done (T13)
        rows.set_state(connection, work, "stopped", now, reason="not_found")
        return False
    entries = rows.next_entries(connection, work.id, PART)
    if entries:
        acting = Acting(team_id, member, now, work.batch_id)
        try:
            told = _PARTS[work.kind, work.state](connection, acting, work, entries)
        except RequestRefused as refusal:  # it comes before anything of the part is written
            rows.refuse_rest(connection, work, refusal.reason)
            rows.set_state(connection, work, "done", now)
            return False
        rows.settle(connection, work, told, looked_at=len(entries))
    return len(entries) == PART or _next_state(connection, team_id, work, now)


def stop(connection: sa.Connection, work_id: int, now: datetime) -> None:
    """End a piece of work that met something unforeseen; what was done stays, and can be taken back."""
    work = rows.lock(connection, work_id)
    if work is not None and work.is_running:
        rows.set_state(connection, work, "stopped", now, reason="internal")


def _next_state(connection: sa.Connection, team_id: int, work: Work, now: datetime) -> bool:
    """Go on to what follows when every conversation was dealt with; say whether that is more to do."""
    if work.state == "doing":
        rows.set_state(connection, work, "done", now)
        _remember(connection, team_id, work)
        return False
    if work.kind != "bulk_link" or _is_to_be_asked(connection, work):
        rows.set_state(connection, work, "ready", now)
        return False
    return _do_found(connection, work, work.request["elsewhere"] or "skip", now)


def _remember(connection: sa.Connection, team_id: int, work: Work) -> None:
    """Let the undo of what was done to many stand on every page, as it does for one."""
    told = counts(connection, work)
    n = told.pop("done", 0)
    if n and work.kind in _TOLD:
        last = LastAction(work.batch_id, _TOLD[work.kind], n, sum(told.values()))
        last_actions.remember(connection, team_id, work.member_id, last)


def _is_to_be_asked(connection: sa.Connection, work: Work) -> bool:
    """Say whether a bulk link has something to say before it begins, and something to do (S13)."""
    found = counts(connection, work).keys()
    asks = work.request["elsewhere"] is None and found != {"would_link"}
    return asks and not found.isdisjoint(_BULK["move"])


def _do_found(connection: sa.Connection, work: Work, elsewhere: Elsewhere, now: datetime) -> bool:
    kinds = replay.APPLIED if work.kind == "replay" else _BULK[elsewhere]
    total = rows.start(connection, work, {"elsewhere": elsewhere}, kinds)
    if not total:
        rows.set_state(connection, work, "done", now)
    return total > 0


def _foresee(connection: sa.Connection, acting: Acting, work: Work, entries: Sequence[Entry]) -> list[Entry]:
    item = links.item_to_link(connection, acting, _item_of(work))
    foreseen = links.foresee(connection, acting, [entry.conversation_id for entry in entries], item)
    told = []
    for entry in entries:
        met = foreseen.get(entry.conversation_id)
        if met is not None and met.refusal is not None:
            told.append(_refused(entry, met.refusal.reason))
        elif met is not None:
            told.append(_found(entry, {"kind": "would_move" if met.linked_to else "would_link"}))
    return told


def _link(connection: sa.Connection, acting: Acting, work: Work, entries: Sequence[Entry]) -> list[Entry]:
    ids = [entry.conversation_id for entry in entries]
    elsewhere: Elsewhere = work.request["elsewhere"]
    result = links.bulk_link(connection, acting, ids, _item_of(work), elsewhere=elsewhere)
    return _outcomes(entries, result.not_linked)


def _dismiss(connection: sa.Connection, acting: Acting, _: Work, entries: Sequence[Entry]) -> list[Entry]:
    left = links.bulk_dismiss(connection, acting, [entry.conversation_id for entry in entries])
    return _outcomes([entry for entry in entries if left.get(entry.conversation_id) != "not_found"], left)


def _take_back(connection: sa.Connection, acting: Acting, work: Work, entries: Sequence[Entry]) -> list[Entry]:
    ids = {entry.conversation_id for entry in entries}
    try:
        undone = set(undoing.undo(connection, acting, work.request["batch"], only=ids))
    except Conflict as nothing_left:
        return _outcomes(entries, dict.fromkeys(ids, nothing_left.reason))
    return _outcomes(entries, dict.fromkeys(ids - undone, "changed_meanwhile"))


def _look(connection: sa.Connection, acting: Acting, work: Work, entries: Sequence[Entry]) -> list[Entry]:
    _require_administrator(acting.member)
    before = work.request.get("before")
    ids = [entry.conversation_id for entry in entries]
    around = replay.under(connection, _policy_of(work))
    _, found = replay.find(
        connection, acting.member, ids, around, instead_of=policies.read(before) if before is not None else None
    )
    details = {each.conversation_id: each.as_json() for each in found}
    return [_found(entry, details[entry.conversation_id]) for entry in entries if entry.conversation_id in details]


def _apply(connection: sa.Connection, acting: Acting, work: Work, entries: Sequence[Entry]) -> list[Entry]:
    _require_administrator(acting.member)
    promised = [_found_of(entry) for entry in entries]
    refused = replay.apply(connection, acting, promised, replay.under(connection, _policy_of(work)))
    return _outcomes(entries, refused)


_PARTS: Mapping[tuple[Kind, State], _Part] = {
    ("bulk_link", "looking"): _foresee,
    ("bulk_link", "doing"): _link,
    ("bulk_dismiss", "doing"): _dismiss,
    ("undo", "doing"): _take_back,
    ("replay", "looking"): _look,
    ("replay", "doing"): _apply,
    ("policy", "looking"): _look,
}
_TOLD: Mapping[Kind, str] = {"bulk_link": "bulk", "bulk_dismiss": "bulk_dismissed"}
_BULK: Mapping[Elsewhere, tuple[str, ...]] = {"skip": ("would_link",), "move": ("would_link", "would_move")}


def _save_policy(connection: sa.Connection, acting: Acting, work: Work) -> None:
    before = policies.as_json(policies.current(connection))
    if before != work.request["before"]:
        raise Conflict("changed_meanwhile")
    after = work.request["policy"]
    policies.change(connection, acting, {name: value for name, value in after.items() if value != before[name]})
    rows.set_state(connection, work, "done", acting.now)


def _report(connection: sa.Connection, acting: Acting, kind: Kind, since: datetime, request: dict[str, Any]) -> Work:
    if rows.any_running(connection, ("replay", "policy")):  # one at a time: each reads a month of mail (W18)
        raise Conflict("work_running")
    audit(connection, acting.team_id, acting.member.id, f"{kind}_report", {"since": request["since"]}, acting.now)
    ids = replay.with_mail_since(connection, since)
    return _add(connection, acting, kind, "looking", {**request, "cut": len(ids) > MOST}, ids)


def _add(
    connection: sa.Connection, acting: Acting, kind: Kind, state: State, request: Mapping[str, Any], ids: Sequence[int]
) -> Work:
    work = rows.create(
        connection,
        acting.team_id,
        member_id=acting.member.id,
        kind=kind,
        state=state,
        request=request,
        batch_id=acting.batch_id,
        conversation_ids=ids[:MOST],
        now=acting.now,
    )
    return _go_on(connection, acting.team_id, work, acting.now)


def _with_something(connection: sa.Connection, work: Work) -> Work:
    """Return work that has conversations. Raises NotFound when each was left out, so that nothing of it stays."""
    if not work.is_running and not rows.tally(connection, work.id):
        raise NotFound
    return work


def _go_on(connection: sa.Connection, team_id: int, work: Work, now: datetime) -> Work:
    """Deal with a few conversations now, and leave more to a job."""
    if work.total > AT_ONCE:
        queue.defer(connection, "do_work", [job(team_id, work.id)])
        return work
    while advance(connection, team_id, work.id, now):
        pass
    return rows.by_id(connection, work.id)


def job(team_id: int, work_id: int) -> tuple[dict[str, int], str]:
    """Return the arguments and the lock of the job that does a piece of work."""
    return {"team_id": team_id, "work_id": work_id}, f"work:{work_id}"


def _require_administrator(member: Member) -> None:
    if member.role != "admin":
        raise NotAllowed("not_administrator")


def _item_of(work: Work) -> ItemRef:
    return ItemRef(**work.request["item"])


def _policy_of(work: Work) -> Policy | None:
    given = work.request["policy"]
    return policies.read(given) if given is not None else None


def _found_of(entry: Entry) -> Found:
    return Found.of_json(entry.conversation_id, entry.detail or {})


def _found(entry: Entry, detail: Mapping[str, Any]) -> Entry:
    return Entry(entry.position, entry.conversation_id, "found", detail=detail)


def _refused(entry: Entry, reason: str) -> Entry:
    return Entry(entry.position, entry.conversation_id, "refused", reason)


def _outcomes(entries: Sequence[Entry], refused: Mapping[int, str]) -> list[Entry]:
    return [
        _refused(entry, refused[entry.conversation_id])
        if entry.conversation_id in refused
        else Entry(entry.position, entry.conversation_id, "done")
        for entry in entries
    ]
