"""Rich notifications: Microsoft's signature over a batch, and content that only our certificate opens.

The content is no truth to us either: it is opened to see that the notification is about the message it names. Vendor
page: learn.microsoft.com/graph/change-notifications-with-resource-data
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from app.errors import SettingsError
from app.ports import Clock
from connectors.mail.graph.auth import read_pem
from connectors.mail.graph.settings import GraphSettings
from connectors.mail.graph.signing_keys import SigningKeys

GRAPH_ITSELF = "0bf30f3b-4a52-48df-9a82-234910c4a086"  # "Microsoft Graph Change Tracking", which signs
MAX_TOKENS = 50
LONGEST_TOKEN = 8_000

Item = tuple[str, Mapping[str, Any]]


class RichNotifications:
    """Checks batches for one certificate, and says what a subscription needs for it."""

    def __init__(self, settings: GraphSettings, clock: Clock, keys: SigningKeys) -> None:
        pem = read_pem(settings.notification_certificate, "GRAPH_NOTIFICATION_CERTIFICATE").encode()
        try:
            key = serialization.load_pem_private_key(pem, password=None)
            certificate = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
        except (ValueError, TypeError) as error:
            raise SettingsError(f"GRAPH_NOTIFICATION_CERTIFICATE: unreadable ({type(error).__name__}).") from None
        if not isinstance(key, RSAPrivateKey):
            raise SettingsError("GRAPH_NOTIFICATION_CERTIFICATE: the key must be an RSA key.")
        self._key = key
        self.certificate = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
        self.certificate_id = certificate.fingerprint(hashes.SHA256()).hex()
        self._client_id = settings.client_id
        self._login_url = settings.login_url
        self._clock = clock
        self._keys = keys

    def genuine(self, items: Sequence[Item], tokens: Sequence[str]) -> list[Item]:
        """Return the items whose tenant's token Microsoft signed and whose content opens.

        A lifecycle event comes without token and content; its clientState alone proves it, and it only has us look.
        Raises VerificationUnavailable when the keys could not be fetched.
        """
        tenants = {tenant for token in tokens[:MAX_TOKENS] if (tenant := self._tenant(token))}
        return [
            (mailbox, item)
            for mailbox, item in items
            if "lifecycleEvent" in item or (mailbox.partition("/")[0] in tenants and self._opens(item))
        ]

    def _tenant(self, token: str) -> str | None:
        """Return the tenant a validation token speaks for, or None when it is not Microsoft's or not for us."""
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            key = self._keys.find(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key.public,
                algorithms=["RS256"],
                audience=self._client_id,
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp", "iss"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        now_s = self._clock.now().timestamp()
        begins, ends = claims.get("nbf", 0), claims.get("exp")
        if not isinstance(begins, int) or not isinstance(ends, int) or not begins - 300 <= now_s <= ends + 300:
            return None
        tenant = claims.get("tid")
        issuers = (f"https://sts.windows.net/{tenant}/", f"{self._login_url}/{tenant}/v2.0")
        if not isinstance(tenant, str) or claims["iss"] not in issuers:
            return None
        return tenant if GRAPH_ITSELF in (claims.get("appid"), claims.get("azp")) else None

    def _opens(self, item: Mapping[str, Any]) -> bool:
        """Whether the content was sealed for us and is about the message that the item names."""
        sealed, named = item.get("encryptedContent"), item.get("resourceData")
        if not isinstance(sealed, dict) or not isinstance(named, dict):
            return False
        if sealed.get("encryptionCertificateId") != self.certificate_id:
            return False
        try:
            return bool(self.open(sealed).get("id") == named.get("id"))
        except (ValueError, TypeError, KeyError, AttributeError):
            return False

    def open(self, sealed: Mapping[str, Any]) -> dict[str, Any]:
        """Decrypt the content of a notification. Raises ValueError when its signature or form is wrong."""
        data = base64.b64decode(sealed["data"])
        oaep = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303  # Graph's choice
        secret = self._key.decrypt(base64.b64decode(sealed["dataKey"]), oaep)
        if not hmac.compare_digest(hmac.digest(secret, data, "sha256"), base64.b64decode(sealed["dataSignature"])):
            raise ValueError("The content was changed on its way")
        decryptor = Cipher(algorithms.AES(secret), modes.CBC(secret[:16])).decryptor()
        padded = decryptor.update(data) + decryptor.finalize()
        unpadder = padding.PKCS7(128).unpadder()
        read = json.loads(unpadder.update(padded) + unpadder.finalize())
        if not isinstance(read, dict):
            raise ValueError("The content is not an object")  # noqa: TRY004  # what came is wrong, not our call
        return read
