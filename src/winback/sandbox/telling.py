"""Lets providers and people speak: events, status callbacks, mails and texts that come back."""

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from winback.clock import Clock
from winback.sandbox import text_desk
from winback.sandbox.credentials import Credentials, hexadecimal, letters
from winback.sandbox.faults import FaultPlan
from winback.sandbox.orders import MailBack, MailNews, TextBack, TextEvent
from winback.sandbox.record import Record, Text
from winback.sandbox.webhooks import TEXT_PATH, Courier, path_of

_API: Final = "2010-04-01"


class Teller:
    """Writes what is to be told, notes it in the record, and hands it to the courier."""

    def __init__(
        self,
        record: Record,
        courier: Courier,
        credentials: Credentials,
        *,
        clock: Clock,
        rng: Random,
        has_advanced_opt_out: bool,
    ) -> None:
        self._record = record
        self._courier = courier
        self._account_sid = credentials.account_sid
        self._clock = clock
        self._rng = rng
        self._has_advanced_opt_out = has_advanced_opt_out
        self.plan = FaultPlan()

    @property
    def waiting(self) -> int:
        """How many SendGrid events were posted and not taken."""
        return self._courier.waiting

    async def report(self, news: Sequence[MailNews]) -> int:
        """Post SendGrid events, those that wait first; gives how many were taken."""
        written = [self._courier.event(one, self.plan) for one in news]
        self._record.add_events(
            (one.mail_id, said) for one, said in zip(news, written, strict=True)
        )
        taken = await self._courier.post_events(written, self.plan)
        # After the post: killed in between, they are reported again, which does no harm.
        self._record.mark_told({one.mail_id for one in news})
        return taken

    async def report_texts(self, events: Sequence[TextEvent]) -> int:
        """Post status callbacks; gives how many were taken. Raises ValueError for a wrong sid."""
        forms: list[tuple[str, Mapping[str, str]]] = []
        for one in events:
            text = self._record.text(one.sid)
            if text is None:
                raise ValueError("no text with that sid was accepted")
            forms.append((path_of(text.callback), self._status_form(text, one)))
        self._record.set_statuses((one.sid, one.status, one.error_code) for one in events)
        return await self._courier.post_forms(forms, self.plan)

    async def text_back(self, said: TextBack) -> int:
        """Let a person text us; gives 1 when the webhook was taken, 0 when not."""
        word = text_desk.keyword(said.body)
        if word in {"STOP", "START"}:
            now = self._clock.now()
            self._record.set_stopped(said.number, now, is_stopped=word == "STOP")
        earlier = self._record.texts_to(said.number)
        sid = "SM" + hexadecimal(self._rng, 32)
        form = {
            "ToCountry": "US",
            "MessageSid": sid,
            "SmsSid": sid,
            "SmsMessageSid": sid,
            "SmsStatus": "received",
            "AccountSid": self._account_sid,
            "MessagingServiceSid": said.service or (earlier[-1].service if earlier else ""),
            "From": said.number,
            "To": text_desk.SENDER_NUMBER,
            "Body": said.body,
            "NumMedia": "0",
            "NumSegments": "1",
            "ApiVersion": _API,
        }
        if word is not None and self._has_advanced_opt_out:
            form["OptOutType"] = word
        return await self._courier.post_forms([(TEXT_PATH, form)], self.plan)

    async def mail_back(self, said: MailBack) -> int:
        """Let a person mail us, as an Inbound Parse post; gives 1 when it was taken."""
        written = {
            "From": said.from_address,
            "To": said.to,
            "Subject": said.subject,
            "Message-ID": f"<{letters(self._rng, 22)}@stand-in.example.com>",
            **said.headers,
        }
        fields = {
            "headers": "".join(f"{name}: {value}\n" for name, value in written.items()),
            "from": said.from_address,
            "to": said.to,
            "subject": said.subject,
            "text": said.text,
            "envelope": json.dumps({"to": [said.to], "from": said.envelope_from}),
            "charsets": json.dumps(dict.fromkeys(("to", "from", "subject", "text"), "UTF-8")),
            "attachments": "0",
            "spam_score": "0.1",
        }
        return int(await self._courier.post_mail(fields, self.plan))

    def _status_form(self, text: Text, event: TextEvent) -> dict[str, str]:
        form = {
            "MessageSid": text.sid,
            "SmsSid": text.sid,
            "MessageStatus": event.status,
            "SmsStatus": event.status,
            "AccountSid": self._account_sid,
            "MessagingServiceSid": text.service,
            "From": text_desk.SENDER_NUMBER,
            "To": text.to_number,
            "ApiVersion": _API,
        }
        if event.error_code is not None:
            form["ErrorCode"] = str(event.error_code)
        return form
