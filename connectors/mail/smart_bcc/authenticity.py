"""Who really sent a mail: SPF, DKIM, ARC and DMARC (RFC 7208, 6376, 8617, 7489), asked of the DNS that is given.

What comes out is the value of an Authentication-Results header, which the core reads as it reads Google's, and whether
From is proven. The steps are dkimpy's, pyspf's and authheaders'; of the latter only its parts: its DMARC step ends a
domain at the first hyphen and takes the policy for sub-domains as the domain's own (0.16.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.linking.addresses import domain_of, normalize_domain
from connectors.mail.smart_bcc.dns_lookup import Dns, LookupFailed, text_of

MAX_SIGNATURES = 5
_POLICIES = frozenset({"none", "quarantine", "reject"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the session told of a mail."""

    mail_from: str
    peer: str
    helo: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks found."""

    results: str  # the value of an Authentication-Results header
    is_proven: bool  # DMARC passes, or a signature or the envelope that passes is aligned with From
    sealed_by: str = ""  # who sealed the ARC chain last, when the chain holds


def check(raw: bytes, author: str, envelope: Envelope, *, authserv_id: str, dns: Dns) -> Checked:
    """Check a mail as it was received. Raises LookupFailed when the DNS could not be asked."""
    domain = domain_of(author)
    spf = _spf(envelope, dns)
    envelope_domain = normalize_domain(domain_of(envelope.mail_from) or envelope.helo) or ""
    signers = _signers(raw, dns)
    record, is_own_record = _dmarc_record(domain, dns)
    strict_spf, strict_dkim = record.get("aspf") == "s", record.get("adkim") == "s"
    by_spf = spf == "pass" and _is_aligned(envelope_domain, domain, is_strict=strict_spf)
    by_dkim = any(_is_aligned(signer, domain, is_strict=strict_dkim) for signer in signers)
    results = [f"spf={spf} smtp.mailfrom={envelope_domain or 'unknown'}"]
    results += [f"dkim=pass header.d={signer}" for signer in signers] or ["dkim=none"]
    if record:
        policy = record["p"] if is_own_record else record.get("sp", record["p"])
        outcome = "pass" if by_spf or by_dkim else "fail"
        results.append(f"dmarc={outcome} (p={policy.upper()}) header.from={domain}")
    else:
        results.append("dmarc=none")
    sealer = _sealer(raw, dns)
    results.append("arc=pass" if sealer else "arc=none")
    return Checked("; ".join((authserv_id, *results)), by_spf or by_dkim, sealer)


# --- alignment ---


def _is_aligned(domain: str, author_domain: str, *, is_strict: bool) -> bool:
    if not domain:
        return False
    return domain == author_domain if is_strict else organizational(domain) == organizational(author_domain)


@lru_cache(maxsize=4096)
def organizational(domain: str) -> str:
    """Return the domain somebody registered, by the public suffix list; below a suffix it does not know, two labels."""
    from authheaders.dmarc_lookup import get_org_domain  # reads the list

    found = str(get_org_domain(domain) or "").lower()
    return found if "." in found else ".".join(domain.split(".")[-2:])


def _dmarc_record(domain: str, dns: Dns) -> tuple[dict[str, str], bool]:
    """Return a domain's DMARC record, or that of the domain above it, and whether it is the domain's own."""
    for name in dict.fromkeys((domain, organizational(domain))):
        record = _read_dmarc(dns.records(f"_dmarc.{name}", "TXT"))
        if record:
            return record, name == domain
    return {}, False


def _read_dmarc(records: list[str]) -> dict[str, str]:
    from authheaders.dmarc_lookup import DMARCException, answer_to_dict

    found = [record for record in records if record.startswith("v=DMARC1")]
    if len(found) != 1:  # none, or several, which count as none (RFC 7489 6.6.3)
        return {}
    try:
        tags: dict[str, str] = answer_to_dict(found[0])
    except DMARCException:
        return {}
    tags = {name: value.rstrip("\\") for name, value in tags.items()}
    return tags if tags.get("p") in _POLICIES and tags.get("sp", "none") in _POLICIES else {}


# --- SPF ---


def _spf(envelope: Envelope, dns: Dns) -> str:
    import spf

    class Query(spf.query):  # type: ignore[misc]  # pyspf has no types
        """Asks our DNS, within the limits of RFC 7208 4.6.4."""

        def dns(self, name: str, kind: str, _cnames: object = None, ignore_void: bool = False) -> list[Any]:
            try:
                found = dns.records(str(name), kind) if kind in {"TXT", "A", "AAAA", "MX", "PTR"} else []
            except LookupFailed:
                raise spf.TempError("DNS") from None
            if not found and not ignore_void:
                self.void_lookups += 1
                if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                    raise spf.PermError("void lookups")
            return [(record.encode("utf-8", "replace"),) for record in found] if kind == "TXT" else found

    if not envelope.peer:
        return "none"
    try:
        result, _, _ = Query(envelope.peer, envelope.mail_from, envelope.helo).check()
    except (ValueError, IndexError, UnicodeError, spf.PermError):
        return "permerror"
    if result == "temperror":
        raise LookupFailed
    return str(result)


# --- DKIM and ARC ---


def _signers(raw: bytes, dns: Dns) -> list[str]:
    """Return the domains whose signatures hold, each once.

    A signature over the beginning of the body alone (l=) proves nothing about what stands behind it.
    """
    import dkim

    signers: dict[str, None] = {}
    for number in range(MAX_SIGNATURES):
        mail = dkim.DKIM(raw)
        try:
            if not mail.verify(number, dnsfunc=_txt(dns)):
                if not getattr(mail, "signature_fields", None):
                    break
                continue
        except (dkim.DKIMException, ValueError, TypeError, KeyError, IndexError, AttributeError):
            continue  # a signature that is broken in one of many ways, dkimpy's own errors among them
        domain = normalize_domain(mail.signature_fields.get(b"d", b"").decode("ascii", "ignore"))
        if domain and b"l" not in mail.signature_fields:
            signers[domain] = None
    return list(signers)


def _sealer(raw: bytes, dns: Dns) -> str:
    """Return who sealed the mail last, when its ARC chain holds."""
    import dkim

    try:
        outcome, results, _ = dkim.ARC(raw).verify(dnsfunc=_txt(dns))
    except (dkim.DKIMException, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return ""
    if outcome != dkim.CV_Pass or not results:
        return ""
    return normalize_domain(results[0]["as-domain"].decode("ascii", "ignore")) or ""


def _txt(dns: Dns) -> Callable[..., bytes | None]:
    def ask(name: bytes | str, timeout: float = 0) -> bytes | None:  # noqa: ARG001 - dkimpy gives it
        written = name.decode("ascii", "ignore") if isinstance(name, bytes) else name
        found = text_of(dns.records(written.rstrip("."), "TXT"))
        return found.encode("utf-8", "replace") if found is not None else None

    return ask
