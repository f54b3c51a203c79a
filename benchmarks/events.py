"""Events as SendGrid posts them: batches of its size, signed as it signs (SG-21, SG-26)."""

import base64
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

BATCH_BYTES = 768 * 1024
WORDS = {"processed": 1, "delivered": 1, "open": 2, "click": 20}
"""What is reported, and of every how many-th message: half are opened, one in twenty clicked."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One post, signed."""

    body: bytes
    headers: dict[str, str]
    events: int


def make_batches(
    sent: Sequence[tuple[str, str, str]], key: ec.EllipticCurvePrivateKey
) -> Iterator[Batch]:
    """Write what SendGrid would post of messages: send id, message id and address of each."""
    batch: list[bytes] = []
    size = 0
    now = int(time.time())
    for number, (word, every) in enumerate(WORDS.items()):
        for one in sent[::every]:
            event = orjson.dumps(_event(word, number, one, now))
            if size + len(event) > BATCH_BYTES:
                yield _signed(batch, key)
                batch, size = [], 0
            batch.append(event)
            size += len(event) + 1
    yield _signed(batch, key)


def _event(word: str, number: int, sent: tuple[str, str, str], now: int) -> dict[str, Any]:
    send_id, message_id, address = sent
    event: dict[str, Any] = {
        "email": address,
        "timestamp": now - 60 + number,
        "smtp-id": f"<{message_id}@geopod-ismtpd-1>",
        "event": word,
        "category": ["six-month", "check-in"],
        "sg_event_id": base64.urlsafe_b64encode(f"{word}-{send_id}".encode()).decode()[:100],
        "sg_message_id": f"{message_id}.recvd-84649b8c5f-jhg7p-1-6543A1B2-7.0",
        "wb_send_id": send_id,
    }
    if word == "delivered":
        event |= {"response": "250 2.0.0 OK 1700000000 x7-20020a0ca447000000b00 - gsmtp", "tls": 1}
    if word in {"open", "click"}:
        event |= {
            "ip": "192.0.2.7",
            "useragent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1",
            "sg_content_type": "html",
            "sg_machine_open": False,
        }
    if word == "click":
        event |= {"url": "https://shop.example.com/", "url_offset": {"index": 0, "type": "html"}}
    return event


def _signed(events: Sequence[bytes], key: ec.EllipticCurvePrivateKey) -> Batch:
    body = b"[" + b",".join(events) + b"]"
    timestamp = str(int(time.time()))
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    headers = {
        "Content-Type": "application/json",
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }
    return Batch(body, headers, len(events))


def public_of(key: ec.EllipticCurvePrivateKey) -> str:
    """Write the public half as SendGrid shows it."""
    written = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(written).decode()
