"""Posts webhooks as the providers do: signed, batched, tried again; in the server's loop."""

import asyncio
from base64 import b64encode
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha1
from hmac import new as hmac
from random import Random
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from winback.clock import Clock
from winback.sandbox.credentials import Credentials, SigningKeys, letters
from winback.sandbox.faults import FaultPlan
from winback.sandbox.orders import MailNews

if TYPE_CHECKING:
    from winback.sandbox.posting import Poster

EVENTS_PATH: Final = "/webhooks/sendgrid/events"
PARSE_PATH: Final = "/webhooks/sendgrid/inbound"
STATUS_PATH: Final = "/webhooks/twilio/status"
TEXT_PATH: Final = "/webhooks/twilio/inbound"
_AT_ONCE: Final = 16


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

    def __init__(
        self, credentials: Credentials, keys: SigningKeys, *, clock: Clock, rng: Random
    ) -> None:
        self._token = credentials.auth_token.encode()
        self._keys = keys
        self._clock = clock
        self._rng = rng
        self._poster: Poster | None = None
        self._waiting: deque[list[dict[str, Any]]] = deque()
        self._lock = asyncio.Lock()
        self.receiver: Receiver | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._poster is not None:
            await self._poster.close()

    @property
    def waiting(self) -> int:
        """How many SendGrid events have yet to be taken."""
        return sum(map(len, self._waiting))

    async def post_events(self, events: Sequence[dict[str, Any]], plan: FaultPlan) -> int:
        """Post SendGrid events in batches, waiting ones first; gives how many were taken."""
        found = list(events)
        if self._happens(plan.reorder_webhooks):
            self._rng.shuffle(found)
        size = plan.webhook_batch
        self._waiting.extend(found[at : at + size] for at in range(0, len(found), size))
        taken = 0
        # One at a time: a batch that is on its way is nobody else's to post.
        async with self._lock:
            for batch in list(self._waiting):
                if await self._post_batch(batch, plan):
                    taken += len(batch)
                    # Only now: what is on its way still waits.
                    self._waiting.remove(batch)
        return taken

    async def post_forms(
        self, forms: Sequence[tuple[str, Mapping[str, str]]], plan: FaultPlan
    ) -> int:
        """Post Twilio forms, (path, form) each, tried twice; gives how many were taken."""
        found = list(forms)
        if self._happens(plan.reorder_webhooks):
            self._rng.shuffle(found)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def post(path: str, form: Mapping[str, str]) -> bool:
            if self._happens(plan.lose_webhooks):
                return False
            async with gate:
                signed = self._signed_form(path, form)
                # Twilio tries once more, then the callback is lost (FACTS.md TW-30, TW-33).
                return await self._post(signed, plan) or await self._post(signed, plan)

        return sum(await asyncio.gather(*(post(path, form) for path, form in found)))

    async def post_mail(self, fields: Mapping[str, str], plan: FaultPlan) -> bool:
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
        headers = self._signature(self._keys.parse_key, body) | {"Content-Type": kind}
        return await self._post(Post(PARSE_PATH, headers, body), plan)

    def event(self, news: MailNews, plan: FaultPlan) -> dict[str, Any]:
        """Write one SendGrid event; custom arguments stand at its top level (SG-29)."""
        at = news.at
        if plan.skew_seconds:
            at += self._rng.uniform(-plan.skew_seconds, plan.skew_seconds)
        return {
            "email": news.to_address,
            "timestamp": int(at),
            "event": news.event,
            "category": list(news.categories),
            "sg_event_id": letters(self._rng, 22),
            "sg_message_id": news.full_id,
            "smtp-id": f"<{news.message_id}@stand-in.example.com>",
            **news.arguments,
            **news.fields,
        }

    async def _post_batch(self, batch: list[dict[str, Any]], plan: FaultPlan) -> bool:
        body = orjson.dumps(batch) + b"\r\n"
        # Signed at each try: an old signature would be refused (SG-27).
        headers = self._signature(self._keys.event_key, body)
        post = Post(EVENTS_PATH, headers | {"Content-Type": "application/json"}, body)
        return await self._post(post, plan)

    def _happens(self, share: float) -> bool:
        return share > 0 and self._rng.random() < share

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
        digest = hmac(self._token, signed.encode(), sha1).digest()
        headers = {
            "X-Twilio-Signature": b64encode(digest).decode(),
            "I-Twilio-Idempotency-Token": letters(self._rng, 22),
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        }
        return Post(path, headers, urlencode(form).encode())

    async def _post(self, post: Post, plan: FaultPlan) -> bool:
        if self.receiver is None:
            return False
        url, poster = self.receiver.url + post.path, self._opened()
        if self._happens(plan.forge_webhooks):
            await poster.post(url, _forged(post).headers, post.body)
        is_taken = await poster.post(url, post.headers, post.body)
        if self._happens(plan.duplicate_webhooks):
            is_taken = await poster.post(url, post.headers, post.body) or is_taken
        return is_taken

    def _opened(self) -> "Poster":
        if self._poster is None:
            from winback.sandbox.posting import Poster  # noqa: PLC0415 - loaded when used

            self._poster = Poster()
        return self._poster


def _forged(post: Post) -> Post:
    """Give the same with a signature of nothing: right in its form, wrong in its value."""
    headers = {
        name: b64encode(b"nobody signed this").decode() if name.endswith("Signature") else value
        for name, value in post.headers.items()
    }
    return replace(post, headers=headers)


def path_of(callback: str) -> str:
    """Give path and query of a callback URL, or the usual path where there is none."""
    parts = urlsplit(callback)
    if not parts.path:
        return STATUS_PATH
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
