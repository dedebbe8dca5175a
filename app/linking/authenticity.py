"""What the provider's verdict makes of a sender, and which way a message went (conversations.md A).

Read is only the topmost Authentication-Results, and only when the account's own provider wrote it: every other one is
text that the sender may have typed. The header's syntax is RFC 8601; Gmail puts the DMARC policy into a comment
(`dmarc=fail (p=REJECT sp=REJECT dis=NONE) header.from=x`), Exchange Online into `action=` and adds `compauth=`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.linking.addresses import domain_of, is_ours, normalize_domain
from app.model import Direction, Message, Ours, Participant, Verdict

MAX_RESULTS_CHARS = 16 * 1024

# Which verdict counts when the copies of one message differ.
_COUNTS_FIRST: tuple[Verdict, ...] = ("own", "pass", "fail", "weak")

# A quoted string that is never closed takes the rest, so that nothing is scanned twice.
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[();]|\\.|[^"();\\]+', re.DOTALL)
_RESULT = re.compile(r"\s*([a-z][a-z0-9-]{0,30})(?:/\d)?\s*=\s*([a-z]{1,30})", re.IGNORECASE)
_PROPERTY = re.compile(r"(?:^|\s)([a-z.-]{1,40})=\"?([^\s\";]{1,320})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Result:
    method: str
    value: str
    properties: Mapping[str, str]
    policy: Mapping[str, str]  # what the comments say


def verdict(results: Sequence[str], senders: Collection[str], *, in_sent: bool, authserv_id: str | None) -> Verdict:
    """Judge one copy of a message.

    `results` are its Authentication-Results, topmost first; `senders` the addresses of From as they were written;
    `authserv_id` what the account's provider calls itself there: empty for Exchange Online, which writes no name, and
    None for a provider without verdicts.
    """
    if in_sent:
        return "own"
    if authserv_id is None or not results:
        return "none"
    topmost = results[0]
    read = _read(topmost[:MAX_RESULTS_CHARS], authserv_id)
    if read is None:
        return "none"
    if len(topmost) > MAX_RESULTS_CHARS:
        return "fail"  # the verdict may stand in what was not read: a long header must not be a way around it
    return _judge(read, senders)


def message_verdict(message: Message) -> Verdict:
    """Judge a message over its copies.

    A copy in somebody's Sent folder, or one that the provider authenticated, proves who wrote the message, whatever
    happened to another copy on its way (lists and forwarders break DMARC). Failing that the worst counts, unless
    somebody said of that copy that it is genuine. What a copy says remains a matter of that copy.
    """
    verdicts = [copy.verdict for copy in message.copies if not (copy.verdict == "fail" and copy.genuine)]
    for each in _COUNTS_FIRST:
        if each in verdicts:
            return each
    return "none"


def direction(message: Message, ours: Ours) -> Direction:
    """Say which way a message went.

    Internal when everybody in it is ours, Bcc included (Reply-To is nobody in it). Outbound when a copy lies in a
    Sent folder, or From is ours and proved; From ours without a proof is a claim, and inbound.
    """
    people = [person.address for person in message.participants if person.role != "reply_to"]
    people += [person.address for copy in message.copies for person in copy.bcc]
    if people and all(is_ours(address, ours) for address in people):
        return "internal"
    if any(copy.in_sent for copy in message.copies):
        return "outbound"
    author = sender(message)
    if author is not None and is_ours(author.address, ours) and message_verdict(message) in {"own", "pass"}:
        return "outbound"
    return "inbound"


def sender(message: Message) -> Participant | None:
    """Return who a message says it is from; never the Sender or Reply-To header."""
    for person in message.participants:
        if person.role == "from":
            return person
    return None


def _judge(results: list[_Result], senders: Collection[str]) -> Verdict:
    composite = {result.value for result in results if result.method == "compauth"}
    dmarc = [result for result in results if result.method == "dmarc"]
    failed = [result for result in dmarc if result.value == "fail"]
    if "fail" in composite:
        return "fail"
    if failed:
        # Exchange lets a mail through that a forwarder it trusts has changed (compauth=pass): no proof, no failure.
        is_lenient = "pass" in composite or all(_is_policy_none(result) for result in failed)
        return "weak" if is_lenient else "fail"
    if not senders:
        return "none"
    passed = [result for result in dmarc if result.value in {"pass", "bestguesspass"}]
    if passed:
        # The provider judged another domain than the one we read: From was written to be read in two ways.
        return "pass" if all(_is_about(result.properties.get("header.from"), senders) for result in passed) else "fail"
    # A domain without a DMARC record, yet signed by the very domain of From.
    signed = (result for result in results if result.method == "dkim" and result.value == "pass")
    return "pass" if any(_is_about(_signer(result), senders, if_unnamed=False) for result in signed) else "none"


def _is_policy_none(failed: _Result) -> bool:
    """Say whether nothing stricter than `none` is said about a failure; a policy that is not named is strict.

    `p` is what the domain asks for, `dis` and `action` are what the provider did about it.
    """
    said = {failed.policy.get("p"), failed.policy.get("dis"), failed.properties.get("action")} - {None}
    said |= {failed.properties.get("policy.dmarc")} - {None}
    return said == {"none"}


def _is_about(domain: str | None, senders: Collection[str], *, if_unnamed: bool = True) -> bool:
    """Say whether a result about this domain is one about every address in From."""
    if domain is None:
        return if_unnamed
    return {normalize_domain(domain)} == {domain_of(address) for address in senders}


def _signer(dkim: _Result) -> str | None:
    """Return the domain of a signature: Exchange names it, Gmail the identity in it (`header.i=@domain`)."""
    return dkim.properties.get("header.d") or domain_of(dkim.properties.get("header.i", "")) or None


def _read(value: str, authserv_id: str) -> list[_Result] | None:
    """Return the results of one header, or None when another server than authserv_id wrote it."""
    segments = list(_segments(value))
    if authserv_id:
        name = segments.pop(0)[0].split()
        if not name or name[0].lower() != authserv_id.lower():
            return None
    elif "=" not in segments[0][0]:
        return None  # it begins with a server's name, which Exchange Online never writes
    return [result for content, comment in segments if (result := _result(content, comment)) is not None]


def _result(content: str, comment: str) -> _Result | None:
    method = _RESULT.match(content)
    if method is None:
        return None
    properties = {name.lower(): value.lower() for name, value in _PROPERTY.findall(content[method.end() :])}
    if content.count("@") > 1:
        properties = {}  # the signer chose the part before the @, and may have put properties into it
    policy = {name.lower(): value.lower() for name, value in _PROPERTY.findall(comment)}
    return _Result(method[1].lower(), method[2].lower(), properties, policy)


def _segments(value: str) -> Iterator[tuple[str, str]]:
    """Split at the semicolons outside quotes and comments; yield (text, what its comments say).

    Quotes hold inside comments too: Gmail repeats the envelope sender there, and a sender may quote anything.
    """
    depth = 0
    content: list[str] = []
    comment: list[str] = []
    for match in _PIECE.finditer(value):
        piece = match[0]
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(depth - 1, 0)
        elif depth:
            comment.append(piece)
        elif piece == ";":
            yield "".join(content), " ".join(comment)
            content, comment = [], []
        else:
            content.append(piece)
    yield "".join(content), " ".join(comment)
