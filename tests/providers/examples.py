"""One mail and one text that tests vary."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from winback.clock import SetClock
from winback.providers.outgoing import OutgoingEmail, OutgoingText

CLOCK: Final = SetClock(datetime(2026, 3, 2, 10, 0, tzinfo=UTC))
API_KEY: Final = "SG." + "k" * 22 + "." + "s" * 43
ACCOUNT: Final = "AC" + "0a" * 16
TOKEN: Final = "f" * 32
SERVICE: Final = "MG" + "0" * 32

MAIL: Final = OutgoingEmail(
    send_id="send-1",
    to_address="mary@example.com",
    to_name="Mary, Ann",
    from_name="Anna at Olive & Oak",
    from_address="anna@example.com",
    reply_to="reply+abc@reply.example.com",
    subject="How are you?",
    html="<p>Dear Mary</p>",
    text="Dear Mary",
    headers={
        "List-Unsubscribe": "<https://win.example.com/u/T>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    },
    categories=("six-month", "concern"),
)

TEXT: Final = OutgoingText(
    send_id="send-2",
    to_number="+12015550123",
    body="Olive & Oak: we miss you. STOP to end",
    messaging_service=SERVICE,
    status_callback="https://win.example.com/webhooks/twilio/status",
    valid_for_seconds=3600,
)


def mail(**changes: Any) -> OutgoingEmail:
    """Give the mail with changes."""
    return replace(MAIL, **changes)


def text(**changes: Any) -> OutgoingText:
    """Give the text with changes."""
    return replace(TEXT, **changes)
