"""Which mail no person wrote: bounces, receipts, auto-replies, calendar and bulk mail (mail-connectors.md 4.7).

The answer is stored with the message and read by the policy (T2); it never keeps a mail from being stored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from app.linking.addresses import domain_of, is_ours
from app.model import Automated, Ours

_REPORT_TYPE = re.compile(r"report-type\s*=\s*\"?([\w-]+)")
_CALENDAR_METHOD = re.compile(r"method\s*=\s*\"?(?:request|reply|cancel|counter)\b")
_NOREPLY = re.compile(
    r"(?:^|[._+-])(?:no|do[._-]?not|donot)[._-]?reply(?:$|[._+-])|^(?:cevaplamay[iı]n|yan[iı]tlamay[iı]n)(?:i[zn]|ız)?$"
)

# The subjects of Outlook's, Exchange's and Gmail's automatic replies in the languages they speak.
_AUTO_REPLY_SUBJECTS = """
automatic reply | automatic response | auto reply | auto response | auto-reply | auto-response | autoreply
autoresponse | out of office | out of the office | oof: | ooo: | automatische antwort | abwesenheitsnotiz
abwesenheitsnachricht | réponse automatique | absence du bureau | respuesta automática | fuera de la oficina
risposta automatica | fuori sede | resposta automática | automatisch antwoord | autosvar | automatiskt svar
automatisk svar | automaattinen vastaus | automatyczna odpowiedź | autoodpowiedź | automatická odpověď
automatikus válasz | otomatik yanıt | otomatik cevap | ofis dışında | ofis dışındayım | автоматический ответ
автоответ | автоматична відповідь | αυτόματη απάντηση | răspuns automat | رد تلقائي | תשובה אוטומטית | 自動応答
自動返信 | 自动答复 | 自动回复 | 自動回覆 | 자동 회신
"""


@dataclass(frozen=True, slots=True)
class Signs:
    """What a mail is judged by. Header names and part types are in lower case, addresses in normal form."""

    headers: Mapping[str, Sequence[str]]
    part_types: Sequence[str]
    subject: str
    senders: Sequence[str]
    recipients: Sequence[str]
    is_own_mail: bool  # written by one of us, and proved (conversations.md A)
    ours: Ours

    def header(self, name: str) -> str:
        values = self.headers.get(name)
        return values[0].strip().lower() if values else ""


def classify(signs: Signs) -> Automated | None:
    """Say what kind of automated mail this is, or None for one that a person wrote. The first kind that fits counts."""
    return next((kind for kind, fits in _KINDS if fits(signs)), None)


def _is_bounce(signs: Signs) -> bool:
    return (
        _report_type(signs) == "delivery-status"
        or bool(signs.header("x-failed-recipients"))
        or "x-ms-exchange-message-is-ndr" in signs.headers
        or any(address.startswith(("mailer-daemon@", "postmaster@")) for address in signs.senders)
    )


def _is_receipt(signs: Signs) -> bool:
    return _report_type(signs) in {"disposition-notification", "feedback-report"}


def _is_auto_reply(signs: Signs) -> bool:
    return (
        signs.header("auto-submitted").startswith("auto-replied")
        or signs.header("precedence") == "auto_reply"
        or any(signs.header(name) not in {"", "no"} for name in ("x-autoreply", "x-autorespond", "x-autoresponder"))
        or _AUTO_REPLY.match(_fold(signs.subject)) is not None
    )


def _is_calendar(signs: Signs) -> bool:
    return signs.header("content-class") == "urn:content-classes:calendarmessage" or any(
        part.startswith("text/calendar") and _CALENDAR_METHOD.search(part) for part in _types(signs)
    )


def _has_no_return_path(signs: Signs) -> bool:
    """Recognise a bounce by its empty return path alone, which receipts and auto-replies have as well (RFC 3834)."""
    return signs.header("return-path") == "<>"


def _is_bulk(signs: Signs) -> bool:
    if signs.header("auto-submitted") not in {"", "no"} or any(map(_is_noreply, signs.senders)):
        return True
    is_one_to_one = signs.is_own_mail and len(signs.recipients) == 1  # a sales sequence, one mail to one person
    if not is_one_to_one and signs.header("feedback-id"):
        return True
    if _is_own_group(signs):
        return False
    has_unsubscribe = bool(signs.header("list-unsubscribe")) and not is_one_to_one
    return has_unsubscribe or bool(signs.header("list-id")) or signs.header("precedence") in {"bulk", "list", "junk"}


def _is_own_group(signs: Signs) -> bool:
    """Say whether a list is a shared inbox of ours (support@ as a Google group), not a mailing list.

    Its List-Id lies in a domain of ours; a group that shows none has its number and one of us as a recipient.
    """
    list_id = signs.header("list-id").rpartition("<")[2].partition(">")[0].strip()
    if list_id:
        return any(f".{list_id}".endswith(f".{domain}") for domain in signs.ours.domains)
    return bool(signs.header("x-google-group-id")) and any(is_ours(each, signs.ours) for each in signs.recipients)


def _is_noreply(address: str) -> bool:
    return _NOREPLY.search(address.removesuffix(f"@{domain_of(address)}")) is not None


def _report_type(signs: Signs) -> str:
    reports = (_REPORT_TYPE.search(part) for part in _types(signs) if part.startswith("multipart/report"))
    return next((report[1] for report in reports if report), "")


def _types(signs: Signs) -> list[str]:
    """Return the types of the mail's own parts: what follows an attached mail may belong to that one."""
    return [signs.header("content-type"), *takewhile(lambda part: "message/rfc822" not in part, signs.part_types)]


def _fold(subject: str) -> str:
    """Fold case and the Turkish i: lower() alone leaves a dot behind."""
    folded = unicodedata.normalize("NFC", subject[:200]).replace("İ", "i").lower().replace("ı", "i")
    return " ".join(folded.split())


_AUTO_REPLY = re.compile(
    "(?:"
    + "|".join(
        re.escape(_fold(each)) for line in _AUTO_REPLY_SUBJECTS.split("\n") for each in line.split("|") if each.strip()
    )
    + r")(?!\w)"
)
_KINDS: tuple[tuple[Automated, Callable[[Signs], bool]], ...] = (
    ("bounce", _is_bounce),
    ("receipt", _is_receipt),
    ("auto_reply", _is_auto_reply),
    ("calendar", _is_calendar),
    ("bounce", _has_no_return_path),
    ("bulk", _is_bulk),
)
