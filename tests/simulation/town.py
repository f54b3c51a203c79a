"""A small town, its shop, and a year that one seed decides: who buys, answers, moves, says no."""

import asyncio
import csv
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from tests.simulation.dying import Died, Fate, watched
from tests.simulation.provider import Provider, Taken, mail_back, text_back
from tests.simulation.record import Fact, Halt, Record, Road, What
from winback import day
from winback.business import Business
from winback.campaign.loading import load_campaigns, load_facts
from winback.clock import SetClock
from winback.customers.privacy import erase_customer
from winback.database.tables import Enrollment, Installation, Message, SourceCustomer, Voucher
from winback.day import Day
from winback.delivery.settling import Verdict, settle_by_hand
from winback.enrollment.pausing import OPERATOR, PauseScope, pause, resume
from winback.environment import Environment
from winback.messages.shelf import load_shelf
from winback.providers.incoming import RawEvent
from winback.providers.outgoing import Outgoing, Result
from winback.responses.storing import StoredPage, store_events, store_page
from winback.settings import load_settings
from winback.states import Channel, EventKind, MessageState

REPOSITORY: Final = Path(__file__).parent.parent.parent
FIRST_DAY: Final = date(2026, 1, 5)
SECRET: Final = "a-secret-of-the-town"
PLACES: Final = (
    ("GB", "Europe/London", "+4479111{:05d}"),
    ("US", "America/New_York", "+1212555{:04d}"),
    ("US", "", "+1808555{:04d}"),
    ("AU", "Australia/Sydney", "+6141234{:04d}"),
)
SOURCE: Final = """\
  {name}:
    kind: files
    customers:
      path: data/{name}-customers.csv
      sms_consent_is: written
      columns: {{external_id: id, given_name: first, email: email, phone: phone, country: country,
        time_zone: zone, email_consent: mail, sms_consent: text}}
    purchases:
      path: data/{name}-orders.csv
      columns: {{external_id: id, customer: customer, purchased_at: at, amount: amount,
        voucher: code}}
"""
CUSTOMER: Final = ("id", "first", "email", "phone", "country", "zone", "mail", "text")
ORDER: Final = ("id", "customer", "at", "amount", "code")
MISHAPS: Final = 0.08
"""Share of days with something unusual: downtime, a pause, an erasure, a merge."""
SHOP_IDS: Final = 900
"""Added to the till's number of a person, it is the web shop's."""
NOS: Final = ("STOP", "please stop texting me", "no mas")
REPLIES: Final = ("Thanks! Are you open on Sunday?", "I have moved on to tea, sorry. Is Anna well?")
KEYWORD: Final = "BASTA YA"
"""Words of the shop's own that the text provider takes for STOP, and says so (TW-21)."""


@dataclass(slots=True)
class Person:
    """One buyer, as one source knows them; ``number`` is that source's id."""

    number: int
    country: str
    zone: str
    phone: str
    lapsed_on: date
    source: str = "till"
    same_as: "Person | None" = None
    """The person at the till whose account in the web shop this is."""
    consents: dict[Channel, bool] = field(default_factory=dict)
    """What the source's file says last; empty: it has no row yet."""
    is_listed: bool = False
    """Whether a file ever told their own number: else nobody knows whose it is."""
    has_said_no: bool = False
    """From that number, before it was listed."""

    @property
    def email(self) -> str:
        """The address."""
        return f"p{self.number}@example.com"


@dataclass(slots=True)
class Town:
    """The shop's business, its two providers, and what is still to come."""

    seed: int
    home: Path
    engine: Engine
    people: int = 36
    accounts: int = 8
    """So many of these are the web shop's accounts of persons whom the till knows as others."""
    lapses_within: int = 250
    """Days from the first on in which they lapse."""
    rng: Random = field(init=False)
    clock: SetClock = field(init=False)
    business: Business = field(init=False)
    providers: dict[Channel, Provider] = field(init=False)
    fate: Fate = field(init=False)
    persons: list[Person] = field(init=False)
    on_call: Callable[[Outgoing], Result | None] = field(default=lambda _message: None)
    """Asked at each call; gives what the provider answers, None: what chance says."""
    record: Record = field(default_factory=Record)
    """What is true of these people, whatever our rows say."""
    run_began: datetime = field(init=False)
    meanwhile: Random = field(init=False)
    """Decides what happens while a call is on its way."""
    told: list[str] = field(default_factory=list)
    """What happened, for whoever replays a seed."""
    _coming: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _order: int = 0
    _heard: dict[Channel, int] = field(default_factory=lambda: {Channel.EMAIL: 0, Channel.SMS: 0})

    def __post_init__(self) -> None:
        """Found the shop: its files, its people with their past, its two providers."""
        self.rng = Random(self.seed)  # noqa: S311 - replays
        self.fate = Fate(Random(f"fate {self.seed}"))  # noqa: S311 - replays
        self.meanwhile = Random(f"meanwhile {self.seed}")  # noqa: S311 - replays
        self.clock = SetClock(self.at(FIRST_DAY, 10))
        self.run_began = self.now
        self.business = self._found()
        # Arms are drawn with it; a database draws its own.
        with self.engine.begin() as connection:
            connection.execute(update(Installation).values(salt=f"salt {self.seed}"))
        self.providers = {
            channel: Provider(
                channel,
                Random(f"{channel} {self.seed}"),  # noqa: S311 - replays
                self.clock.now,
                self._called,
            )
            for channel in (Channel.EMAIL, Channel.SMS)
        }
        at_the_till = self.people - self.accounts
        self.persons = [self._settle(number) for number in range(1, at_the_till + 1)]
        self.persons += [self._open_account(person) for person in self.persons[: self.accounts]]

    def _called(self, message: Outgoing) -> Result | None:
        return self.on_call(message)

    @property
    def now(self) -> datetime:
        """The town's instant."""
        return self.clock.now()

    def _found(self) -> Business:
        for folder in ("config", "templates"):
            shutil.copytree(REPOSITORY / folder, self.home / folder)
        (self.home / "config" / "sources.yaml").write_text(
            "sources:\n" + SOURCE.format(name="till") + SOURCE.format(name="shop"), encoding="utf-8"
        )
        campaign = self.home / "config" / "campaigns" / "six-month.yaml"
        text = campaign.read_text(encoding="utf-8")
        text = text.replace("cooldown: 12 months", "cooldown: 1 month").replace("2000}", "9}")
        # A reminder that waits for a decent hour may come too late for its voucher.
        text = text.replace("before_expiry: 4 days", "before_expiry: 1 day")
        campaign.write_text(text, encoding="utf-8")
        (self.home / "data").mkdir()
        for name in ("till", "shop"):
            self._append(f"{name}-customers", CUSTOMER)
            self._append(f"{name}-orders", ORDER)
        settings = load_settings(self.home)
        campaigns, facts = load_campaigns(self.home), load_facts(self.home)
        environment = Environment(
            home=self.home,
            database_url=str(self.engine.url),
            secret=SecretStr(SECRET),
            sendgrid_api_key=None,
            twilio_account_sid=None,
            twilio_auth_tokens=(),
            sendgrid_webhook_keys=(),
            sendgrid_parse_keys=(),
            sendgrid_url=None,
            twilio_url=None,
            prefect_api_url=None,
        )
        shelf = load_shelf(self.home, campaigns, facts)
        return Business(settings, environment, self.engine, campaigns, facts, shelf)

    def _settle(self, number: int) -> Person:
        country, zone, phone = self.rng.choice(PLACES)
        lapsed_on = FIRST_DAY + timedelta(days=self.rng.randint(-3, self.lapses_within))
        person = Person(number, country, zone, phone.format(number), lapsed_on)
        self._register(person)
        return person

    def _open_account(self, person: Person) -> Person:
        """Let the web shop know somebody by other addresses, often by the same last purchase.

        It is heard of later, and so behind in the same lapse; then it learns the till's address,
        and two become one of whom both are on their way, or one has been to the end.
        """
        number = SHOP_IDS + person.number
        phone = next(phone for _, zone, phone in PLACES if zone == person.zone).format(number)
        lapsed_on = person.lapsed_on + timedelta(days=self.rng.choice((0, 0, 0, -9, 9)))
        account = Person(
            number, person.country, person.zone, phone, lapsed_on, source="shop", same_as=person
        )
        heard_after = (person.lapsed_on - FIRST_DAY).days + self.rng.randint(-5, 60)
        known_after = heard_after + self.rng.randint(0, 40)
        self.later(timedelta(days=heard_after), lambda: self._register(account))
        self.later(timedelta(days=known_after), lambda: self.merge(account))
        return account

    def _register(self, person: Person) -> None:
        texts, mails = self.rng.random() < 0.7, self.rng.random() < 0.9
        consents = {Channel.EMAIL: mails, Channel.SMS: texts}
        self._write_row(person, self._lives_at(person), consents)
        self.buy(person, person.lapsed_on - timedelta(days=184))

    def _lives_at(self, person: Person) -> Person:
        """Give whose addresses a source has for a person: an account once learned the till's."""
        is_known = any(
            fact.what is What.IS_ONE_WITH and fact.number == person.number
            for fact in self.record.facts
        )
        return person.same_as if is_known and person.same_as else person

    def _write_row(self, person: Person, at: Person, consents: dict[Channel, bool]) -> None:
        """Let a source tell of a person, with the addresses of ``at``."""
        person.consents = consents
        if at is person and not person.is_listed:
            person.is_listed = True
            if person.has_said_no:
                self.tell(What.NO, person, Road.FILE)
        row = (person.number, "Ann", at.email, at.phone, person.country, person.zone)
        words = ["yes" if is_given else "no" for is_given in consents.values()]
        self._append(f"{person.source}-customers", (*row, *words))
        for channel, is_given in consents.items():
            what = What.MAY_WRITE if is_given else What.MAY_NOT_WRITE
            self.tell(what, person, Road.FILE, channel=channel)

    def tell(self, what: What, person: Person, road: Road, **more: Any) -> None:
        """Note what happened, in the town's own record."""
        self.record.tell(Fact(what, person.number, road, self.now, **more))

    def _append(self, name: str, row: Iterable[object]) -> None:
        with (self.home / "data" / f"{name}.csv").open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)

    def at(self, on: date, hour: int, minute: int = 0) -> datetime:
        """Give an instant of a day, in UTC."""
        return datetime(on.year, on.month, on.day, hour, minute, tzinfo=UTC)

    # What happens.

    def buy(self, person: Person, on: date, code: str = "") -> None:
        """Let a purchase stand in a file of its source, to be pulled."""
        self._order += 1
        amount = self.rng.choice(("9.90", "45.00", "120.00"))
        row = (self._order, person.number, on.isoformat(), amount, code)
        self._append(f"{person.source}-orders", row)
        self.tell(What.BOUGHT, person, Road.FILE, on=on, code=code)

    def later(self, after: timedelta, act: Callable[[], None]) -> None:
        """Let something happen; what falls due in the same instant keeps its order."""
        self._order += 1
        heappush(self._coming, (self.now + after, self._order, act))

    def let_happen(self) -> None:
        """Let all happen whose time has come, in hostile order within a moment."""
        due = []
        while self._coming and self._coming[0][0] <= self.now:
            due.append(heappop(self._coming)[2])
        self.rng.shuffle(due)
        for act in due:
            act()

    def hear(self, records: list[RawEvent]) -> None:
        """Keep what a webhook brought, as the receiver does; now and then twice."""
        for _ in range(2 if self.rng.random() < 0.1 else 1):
            with Session(self.engine) as session, session.begin():
                store_events(session, records, self.now)

    def react(self) -> None:
        """Let providers report, and people answer, what was accepted since the last look."""
        for channel, provider in self.providers.items():
            for one in provider.taken[self._heard[channel] :]:
                self._react_to(provider, one)
            self._heard[channel] = len(provider.taken)

    def _react_to(self, provider: Provider, one: Taken) -> None:
        words = (
            ["processed", "delivered"] if one.channel is Channel.EMAIL else ["sent", "delivered"]
        )
        if self.rng.random() < 0.06:
            words[1] = "bounce" if one.channel is Channel.EMAIL else "undelivered"
        more = {"type": "bounce", "reason": "550 no such user"} if words[1] == "bounce" else {}
        for word in words:
            delay = timedelta(minutes=self.rng.expovariate(1 / 400))
            fields = more if word == "bounce" else {}
            if word == "undelivered":
                fields = {"ErrorCode": self.rng.choice(("30003", "30036", "30008"))}
            self._report_later(provider, one, word, delay=delay, **fields)
        self._answer(provider, one)

    def _report_later(
        self, provider: Provider, one: Taken, word: str, *, delay: timedelta, **fields: Any
    ) -> None:
        self.later(delay, lambda: self.hear(provider.report(one, word, self.now, **fields)))

    def _answer(self, provider: Provider, one: Taken) -> None:
        delay = timedelta(hours=self.rng.expovariate(1 / 30))
        person = self.person_at(one.address)
        drawn = self.rng.random()
        if drawn < 0.09:
            self.later(4 * delay, lambda: self._come_back(person))
        elif drawn < 0.14:
            self.later(delay, lambda: self._tap(one))
        elif drawn < 0.20:
            self.later(delay, lambda: self.write(person, self.rng.choice(REPLIES)))
        elif drawn < 0.24:
            roads = ("text", "reply", "keyword", "page", "complaint")
            self.later(delay, lambda: self.say_no(person, self.rng.choice(roads)))
        elif drawn < 0.29 and one.channel is Channel.EMAIL:
            url = "https://shop.example.com"
            self._report_later(provider, one, "click", delay=delay, url=url, useragent="Safari")
        elif drawn < 0.33:
            self.later(delay, lambda: self.withdraw(person, self.rng.choice(list(Channel)[:2])))

    def person_at(self, address: str) -> Person:
        """Give who has an address."""
        return next(who for who in self.persons if address in {who.email, who.phone})

    def say_no(self, person: Person, by: str) -> None:
        """Let a person say no: in words, or by page or complaint about the last mail they got."""
        self._order += 1
        provider = self.providers[Channel.EMAIL]
        mails = [one for one in provider.taken if one.address == person.email]
        if by == "keyword":
            # The provider knows it for a no, whatever we would make of the word.
            self.providers[Channel.SMS].stopped.add(person.phone)
            self.hear(text_back(person.phone, KEYWORD, sid=self._order, opt_out="STOP"))
        elif by == "text" or not mails:
            said = self.rng.choice(NOS)
            if said == "STOP":
                self.providers[Channel.SMS].stopped.add(person.phone)
            self.hear(text_back(person.phone, said, sid=self._order))
        elif by == "reply":
            self.hear(mail_back(mails[-1], "Please stop writing to me.", number=self._order))
        elif by == "page":
            self._page(mails[-1], EventKind.UNSUBSCRIBED, {"choice": "all"})
        else:
            self.hear(provider.report(mails[-1], "spamreport", self.now))
        if person.is_listed:
            self.tell(What.NO, person, Road.EVENT)
        person.has_said_no = True

    def write(self, person: Person, words: str) -> None:
        """Let a person write what is no no, by mail where they got one, else by text."""
        self._order += 1
        mails = [one for one in self.providers[Channel.EMAIL].taken if one.address == person.email]
        if mails and self.rng.random() < 0.5:
            self.hear(mail_back(mails[-1], words, number=self._order))
        else:
            self.hear(text_back(person.phone, words, sid=self._order))
        if person.is_listed:
            self.tell(What.WROTE, person, Road.EVENT)

    def withdraw(self, person: Person, channel: Channel) -> None:
        """Let a source's file say that a person no longer wants a channel."""
        if not person.consents:
            return
        at = self._lives_at(person)
        self._write_row(person, at, person.consents | {channel: False})
        self.told.append(f"{self.now} no {channel} for {person.number}")

    def _come_back(self, person: Person) -> None:
        with Session(self.engine) as session:
            codes = session.scalars(
                select(Voucher.code)
                .join(Enrollment, Enrollment.id == Voucher.enrollment_id)
                .join(SourceCustomer, SourceCustomer.customer_id == Enrollment.customer_id)
                .where(
                    SourceCustomer.external_id == str(person.number),
                    Voucher.issued_at.is_not(None),
                )
                .order_by(Voucher.id)
            ).all()
        code = self.rng.choice(codes) if codes and self.rng.random() < 0.5 else ""
        self.buy(person, self.now.date(), code)

    def _tap(self, one: Taken) -> None:
        reason = self.rng.choice(("price", "service", "hard_time", "moved", "forgot", "hours"))
        self._page(one, EventKind.REASON_GIVEN, {"reason": reason, "month": None})
        what = {"service": What.COMPLAINED_OF_SERVICE, "moved": What.PARTED}.get(reason)
        person = self.person_at(one.address)
        # The same reason once more is no news.
        if what and not any(
            fact.what is what and fact.number == person.number for fact in self.record.facts
        ):
            self.tell(what, person, Road.EVENT)

    def _page(self, one: Taken, kind: EventKind, said: dict[str, Any]) -> None:
        self._order += 1
        with Session(self.engine) as session, session.begin():
            message_id = session.scalar(select(Message.id).where(Message.send_id == one.send_id))
            assert message_id is not None, "a token of ours leads to its message"
            store_page(session, StoredPage(f"page {self._order}", kind, message_id, said), self.now)

    # What the operator does.

    def mishap(self) -> timedelta:
        """Let something unusual happen; gives for how long nothing runs."""
        match self.rng.randrange(10):
            case 0:
                return timedelta(days=self.rng.randint(1, 12))
            case 1 | 2 | 3:
                self.toggle_pause()
                self.later(timedelta(days=self.rng.randint(1, 16)), self.end_pause)
            case 4:
                self.merge(self.rng.choice(self.persons))
            case 5:
                self.erase(self.rng.choice(self.persons))
            case 6:
                self.settle_a_doubt()
            case 7:
                self.withdraw(self.rng.choice(self.persons), self.rng.choice(list(Channel)[:2]))
            case _:
                self.buy(self.rng.choice(self.persons), self.now.date() - timedelta(days=40))
        return timedelta(0)

    def toggle_pause(self) -> None:
        """Pause something at random, or end the pause there is."""
        if self._halt is not None:
            self.end_pause()
            return
        scopes = [(PauseScope.ALL, ""), (PauseScope.CAMPAIGN, "six-month")]
        scopes += [(PauseScope.CHANNEL, "sms"), (PauseScope.CHANNEL, "email")]
        scope, name = self.rng.choice(scopes)
        with Session(self.engine) as session, session.begin():
            pause(session, scope, name, by=OPERATOR, why="a whim", now=self.now)
        self.record.halts.append(Halt(scope, name, self.now))
        self.told.append(f"{self.now} pause {scope} {name}")

    def end_pause(self) -> None:
        """End the operator's pause, if there is one."""
        if (halt := self._halt) is None:
            return
        with Session(self.engine) as session, session.begin():
            zone = self.business.settings.business.zone
            resume(session, halt.scope, halt.name, now=self.now, zone=zone)
        halt.end = self.now
        self.told.append(f"{self.now} resume")

    @property
    def _halt(self) -> Halt | None:
        return next((one for one in self.record.halts if one.end is None), None)

    def merge(self, person: Person) -> None:
        """Let the web shop know the till's address: the next pull makes the two one."""
        known = person.same_as or person
        account = next((who for who in self.persons if who.same_as is known), None)
        both = {Channel.EMAIL: True, Channel.SMS: True}
        if account is None:
            account = Person(
                SHOP_IDS + known.number, known.country, known.zone, "", FIRST_DAY, source="shop"
            )
        self._write_row(account, known, both)
        self.tell(What.IS_ONE_WITH, account, Road.FILE, other=known.number)
        self.told.append(f"{self.now} merge {known.number}")

    def erase(self, person: Person) -> None:
        """Forget a person; the file of their source still has them."""
        with Session(self.engine) as session, session.begin():
            known = _known(session, person)
            if known is not None:
                erase_customer(session, known, now=self.now, secret=SECRET)
                self.tell(What.NO, person, Road.HAND)
        self.told.append(f"{self.now} erase {person.number}")

    def settle_a_doubt(self) -> None:
        """Let the operator ask the provider's support, and note the truth."""
        with Session(self.engine) as session, session.begin():
            row = session.execute(
                select(Message.id, Message.send_id)
                .where(Message.state == MessageState.UNCONFIRMED)
                .order_by(Message.id)
                .limit(1)
            ).one_or_none()
            if row is not None:
                is_accepted = any(
                    one.send_id == row.send_id
                    for provider in self.providers.values()
                    for one in provider.taken
                )
                verdict = Verdict.ACCEPTED if is_accepted else Verdict.NOT_SENT
                settle_by_hand(session, self.business, row.id, verdict, now=self.now)

    # What runs.

    def run(self, stage: Callable[[Day], Any], *, dies_after: int | None = None) -> bool:
        """Run one stage as a process of its own; False when it died in the middle.

        ``dies_after`` is how many commits and calls it lives for.
        """
        self.fate.let_live(dies_after)
        self.run_began = self.now
        rng = Random(f"{self.seed} {self.now} {len(self.told)}")  # noqa: S311 - replays
        today = Day(
            self.business, self.now, self.clock, self.providers, lookups=self.providers, rng=rng
        )
        try:
            with watched(self.fate):
                asyncio.run(stage(today))
        except Died:
            self.told.append(f"{self.now} died in {stage.__name__}")
            # Whoever starts it again comes later than the lease of the dead.
            self.clock.set_to(self.now + timedelta(minutes=2))
            return False
        self.record.take_up(stage.__name__, self.now)
        return True

    def end_well(self, *, times: int) -> None:
        """Let all news arrive, all evidence be asked for and all that is owed be sent.

        The providers work again, and nothing stands still; the last of all is a send.
        """
        for provider in self.providers.values():
            provider.faults = provider.away = 0
        self.end_pause()
        for _ in range(times):
            self.clock.set_to(self.now + timedelta(days=2))
            self.let_happen()
            self.react()
            self.run_to_rest(may_die=False)
        self.run(day.send)

    def run_to_rest(self, *, may_die: bool) -> None:
        """Run the day's stages; whatever dies is started again until it ends."""
        for stage in (day.pull, day.detect, day.send, day.respond, day.measure):
            while not self.run(stage, dies_after=self.fate.draw() if may_die else None):
                self.let_happen()


def _known(session: Session, person: Person) -> int | None:
    """Give the customer that a source's person is, once it was pulled."""
    return session.scalar(
        select(SourceCustomer.customer_id).where(
            SourceCustomer.source == person.source,
            SourceCustomer.external_id == str(person.number),
        )
    )
