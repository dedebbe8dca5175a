"""Encrypts what a rich notification carries. Part of the simulator.

learn.microsoft.com/graph/change-notifications-with-resource-data
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as asymmetric
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def encrypted(content: Mapping[str, Any], certificate: str, certificate_id: str) -> dict[str, str]:
    """Return `encryptedContent` for a certificate, given as base64 DER. Raises ValueError for something else."""
    read = x509.load_der_x509_certificate(base64.b64decode(certificate))
    public_key = read.public_key()
    if not isinstance(public_key, RSAPublicKey):
        raise TypeError("an RSA key is needed")
    key = os.urandom(32)
    padder = padding.PKCS7(128).padder()
    plain = padder.update(json.dumps(content).encode()) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    data = encryptor.update(plain) + encryptor.finalize()
    wrapped = public_key.encrypt(
        key,
        asymmetric.OAEP(mgf=asymmetric.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None),  # noqa: S303  # Graph's
    )
    return {
        "data": base64.b64encode(data).decode(),
        "dataKey": base64.b64encode(wrapped).decode(),
        "dataSignature": base64.b64encode(hmac.new(key, data, hashlib.sha256).digest()).decode(),
        "encryptionCertificateId": certificate_id,
        "encryptionCertificateThumbprint": read.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303  # Graph's
    }
