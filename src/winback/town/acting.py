"""Let the townspeople act on what reached them, over the same roads as real people.

Providers' events come in signed batches from the stand-ins; taps and one-click unsubscribes are
requests to the public pages; replies and texts come back through the stand-ins.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

import aiohttp

from winback.clock import local_date
from winback.sandbox.record import Mail, Text
from winback.sandbox.stand_ins import MailEvent, Sandbox, TextEvent
from winback.states import Reason
from winback.town.people import (
    Reaction,
    Temperament,
    react_to_mail,
    react_to_text,
    temperament_of,
)
from winback.town.shop import Shop

_CODE: Final = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{5}\b")
_WHY: Final = re.compile(r"/why/[\w.~-]*[\w~-]")
_SHORT: Final = re.compile(r"/l/[\w-]+")
_ONE_CLICK: Final = re.compile(r"<(https?://[^>]+)>")
_BROWSER: Final = "Mozilla/4.0 (compatible; MSIE 4.01; Windows 95)"
_HARD_BOUNCE: Final = {
    "type": "bounce",
    "status": "5.1.1",
    "reason": "550 5.1.1 The account does not exist",
    "bounce_classification": "Invalid Address",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a customer to a public page."""

    method: str
    path: str
    form: dict[str, str] | None = None


@dataclass(slots=True)
class Deeds:
    """What the people of one evening do."""

    events: list[MailEvent] = field(default_factory=list)
    statuses: list[TextEvent] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    mails: list[tuple[Mail, str]] = field(default_factory=list)
    texts: list[tuple[Text, str]] = field(default_factory=list)


class People:
    """The townspeople: remembers who was reached how often, and how far the record was read."""

    def __init__(self, sandbox: Sandbox, shop: Shop, *, seed: int, receiver_url: str) -> None:
        self._sandbox = sandbox
        self._shop = shop
        self._seed = seed
        self._receiver = receiver_url.rstrip("/")
        self._customers: dict[str, Temperament] = {}
        self._reached: Counter[str] = Counter()
        self._texted: Counter[str] = Counter()
        self._read_mails = self._read_texts = 0

    async def act(self, now: datetime) -> int:
        """Act on everything accepted since the last time; gives how many messages that were."""
        mails, texts = await asyncio.to_thread(self._unread)
        deeds = Deeds()
        for mail in mails:
            self._receive_mail(mail, deeds, now)
        for text in texts:
            self._receive_text(text, deeds, now)
        await asyncio.to_thread(self._report, deeds)
        await self._visit(deeds.visits)
        await asyncio.to_thread(self._write_back, deeds)
        return len(mails) + len(texts)

    def _unread(self) -> tuple[list[Mail], list[Text]]:
        mails = self._sandbox.record.mails(self._read_mails)
        texts = self._sandbox.record.texts(self._read_texts)
        self._read_mails = mails[-1].id if mails else self._read_mails
        self._read_texts = texts[-1].id if texts else self._read_texts
        return mails, texts

    def _who(self, customer: str) -> Temperament:
        if customer not in self._customers:
            self._customers[customer] = temperament_of(self._seed, customer)
        return self._customers[customer]

    def _receive_mail(self, mail: Mail, deeds: Deeds, now: datetime) -> None:
        customer = mail.to_address.split("@")[0].rsplit(".", 1)[-1]
        who = self._who(customer)
        self._reached[customer] += not who.is_bouncing
        why = _WHY.search(mail.text) or _WHY.search(mail.html)
        reaction = react_to_mail(
            self._seed,
            customer,
            step=mail.categories[-1] if mail.categories else mail.subject,
            number=self._reached[customer],
            who=who,
            has_reasons=why is not None,
        )
        deeds.events += self._events_of(mail, reaction, now)
        if reaction.reason is not None and why is not None:
            deeds.visits.append(
                Visit("POST", why[0], _reason_form(reaction.reason, self._today(now)))
            )
        if reaction.reply is not None:
            deeds.mails.append((mail, reaction.reply))
        one_click = _ONE_CLICK.search(mail.headers.get("List-Unsubscribe", ""))
        if reaction.says_no and one_click is not None:
            form = {"List-Unsubscribe": "One-Click"}
            deeds.visits.append(Visit("POST", _path_of(one_click[1]), form))
        self._come_back(customer, mail.text, reaction, now)

    def _receive_text(self, text: Text, deeds: Deeds, now: datetime) -> None:
        customer = text.to_number[-4:]
        self._reached[customer] += 1
        self._texted[customer] += 1
        reaction = react_to_text(
            self._seed,
            customer,
            which=self._texted[customer],
            number=self._reached[customer],
            who=self._who(customer),
        )
        deeds.statuses.append(TextEvent(text.sid, "delivered"))
        link = _SHORT.search(text.body)
        if reaction.clicks and link is not None:
            deeds.visits.append(Visit("GET", link[0]))
        if reaction.reply is not None:
            deeds.texts.append((text, reaction.reply))
        self._come_back(customer, text.body, reaction, now)

    def _events_of(self, mail: Mail, reaction: Reaction, now: datetime) -> Sequence[MailEvent]:
        """Give what the provider reports of one mail, at likely times up to now."""

        def event(
            word: str, *, after: timedelta, fields: dict[str, object] | None = None
        ) -> MailEvent:
            return MailEvent(mail, word, min(mail.at + after, now), fields or {})

        if reaction.bounces:
            return [event("bounce", after=timedelta(minutes=1), fields=dict(_HARD_BOUNCE))]
        agent: dict[str, object] = {"useragent": _BROWSER}
        # "processed" is left out, as owners may: it says what the answer of the send had said.
        found = [event("delivered", after=timedelta(seconds=20))]
        if reaction.opens_by_machine:
            machine: dict[str, object] = {"sg_machine_open": True}
            found.append(event("open", after=timedelta(minutes=1), fields=machine))
        if reaction.opens:
            found.append(event("open", after=timedelta(hours=3), fields=agent))
        if reaction.clicks:
            url: dict[str, object] = {"url": "https://lanterndiscs.example.com"}
            found.append(event("click", after=timedelta(hours=3, minutes=1), fields=agent | url))
        if reaction.complains:
            found.append(event("spamreport", after=timedelta(hours=4)))
        return found

    def _come_back(self, customer: str, body: str, reaction: Reaction, now: datetime) -> None:
        if reaction.comes_back_in is None:
            return
        code = _CODE.search(body) if reaction.uses_voucher else None
        day = self._today(now) + timedelta(days=reaction.comes_back_in)
        self._shop.sell(customer, day, code[0] if code else "")

    def _today(self, now: datetime) -> date:
        return local_date(now, self._shop.zone)

    def _report(self, deeds: Deeds) -> None:
        if deeds.events:
            self._sandbox.report(deeds.events)
        # Many at once: of each text there is one status, so their order says nothing.
        self._sandbox.report_texts(deeds.statuses)

    def _write_back(self, deeds: Deeds) -> None:
        for mail, words in deeds.mails:
            self._sandbox.mail_back(
                to=mail.reply_to,
                from_address=mail.to_address,
                subject=f"Re: {mail.subject}",
                text=words,
            )
        for text, words in deeds.texts:
            self._sandbox.text_back(text.to_number, words)

    async def _visit(self, visits: Sequence[Visit]) -> None:
        if not visits:
            return
        async with aiohttp.ClientSession(headers={"User-Agent": _BROWSER}) as browser:
            for visit in visits:
                url = self._receiver + visit.path
                async with browser.request(
                    visit.method, url, data=visit.form, allow_redirects=False
                ) as answer:
                    await answer.read()


def _reason_form(reason: Reason, today: date) -> dict[str, str]:
    form = {"reason": reason.value}
    if reason is Reason.NOT_NOW:
        later = (today.replace(day=1) + timedelta(days=70)).replace(day=1)
        form["month"] = f"{later:%Y-%m}"
    return form


def _path_of(url: str) -> str:
    return "/" + url.split("://", 1)[1].split("/", 1)[1]
