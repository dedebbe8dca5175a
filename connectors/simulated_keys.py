"""The keys a simulated vendor signs with. No connector needs it to work."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


@cache
def _key(number: int) -> tuple[rsa.RSAPrivateKey, str]:
    """Make a key and its certificate, once for each number in a process: making one takes a moment."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"simulated-{number}")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), number + 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM).decode()


class Signer:
    """Signs as a vendor does and shows its public keys; `rotate` brings a new key in."""

    def __init__(self) -> None:
        self.number = 0

    @property
    def key_id(self) -> str:
        """The id of the key that signs now."""
        return f"simulated-key-{self.number}"

    def rotate(self) -> None:
        """Sign with a new key from now on; the one before stays published."""
        self.number += 1

    def certificates(self) -> dict[str, str]:
        """Return key id to PEM: the key that signs now and the one before."""
        return {f"simulated-key-{n}": _key(n)[1] for n in range(max(0, self.number - 1), self.number + 1)}

    def key_set(self) -> dict[str, Any]:
        """Return the same keys as JSON Web Keys (RFC 7517), each with its certificate."""
        return {"keys": [_web_key(f"simulated-key-{n}", n) for n in range(max(0, self.number - 1), self.number + 1)]}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """Return a JWT with these claims; `header` replaces what its header says."""
        shown = {"alg": "RS256", "kid": self.key_id, "typ": "JWT", **header}
        signed = f"{_segment(shown)}.{_segment(claims)}"
        signature = _key(self.number)[0].sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"


def _web_key(key_id: str, number: int) -> dict[str, Any]:
    key, certificate = _key(number)
    numbers = key.public_key().public_numbers()
    der = "".join(certificate.splitlines()[1:-1])
    return {
        "kty": "RSA",
        "use": "sig",
        "kid": key_id,
        "x5t": key_id,
        "n": _base64url(numbers.n.to_bytes(256, "big")),
        "e": _base64url(numbers.e.to_bytes(3, "big")),
        "x5c": [der],
    }


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _segment(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value).encode())
