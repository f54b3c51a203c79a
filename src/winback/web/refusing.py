"""One line in the log about the webhooks that were refused, however many there are (P11).

A provider that signs with another key than ours looks like a forger: the owner must learn of it.
A line tells the endpoint, what was wrong and how many; nothing that a caller wrote.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from winback.errors import CallbackRejected

logger = logging.getLogger(__name__)

AT_MOST_EVERY: Final = timedelta(minutes=1)
"""How often one endpoint is told of, so that a flood does not fill the disk."""
_KEYS: Final = {
    "/webhooks/sendgrid/events": "SENDGRID_WEBHOOK_KEYS",
    "/webhooks/sendgrid/inbound": "SENDGRID_PARSE_KEYS",
    "/webhooks/twilio/status": "TWILIO_AUTH_TOKEN and public_url",
    "/webhooks/twilio/inbound": "TWILIO_AUTH_TOKEN and public_url",
}


@dataclass(slots=True)
class Refusals:
    """The refusals of this process that no line told of yet; asked by the event loop only."""

    _told_at: dict[str, datetime] = field(default_factory=dict)
    _untold: dict[str, int] = field(default_factory=dict)

    def note(self, endpoint: str, refused: CallbackRejected, *, now: datetime) -> None:
        """Tell of a refusal, or count it until the endpoint's next line."""
        count = self._untold.get(endpoint, 0) + 1
        last = self._told_at.get(endpoint)
        if last is not None and last <= now < last + AT_MOST_EVERY:
            self._untold[endpoint] = count
            return
        self._told_at[endpoint] = now
        self._untold[endpoint] = 0
        logger.warning(
            "refused at %s, %d since the last such line: %s; if it was the provider, check %s",
            endpoint,
            count,
            refused.because,
            _KEYS.get(endpoint, "its key"),
        )
