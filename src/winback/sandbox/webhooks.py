"""Posts webhooks as the providers do: signed, batched, tried again; in the server's loop."""

import asyncio
import json
from base64 import b64encode
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from hmac import new as hmac
from random import Random
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from winback.clock import Clock
from winback.sandbox.credentials import Credentials, letters
from winback.sandbox.faults import FaultPlan
from winback.sandbox.record import Mail

EVENTS_PATH: Final = "/webhooks/sendgrid/events"
PARSE_PATH: Final = "/webhooks/sendgrid/inbound"
STATUS_PATH: Final = "/webhooks/twilio/status"
TEXT_PATH: Final = "/webhooks/twilio/inbound"
BATCH: Final = 500
_AT_ONCE: Final = 16
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)


@dataclass(frozen=True, slots=True)
class Post:
    """One request to the receiver; ``path`` may have a query."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where webhooks go: the address to connect to, and the public one that is signed."""

    url: str
    public_url: str


class Courier:
    """Takes webhooks to the receiver; what SendGrid could not deliver waits for the next time."""

    def __init__(self, credentials: Credentials, clock: Clock, rng: Random) -> None:
        self._credentials = credentials
        self._clock = clock
        self._rng = rng
        self._session: aiohttp.ClientSession | None = None
        self._waiting: deque[list[dict[str, Any]]] = deque()
        self.receiver: Receiver | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def post_events(self, events: Sequence[dict[str, Any]], faults: FaultPlan) -> int:
        """Post SendGrid events in batches, waiting ones first; gives how many were taken."""
        found = list(events)
        if faults.reorder_webhooks:
            self._rng.shuffle(found)
        self._waiting.extend(found[at : at + BATCH] for at in range(0, len(found), BATCH))
        taken = 0
        for _ in range(len(self._waiting)):
            batch = self._waiting.popleft()
            if await self._post(self._signed_events(batch), faults):
                taken += len(batch)
            else:
                self._waiting.append(batch)
        return taken

    async def post_forms(
        self, forms: Sequence[tuple[str, Mapping[str, str]]], faults: FaultPlan
    ) -> int:
        """Post Twilio forms, (path, form) each, tried twice; gives how many were taken."""
        found = list(forms)
        if faults.reorder_webhooks:
            self._rng.shuffle(found)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def post(path: str, form: Mapping[str, str]) -> bool:
            async with gate:
                signed = self._signed_form(path, form)
                # Twilio tries once more, then the callback is lost (FACTS.md TW-30, TW-33).
                return await self._post(signed, faults) or await self._post(signed, faults)

        return sum(await asyncio.gather(*(post(path, form) for path, form in found)))

    async def post_mail(self, fields: Mapping[str, str], faults: FaultPlan) -> bool:
        """Post one inbound mail as SendGrid's Parse does."""
        boundary = letters(self._rng, 24)
        body = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
            + value.encode()
            + b"\r\n"
            for name, value in fields.items()
        )
        body += f"--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        headers = self._signature(self._credentials.parse_key, body) | {"Content-Type": kind}
        return await self._post(Post(PARSE_PATH, headers, body), faults)

    def event(
        self, mail: Mail, word: str, at: float, fields: Mapping[str, object]
    ) -> dict[str, Any]:
        """Write one SendGrid event; our custom argument stands at its top level (SG-29)."""
        return {
            "email": mail.to_address,
            "timestamp": int(at),
            "event": word,
            "category": list(mail.categories),
            "sg_event_id": letters(self._rng, 22),
            "sg_message_id": f"{mail.message_id}.recvd-stand-in-1.{mail.id}",
            "smtp-id": f"<{mail.message_id}@stand-in.example.com>",
            **({"wb_send_id": mail.send_id} if mail.send_id else {}),
            **fields,
        }

    def _signed_events(self, batch: list[dict[str, Any]]) -> Post:
        body = json.dumps(batch).encode() + b"\r\n"
        headers = self._signature(self._credentials.event_key, body)
        return Post(EVENTS_PATH, headers | {"Content-Type": "application/json"}, body)

    def _signature(self, key: EllipticCurvePrivateKey, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._clock.now().timestamp()))
        signature = key.sign(timestamp.encode() + body, ECDSA(SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
            "X-Twilio-Email-Event-Webhook-Signature": b64encode(signature).decode(),
        }

    def _signed_form(self, path: str, form: Mapping[str, str]) -> Post:
        public = self.receiver.public_url if self.receiver else ""
        signed = public + path + "".join(name + form[name] for name in sorted(form))
        digest = hmac(self._credentials.auth_token.encode(), signed.encode(), sha1).digest()
        headers = {
            "X-Twilio-Signature": b64encode(digest).decode(),
            "I-Twilio-Idempotency-Token": letters(self._rng, 22),
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        }
        return Post(path, headers, urlencode(form).encode())

    async def _post(self, post: Post, faults: FaultPlan) -> bool:
        if self.receiver is None:
            return False
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        is_taken = False
        for _ in range(2 if faults.duplicate_webhooks else 1):
            try:
                async with self._session.post(
                    self.receiver.url + post.path,
                    data=post.body,
                    headers=post.headers,
                    allow_redirects=False,
                ) as response:
                    is_taken = response.ok or is_taken
                    await response.read()
            except (aiohttp.ClientError, TimeoutError):
                continue
        return is_taken


def path_of(callback: str) -> str:
    """Give path and query of a callback URL, or the usual path where there is none."""
    parts = urlsplit(callback)
    if not parts.path:
        return STATUS_PATH
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
