"""Proves that a webhook comes from the provider: on the raw body, before anything is parsed.

Whatever is wrong, the answer is the same CallbackRejected, so that nobody learns what to forge
next (FACTS.md SEC-1, SG-27); its ``because`` is for the operator's log only.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha1, sha256
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from winback.errors import CallbackRejected, ProviderConfigError

SENDGRID_SIGNATURE: Final = "x-twilio-email-event-webhook-signature"
SENDGRID_TIMESTAMP: Final = "x-twilio-email-event-webhook-timestamp"
TWILIO_SIGNATURE: Final = "x-twilio-signature"
BODY_HASH: Final = "bodySHA256"

FRESH_FOR: Final = timedelta(hours=24)
"""SendGrid retries for 24 hours; whether it signs anew is not known (FACTS.md SG-27)."""
SKEW: Final = timedelta(minutes=5)
"""How far the clocks of two machines may differ."""


def verify_sendgrid(
    headers: Mapping[str, str],
    body: bytes,
    *,
    keys: Iterable[str],
    now: datetime,
    fresh_for: timedelta = FRESH_FOR,
) -> None:
    """Raise CallbackRejected unless one of the keys signed this body lately.

    For events and for inbound mail alike: ECDSA with SHA-256 over timestamp and raw body
    (FACTS.md SG-26). ``keys`` are Base64 DER public keys, several during rotation (SG-28).
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        timestamp = lowered[SENDGRID_TIMESTAMP]
        signature = b64decode(lowered[SENDGRID_SIGNATURE], validate=True)
        signed_at = datetime.fromtimestamp(int(timestamp), now.tzinfo)
    except (KeyError, ValueError, OverflowError, OSError):
        raise CallbackRejected("it carries no signature that can be read") from None
    if not any(_is_signed(load_key(key), signature, timestamp, body) for key in keys):
        raise CallbackRejected("it is not signed with our key")
    if not now - fresh_for - SKEW <= signed_at <= now + SKEW:
        raise CallbackRejected("it was signed too long ago, or one of the clocks is wrong")


@lru_cache(maxsize=64)
def load_key(key: str) -> EllipticCurvePublicKey:
    """Read a Base64 DER public key; raises ProviderConfigError when it is none."""
    try:
        loaded = load_der_public_key(b64decode(key))
    except (ValueError, UnsupportedAlgorithm):
        loaded = None
    if not isinstance(loaded, EllipticCurvePublicKey):
        raise ProviderConfigError(
            "a key in SENDGRID_WEBHOOK_KEYS or SENDGRID_PARSE_KEYS is no Base64 DER public key; "
            "copy it from SendGrid's webhook settings"
        )
    return loaded


def _is_signed(key: EllipticCurvePublicKey, signature: bytes, timestamp: str, body: bytes) -> bool:
    try:
        key.verify(signature, timestamp.encode() + body, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def verify_twilio(
    headers: Mapping[str, str], body: bytes, *, url: str, tokens: Iterable[str]
) -> None:
    """Raise CallbackRejected unless one of the tokens signed this request.

    ``url`` is the public one that Twilio called, path and query as they came (FACTS.md TW-28).
    All form fields count, also unknown and empty ones (TW-15); a JSON body counts by its hash in
    the query (TW-27). ``tokens`` are two during rotation (TW-29).
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    given = lowered.get(TWILIO_SIGNATURE, "").encode()
    form: list[tuple[str, str]] = []
    said = parse_qs(urlsplit(url).query).get(BODY_HASH)
    try:
        if said is None:
            form = parse_qsl(body.decode(), keep_blank_values=True)
        elif not hmac.compare_digest(sha256(body).hexdigest(), said[0].lower()):
            raise CallbackRejected("its body is not the one that was signed")
    except (ValueError, TypeError):
        raise CallbackRejected("its body cannot be read") from None
    # Twilio signs with or without a standard port, whatever its caller wrote.
    expected = [
        sign_twilio(spelling, form, token=token) for token in tokens for spelling in _ports(url)
    ]
    if not given:
        raise CallbackRejected("it carries no signature that can be read")
    if not any(hmac.compare_digest(given, one.encode()) for one in expected):
        raise CallbackRejected("it is not signed with our key")


def sign_twilio(url: str, form: Iterable[tuple[str, str]], *, token: str) -> str:
    """Sign as Twilio does: HMAC-SHA1 over the URL and the sorted, distinct form pairs."""
    signed = url + "".join(name + value for name, value in sorted(set(form)))
    return b64encode(hmac.new(token.encode(), signed.encode(), sha1).digest()).decode()


def _ports(url: str) -> tuple[str, ...]:
    """Give the URL as it is, without its port, and with the standard one."""
    parts = urlsplit(url)
    host = parts.netloc
    try:
        port = parts.port
    except ValueError:
        raise CallbackRejected("our own address cannot be read") from None
    if port is not None:
        return url, parts._replace(netloc=host.rpartition(":")[0]).geturl()
    standard = 443 if parts.scheme == "https" else 80
    return url, parts._replace(netloc=f"{host}:{standard}").geturl()
