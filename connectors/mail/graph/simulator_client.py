"""How the application proves itself to the simulated Entra: a secret, or an assertion its certificate signs.

Part of the simulator. RFC 7523; learn.microsoft.com/entra/identity-platform/certificate-credentials
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

CLIENT_ID = "8f2c1a34-1111-4222-8333-944455556666"
CLIENT_SECRET = "simulated~secret"  # noqa: S105  # the simulator's own


class ClientRefusedError(Exception):
    """The application did not prove itself."""


@dataclass
class ClientKeys:
    """The secret of the registration and the certificates that were uploaded to it."""

    secret: str = CLIENT_SECRET
    certificates: list[x509.Certificate] = field(default_factory=list)

    def upload(self, pem: Path) -> None:
        """Add the certificate of a PEM file to the registration."""
        self.certificates.append(x509.load_pem_x509_certificate(pem.read_bytes()))

    def check(self, form: Mapping[str, str]) -> None:
        """Raise ClientRefusedError unless a token request comes from the application."""
        if form.get("client_id") != CLIENT_ID:
            raise ClientRefusedError("the application is unknown")
        if "client_assertion" in form:
            self._check_assertion(form["client_assertion"])
        elif form.get("client_secret") != self.secret:
            raise ClientRefusedError("the secret is wrong")

    def _check_assertion(self, assertion: str) -> None:
        signed, _, signature = assertion.rpartition(".")
        try:
            header = json.loads(_decoded(signed.partition(".")[0]))
            claims = json.loads(_decoded(signed.partition(".")[2]))
            raw = _decoded(signature)
        except (binascii.Error, ValueError) as error:
            raise ClientRefusedError("the assertion cannot be read") from error
        if claims.get("iss") != CLIENT_ID or claims.get("sub") != CLIENT_ID:
            raise ClientRefusedError("the assertion is another application's")
        for certificate in self.certificates:
            key = certificate.public_key()
            if isinstance(key, RSAPublicKey) and _is_signed(key, str(header.get("alg")), signed.encode(), raw):
                return
        raise ClientRefusedError("no uploaded certificate signed the assertion")


def _is_signed(key: RSAPublicKey, algorithm: str, signed: bytes, signature: bytes) -> bool:
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
    try:
        key.verify(signature, signed, pss if algorithm == "PS256" else padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
