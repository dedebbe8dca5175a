"""Mail that Pipedrive's own sync holds: threads and their messages. Part of the simulator.

A thread is a record whose `fields` hold its messages; no request can make one, as at Pipedrive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from email import message_from_bytes, policy

from connectors.crm.pipedrive.simulator_answers import Asked, RefusedError, not_found, page_by_start, success
from connectors.crm.pipedrive.simulator_records import Company, Record
from connectors.crm.pipedrive.simulator_shapes import Json, milliseconds, spaced
from connectors.crm.pipedrive.simulator_v2 import linked_records
from connectors.simulated_http import Reply

_FLAGS = (
    "has_attachments_flag", "has_inline_attachments_flag", "has_real_attachments_flag", "deleted_flag",
    "smart_bcc_flag", "mail_link_tracking_enabled_flag",
)  # fmt: skip


def put_thread(
    company: Company, subject: str, message_ids: Sequence[str], addresses: Sequence[str], *, at: datetime
) -> int:
    """Let the sync of a user's mailbox bring a thread: mail from the first address to the user and the others."""
    messages = [
        {"id": number, "mua_message_id": message_id, "from": addresses[0], "at": at}
        for number, message_id in enumerate(message_ids, start=1)
    ]
    fields = {"messages": messages, "addresses": tuple(addresses)}
    return int(company.add("thread", subject, by_api=False, add_time=at, fields=fields).id)


def take_in(company: Company, address: str, raw: bytes) -> int | None:
    """Take a mail to an item's Smart Bcc address: on the deal or lead, as a thread; None when it is not taken.

    Only from an address that a user has. Recipients whom nobody knows become persons.
    """
    mail = message_from_bytes(raw, policy=policy.default)
    sender = mail["From"].addresses[0].addr_spec.lower()
    user = next((user for user in company.users.values() if user.email.lower() == sender), None)
    to = address.partition("@")[0]
    for kind in ("deal", "lead"):
        for record in company.standing(kind):
            if user is None or not to.endswith(f"+{kind}{record.id}"):
                continue
            recipients = [each.addr_spec for each in mail["To"].addresses]
            for recipient in recipients:
                known = {held.lower() for person in company.standing("person") for held in person.emails}
                if recipient.lower() not in known | {sender}:
                    company.add("person", recipient, by_api=False, emails=[recipient])
            message = {"id": 1, "mua_message_id": mail["Message-ID"], "from": sender, "at": mail["Date"].datetime}
            fields = {"messages": [message], "addresses": (sender, *recipients), "text": mail.get_content()}
            links = {f"{kind}_id": record.id}
            thread = company.add("thread", str(mail["Subject"]), by_api=False, links=links, fields=fields)
            return int(thread.id)
    return None


def _party(company: Company, address: str, number: int) -> Json:
    person = next((p for p in company.standing("person") if address.lower() in map(str.lower, p.emails)), None)
    return {
        "id": number,
        "name": person.title if person else address,
        "latest_sent": False,
        "email_address": address,
        "message_time": 0,
        "linked_person_id": person.id if person else None,
        "linked_person_name": person.title if person else None,
        "mail_message_party_id": number,
        "linked_organization_id": person.organization if person else None,
    }


def _common(record: Record) -> Json:
    return {
        "account_id": "1",
        "user_id": record.user_id,
        "subject": record.title,
        "snippet": "",
        "mail_tracking_status": None,
        "read_flag": 1,
        "synced_flag": 1,
        **dict.fromkeys(_FLAGS, 0),
        "add_time": milliseconds(record.add_time),
        "update_time": milliseconds(record.update_time),
    }


def _shown(company: Company, record: Record) -> Json:
    sender, *others = record.fields["addresses"]
    deal = company.get("deal", record.links.get("deal_id", 0))
    return {
        **_common(record),
        "id": record.id,
        "parties": {
            "from": [_party(company, sender, 1)],
            "to": [_party(company, address, number) for number, address in enumerate(others, start=2)],
        },
        "drafts_parties": [],
        "folders": ["inbox"],
        "version": 1,
        "snippet_draft": None,
        "snippet_sent": None,
        "message_count": len(record.fields["messages"]),
        **dict.fromkeys(("has_draft_flag", "has_sent_flag", "archived_flag", "external_deleted_flag"), 0),
        "shared_flag": record.fields.get("shared_flag", 1),
        "first_message_to_me_flag": 1,
        "all_messages_sent_flag": 0,
        "first_message_timestamp": milliseconds(record.add_time),
        "last_message_timestamp": milliseconds(record.update_time),
        "last_message_sent_timestamp": None,
        "last_message_received_timestamp": milliseconds(record.update_time),
        "deal_id": record.links.get("deal_id"),
        "deal_status": deal.status if deal else None,
        "lead_id": record.links.get("lead_id"),
    }


def _message(company: Company, record: Record, message: Json) -> Json:
    sender, *others = record.fields["addresses"]
    return {
        **_common(record),
        "id": int(record.id) * 1000 + int(message["id"]),
        "from": [_party(company, sender, 1)],
        "to": [_party(company, address, number) for number, address in enumerate(others, start=2)],
        "cc": [],
        "bcc": [],
        "body_url": "https://mail.pipedrive.example/body",
        "mail_thread_id": record.id,
        "draft": None,
        "has_body_flag": 1,
        "sent_flag": 0,
        "sent_from_pipedrive_flag": 0,
        "message_time": milliseconds(message["at"]),
    }


def threads(asked: Asked) -> Reply:
    """List the threads of the user's mailbox."""
    folder = asked.text("folder")
    if folder not in ("inbox", "drafts", "sent", "archive"):
        raise RefusedError(400, "Parameter 'folder' must be one of inbox, drafts, sent, archive")
    held = asked.company.standing("thread") if folder == "inbox" else []
    own = [thread for thread in held if thread.user_id == asked.user.id]
    return page_by_start(asked, [_shown(asked.company, thread) for thread in own])


def _own(asked: Asked) -> Record:
    record = asked.the("thread")
    if record.is_deleted or record.user_id != asked.user.id:
        raise not_found("thread")
    return record


def thread(asked: Asked) -> Reply:
    """Show a thread of the user's mailbox."""
    return success(_shown(asked.company, _own(asked)))


def thread_messages(asked: Asked) -> Reply:
    """List the messages of a thread; their Message-IDs are not shown here."""
    record = _own(asked)
    return success([_message(asked.company, record, message) for message in record.fields["messages"]])


def update_thread(asked: Asked) -> Reply:
    """Link a thread to a deal or a lead: it has at most one of them. Nothing says how a link is taken off."""
    record, form = _own(asked), asked.form()
    given: Json = {name: form[name] for name in ("deal_id", "lead_id") if name in form}
    if any(not value for value in given.values()):
        raise RefusedError(400, "deal_id and lead_id must not be empty")
    links = linked_records(asked.company, given) or record.links
    flags = {name: int(form[name]) for name in ("shared_flag", "read_flag", "archived_flag") if name in form}
    newer = asked.company.update(record, user_id=asked.user.id, links=links, fields={**record.fields, **flags})
    return success(_shown(asked.company, newer))


def messages_of(kind: str) -> Callable[[Asked], Reply]:
    """List the mail on a person, organization or deal, with the Message-IDs of the mail clients."""

    def answer(asked: Asked) -> Reply:
        record, company = asked.the(kind), asked.company
        shown = [
            {
                "object": "mailMessage",
                "timestamp": spaced(message["at"]),
                "data": {
                    **_message(company, thread, message),
                    "draft_flag": 0,
                    "mua_message_id": message["mua_message_id"],
                    "nylas_id": f"nylas-{thread.id}-{message['id']}",
                    "external_deleted_flag": False,
                    "company_id": company.id,
                },
            }
            for thread in company.standing("thread")
            if _is_on(company, thread, record)
            for message in thread.fields["messages"]
        ]
        return page_by_start(asked, shown, nested=False)

    return answer


def _is_on(company: Company, thread: Record, record: Record) -> bool:
    if record.kind == "deal":
        return thread.links.get("deal_id") == record.id
    people = [
        person
        for person in company.standing("person")
        if {address.lower() for address in person.emails} & {address.lower() for address in thread.fields["addresses"]}
    ]
    return any(record.id == (p.id if record.kind == "person" else p.organization) for p in people)
