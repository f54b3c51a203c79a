"""A receiver of webhooks that does what the product does with them, and keeps the result."""

from typing import Final

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from winback.clock import Clock
from winback.errors import CallbackRejected
from winback.providers.incoming import (
    ProviderEvent,
    RawEvent,
    read_event,
    split_sendgrid_events,
    split_sendgrid_inbound,
    split_twilio_inbound,
    split_twilio_status,
)
from winback.providers.signatures import verify_sendgrid, verify_twilio
from winback.sandbox.credentials import Credentials

PUBLIC_URL: Final = "https://win.example.com"


class KeepingReceiver:
    """Verifies with the stand-ins' public keys, splits, and keeps; ``fails`` answers 500."""

    def __init__(self, credentials: Credentials, clock: Clock) -> None:
        self._credentials = credentials
        self._clock = clock
        self.raws: list[RawEvent] = []
        self.fails = False
        self.posts = self.refused = 0

    @property
    def events(self) -> list[ProviderEvent]:
        """Give what was received, read."""
        return [read_event(raw.origin, raw.body) for raw in self.raws]

    def listen(self, server: HTTPServer) -> None:
        """Take the four webhooks."""
        for path in ("sendgrid/events", "sendgrid/inbound", "twilio/status", "twilio/inbound"):
            server.expect_request(f"/webhooks/{path}", method="POST").respond_with_handler(
                self._take
            )

    def _take(self, request: Request) -> Response:
        self.posts += 1
        if self.fails:
            return Response(status=500)
        try:
            self.raws += self._verified(request)
        except CallbackRejected:
            self.refused += 1
            return Response(status=403)
        return Response(status=204)

    def _verified(self, request: Request) -> list[RawEvent]:
        body, headers = request.get_data(), dict(request.headers)
        url = PUBLIC_URL + request.full_path.rstrip("?")
        if "/twilio/" in request.path:
            verify_twilio(headers, body, url=url, tokens=[self._credentials.auth_token])
            if request.path.endswith("status"):
                return split_twilio_status(body, url=url)
            return split_twilio_inbound(body)
        is_mail = request.path.endswith("inbound")
        key = self._credentials.parse_webhook_key if is_mail else self._credentials.webhook_key
        verify_sendgrid(headers, body, keys=[key], now=self._clock.now())
        if is_mail:
            return split_sendgrid_inbound(body, content_type=headers["Content-Type"])
        return split_sendgrid_events(body)
