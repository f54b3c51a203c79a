"""What the web tests share: an app whose webhooks the test can sign."""

import base64
import warnings
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI

from tests.delivery.shop import SECRET
from tests.responses.ears import Ears
from winback.business import Business
from winback.clock import SetClock
from winback.messages.tokens import Purpose, make_token
from winback.providers.signatures import sign_twilio
from winback.web.app import WebhookKeys, make_app

with warnings.catch_warnings():
    # Starlette would rather have a package that our Prefect does not bring.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

__all__ = ["PUBLIC", "TOKEN", "Served", "TestClient", "serve"]

TOKEN = "a-twilio-token"
PUBLIC = "https://win.example.com"


@dataclass(slots=True)
class Served:
    """The shop, its clock, its app, and the private half of its webhook key."""

    shop: Ears
    clock: SetClock
    app: FastAPI
    key: ec.EllipticCurvePrivateKey
    _seen: dict[str, Any] = field(default_factory=dict)

    def token(self, purpose: Purpose, message_id: int) -> str:
        """Give the token of a page."""
        return make_token(SECRET, purpose, message_id)

    def signed(self, body: bytes) -> dict[str, str]:
        """Give the headers by which SendGrid signs a body."""
        timestamp = str(int(self.clock.now().timestamp()))
        signature = self.key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }

    def texted(self, path: str, form: dict[str, str]) -> dict[str, str]:
        """Give the headers by which Twilio signs a form."""
        return {"X-Twilio-Signature": sign_twilio(f"{PUBLIC}{path}", form.items(), token=TOKEN)}

    def tick(self) -> None:
        """Let the clock show the shop's instant."""
        self.clock.instant = self.shop.now


def serve(business: Business) -> Served:
    """Serve a business."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    written = base64.b64encode(public).decode()
    shop = Ears(business)
    clock = SetClock(shop.now)
    app = make_app(
        business,
        webhook_keys=WebhookKeys((written,), (written,), (TOKEN,)),
        clock=clock,
        public_url=PUBLIC,
    )
    return Served(shop, clock, app, key)
