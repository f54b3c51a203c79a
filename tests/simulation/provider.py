"""A provider of the simulated town: keeps its own record, and fails as a seed says.

It is both a way out and a look-up, and knows nothing of winback's tables: what it accepted is
what promises are judged by (FACTS.md DS-22). A mail is looked up by its send id, as SendGrid's
logs allow; a text by what stands in it, through our own reading of Twilio's list.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

from tests.simulation.listing import FINAL_WORDS, Listing
from winback.providers.incoming import (
    RawEvent,
    split_sendgrid_events,
    split_sendgrid_inbound,
    split_twilio_inbound,
    split_twilio_status,
)
from winback.providers.lookups import CannotTell, Found, LookedUp, NotThere, Sought
from winback.providers.outgoing import (
    Accepted,
    Busy,
    Outgoing,
    OutgoingEmail,
    OutgoingText,
    Refused,
    Result,
    Unclear,
)
from winback.providers.twilio_list import TwilioList
from winback.states import Channel, EventKind

STATUS_URL = "https://win.example.com/webhooks/twilio/status"


LOST_REPLY = Unclear("the connection was lost after the request was written")
FAULTS: tuple[Result, ...] = (
    LOST_REPLY,
    Unclear("500 without a word"),
    Busy(60, "429"),
    Busy(None, "429"),
    Refused("400", "the body is not understood", "message"),
    Refused("21211", "no such address", "address_invalid"),
    Refused("401", "the key is revoked", "channel"),
)
WEIGHTS = (4, 2, 1, 1, 1, 1, 1)
UNCLEAR_ONLY = (1, 1, 0, 0, 0, 0, 0)
"""Weights with which every fault leaves in doubt: of a half nobody was written to."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One message that a provider accepted."""

    number: int
    send_id: str
    provider_message_id: str
    channel: Channel
    address: str
    body: str
    at: datetime
    valid_for: timedelta
    """How long it may wait at the provider before it leaves."""
    reply_to: str = ""
    """Where an answer by mail goes."""


@dataclass(slots=True)
class Provider:
    """One channel's provider; ``ask`` is called first with every message, before any fault."""

    channel: Channel
    rng: Random
    now: Callable[[], datetime]
    ask: Callable[[Outgoing], Result | None]
    """Asked first at each call; what it gives is the answer, and nothing was taken."""
    faults: float = 0.08
    """Share of calls at which something goes wrong."""
    away: float = 0.08
    """Share of questions to which there is no answer, and of news that lacks our send id."""
    weights: tuple[int, ...] = WEIGHTS
    """How often each of the faults is drawn."""
    taken: list[Taken] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)
    """Numbers whose owners told the provider STOP: it refuses them by itself (21610)."""
    _status: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """The latest word on each text, and the code of an error."""
    _list: TwilioList = field(init=False)

    def __post_init__(self) -> None:
        """Open the list of texts."""
        listing = Listing(
            self.taken, lambda sid: self._status.get(sid, ("accepted", None)), self._is_away
        )
        self._list = TwilioList(f"AC{0:032}", "a-token", transport=listing)

    @property
    def name(self) -> str:
        """Name the provider as the real one is named."""
        return "twilio" if self.channel is Channel.SMS else "sendgrid"

    async def send(self, message: Outgoing) -> Result:
        """Accept, refuse, or leave in doubt."""
        if (answer := self.ask(message)) is not None:
            return answer
        if _address(message) in self.stopped:
            return Refused("21610", "the recipient opted out", "recipient_opted_out")
        if self.rng.random() >= self.faults:
            return Accepted(self._take(message).provider_message_id)
        fault = self.rng.choices(FAULTS, self.weights)[0]
        if fault is LOST_REPLY:
            self._take(message)
        return fault

    async def find(self, sought: Sought, *, now: datetime) -> LookedUp:
        """Answer a look-up from the record, now and then not at all."""
        if self.channel is Channel.SMS:
            return await self._list.find(sought, now=now)
        if self._is_away():
            return CannotTell("the logs are away", is_passing=self.rng.random() < 0.5)
        for one in self.taken:
            if one.send_id == sought.send_id:
                kind = EventKind.ACCEPTED
                return Found(one.provider_message_id, one.at, kind, one.at)
        return NotThere("the list covers the time and does not have it")

    def _is_away(self) -> bool:
        return self.rng.random() < self.away

    async def close(self) -> None:
        """Close nothing."""

    def _take(self, message: Outgoing) -> Taken:
        number = len(self.taken) + 1
        is_text = isinstance(message, OutgoingText)
        taken = Taken(
            number,
            message.send_id,
            f"SM{number:032x}" if is_text else f"m{number}-{message.send_id[:8]}",
            self.channel,
            _address(message),
            message.body if isinstance(message, OutgoingText) else message.text,
            self.now(),
            timedelta(seconds=message.valid_for_seconds)
            if isinstance(message, OutgoingText)
            else timedelta(0),
            (message.reply_to or "") if isinstance(message, OutgoingEmail) else "",
        )
        self.taken.append(taken)
        return taken

    def report(self, one: Taken, word: str, at: datetime, **fields: Any) -> list[RawEvent]:
        """Give the webhook's records of one piece of news, in this provider's own words."""
        if self.channel is Channel.SMS:
            self._note(one, word, fields.get("ErrorCode"))
            form = {"MessageSid": one.provider_message_id, "MessageStatus": word, "To": one.address}
            url = f"{STATUS_URL}?{urlencode({'send_id': one.send_id})}"
            return split_twilio_status(urlencode(form | fields).encode(), url=url)
        body = {
            "event": word,
            "sg_event_id": f"{one.number}-{word}",
            "sg_message_id": f"{one.provider_message_id}.recvd-1.2",
            "email": one.address,
            "timestamp": int(at.timestamp()),
        }
        # Now and then the custom arguments are missing, and only the message id tells (SG-29).
        if self.rng.random() > self.away:
            body["wb_send_id"] = one.send_id
        return split_sendgrid_events(json.dumps([body | fields]).encode())

    def _note(self, one: Taken, word: str, error: str | None) -> None:
        """Show in the list what the webhook tells; a text is delivered, or not, only once."""
        before, _ = self._status.get(one.provider_message_id, ("", None))
        if before not in FINAL_WORDS:
            self._status[one.provider_message_id] = (word, error)


def text_back(number: str, body: str, *, sid: int, opt_out: str = "") -> list[RawEvent]:
    """Give the record of a text that a person wrote; ``opt_out`` is what Twilio took it for."""
    form = {"MessageSid": f"SMin{sid:030x}", "From": number, "Body": body}
    if opt_out:
        form["OptOutType"] = opt_out
    return split_twilio_inbound(urlencode(form).encode())


def mail_back(one: Taken, words: str, *, number: int) -> list[RawEvent]:
    """Give the record of a mail that a person wrote in answer to one."""
    fields = {
        "from": one.address,
        "to": one.reply_to,
        "subject": f"Re: {number}",
        "text": words,
        "headers": f"From: {one.address}\n",
        "envelope": json.dumps({"to": [one.reply_to], "from": one.address}),
    }
    parts = (
        f'--mail\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{said}\r\n'
        for name, said in fields.items()
    )
    body = "".join(parts) + "--mail--\r\n"
    return split_sendgrid_inbound(body.encode(), content_type="multipart/form-data; boundary=mail")


def _address(message: Outgoing) -> str:
    return message.to_address if isinstance(message, OutgoingEmail) else message.to_number
