"""What Twilio's error codes mean for us: data, since Twilio may change their meaning.

FACTS.md TW-17. A code that is not listed stops that one message, suppresses nobody, and is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from winback.providers.outgoing import Scope
from winback.states import SuppressionReason


@dataclass(frozen=True, slots=True)
class TwilioCode:
    """One row of the table.

    ``scope`` says whose fault a refusal at the call is; None means that it passes by itself: try
    again, after ``wait_seconds`` where known. ``suppression`` is what a later status with this
    code says about the number; ``may_be_a_no`` that it says so perhaps only, and a person must
    look. ``alerts`` asks for the owner's attention.
    """

    meaning: str
    scope: Scope | None = "message"
    wait_seconds: float | None = None
    suppression: SuppressionReason | None = None
    may_be_a_no: bool = False
    alerts: bool = False


UNLISTED: Final = TwilioCode("unlisted code", alerts=True)

_INVALID = SuppressionReason.INVALID

CODES: Final[Mapping[int, TwilioCode]] = {
    20003: TwilioCode("authentication refused", "channel", alerts=True),
    20404: TwilioCode("account or resource not found", "channel", alerts=True),
    20429: TwilioCode("too many requests at once", None),
    21211: TwilioCode("the number is invalid", "address_invalid", suppression=_INVALID),
    21212: TwilioCode("the sender is invalid", "channel", alerts=True),
    21408: TwilioCode("texts to that country are not permitted", "country", alerts=True),
    # 21212, 21603, 21606, 21609, 21659 to 21661, 21701, 21703 to 21705 are not in FACTS.md: read
    # in Twilio's error list, never run.
    21603: TwilioCode("no sender is given", "channel", alerts=True),
    21606: TwilioCode("the sender cannot send texts", "channel", alerts=True),
    21608: TwilioCode("trial account, recipient not verified", "channel", alerts=True),
    21609: TwilioCode("the callback's URL is invalid", "channel", alerts=True),
    21610: TwilioCode(
        "the recipient opted out", "recipient_opted_out", suppression=SuppressionReason.STOPPED
    ),
    21611: TwilioCode("the sender's queue is full", None),
    21612: TwilioCode("no route to the number", "address_invalid", suppression=_INVALID),
    21614: TwilioCode("not a mobile number", "address_invalid", suppression=_INVALID),
    21635: TwilioCode("a landline", "address_invalid", suppression=_INVALID),
    21659: TwilioCode("the sender is no number of Twilio's", "channel", alerts=True),
    21660: TwilioCode("the sender is no number of the account", "channel", alerts=True),
    21661: TwilioCode("the sender cannot send texts", "channel", alerts=True),
    21701: TwilioCode("the messaging service does not exist", "channel", alerts=True),
    21703: TwilioCode("the messaging service has no sender to use", "channel", alerts=True),
    21704: TwilioCode("the messaging service has no sender", "channel", alerts=True),
    21705: TwilioCode("the messaging service is invalid", "channel", alerts=True),
    30001: TwilioCode("queue overflow", None),
    30002: TwilioCode("account suspended", "channel", alerts=True),
    # P1 binds: after an acceptance nothing is tried again, so these only end the message.
    30003: TwilioCode("handset unreachable"),
    30004: TwilioCode("blocked, perhaps an opt-out", may_be_a_no=True, alerts=True),
    30005: TwilioCode("unknown handset", "address_invalid", suppression=_INVALID),
    30006: TwilioCode("landline or unreachable carrier"),
    30007: TwilioCode("filtered by the carrier", alerts=True),
    30008: TwilioCode("unknown error"),
    30032: TwilioCode("toll-free number not verified", "channel", alerts=True),
    # Only texts to the US are blocked, so only they wait; also as a later status.
    30034: TwilioCode("number not registered for US texts", "sender_in_country", alerts=True),
    30036: TwilioCode("validity period over before it was sent"),
    30450: TwilioCode("held by pumping protection", None, wait_seconds=30 * 60),
    30453: TwilioCode("held by pumping protection", None, wait_seconds=4 * 3600),
}


def look_up(code: int | None) -> TwilioCode:
    """Give the row of a code; a code that is unknown or missing gives the safe default."""
    return CODES.get(code, UNLISTED) if code is not None else UNLISTED
