"""A shop on the morning of a day on which everything happens, and what must be true at its end.

Yesterday's customers are due for their second message, by text or, where there is no number, by
mail, and with a voucher; new ones have lapsed since; news of yesterday's mails waits. The
stand-ins outlive every process that dies, and their own record is the judge of P1 and P2.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from pytest_httpserver import HTTPServer
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from tests.delivery.crash_child import Place
from tests.shop import make_shop
from winback.clock import SystemClock
from winback.database.engine import make_engine
from winback.database.tables import Case, ContactPoint, Customer, Event, Message, Voucher
from winback.house import open_business
from winback.sandbox.stand_ins import Sandbox, stand_ins
from winback.states import CaseKind, CaseState, EventState, MessageState, VoucherState
from winback.web.app import WebhookKeys, make_app
from winback.web.receiver import receiving

BEFORE: Final = date(2026, 3, 2)
YESTERDAY: Final = BEFORE + timedelta(days=1)
TODAY: Final = YESTERDAY + timedelta(days=1)
LATER: Final = TODAY + timedelta(days=2)
"""So late that a doubt of today has passed its 24 hours."""

_SEED: Final = 4
"""The stand-ins' secrets are the same in every life."""

_CAMPAIGN: Final = """\
campaign: six-month
lapse: {after: 6 months, not_after: 24 months}
audience: {daily_limit: 500}
holdout: 0%
measure_for: 90 days
steps:
  - {step: concern, wait: 0 days, channel: email, template: concern}
  - {step: voucher, wait: 1 days, channel: sms, template: voucher, otherwise: email, offer: gift}
  - {step: farewell, wait: 30 days, channel: email, template: farewell}
offers:
  gift: {percent: 15, valid_for: 21 days, codes: 20}
"""

_TEXT: Final = """\
{{ business.name }}: {{ voucher.says }} until {{ voucher.expires_on|short_day }}: {{ voucher.code }}
{% if customer.country == "US" %}Msg frequency varies. Msg & data rates may apply. \
Reply HELP for help. {% endif %}Reply STOP to opt out.
"""

FIRST: Final = ("8", "9")
"""They lapsed the day before yesterday, and have had both messages by today."""
DUE: Final = ("0", "1", "2", "3")
"""They lapsed yesterday, and are due for their second message."""
DOUBTED: Final = ("10",)
"""Nobody knows whether their first message, of yesterday, was taken."""
NEW: Final = ("4", "5", "6", "7")
"""They lapse today; one of them never consented."""

_HAVE_NUMBERS: Final = frozenset({"0", "1", "8"})
_WITHOUT_CONSENT: Final = "7"

_PUBLIC_URL: Final = "https://win.example.com"


def mail_of(number: str) -> str:
    """Give the address of a customer."""
    return f"ann.{number}@example.com"


def phone_of(number: str) -> str:
    """Give the number of a customer."""
    return f"+4479111230{number.zfill(2)}"


OWED: Final = {
    **{(who, "voucher"): (phone_of(who), mail_of(who)) for who in DUE},
    **{(who, "concern"): (mail_of(who),) for who in NEW if who != _WITHOUT_CONSENT},
}
"""What today owes to whom, and the addresses that it may go to: once in all."""


def make_home(home: Path) -> None:
    """Write a shop whose first customers have lapsed by the day before yesterday."""
    make_shop(home, customers=0, lapsed_on=BEFORE)
    (home / "config" / "campaigns" / "six-month.yaml").write_text(_CAMPAIGN, encoding="utf-8")
    (home / "templates" / "six-month" / "voucher.sms").write_text(_TEXT, encoding="utf-8")
    add_customers(home, FIRST, BEFORE)


def add_customers(home: Path, numbers: Sequence[str], lapsed_on: date) -> None:
    """Let the shop's files grow by customers who lapse on a day."""
    bought_on = lapsed_on.replace(year=lapsed_on.year - 1, month=9)
    with (
        (home / "data" / "customers.csv").open("a", encoding="utf-8") as people,
        (home / "data" / "orders.csv").open("a", encoding="utf-8") as orders,
    ):
        for number in numbers:
            phone = phone_of(number) if number in _HAVE_NUMBERS else ""
            says = "no" if number == _WITHOUT_CONSENT else "yes"
            people.write(f"{number},Ann,Oakley,{mail_of(number)},{phone},{says},{says}\n")
            orders.write(f"{number},{number},{bought_on},40.00\n")


@dataclass(frozen=True, slots=True)
class Life:
    """One life of the shop: a place to live in, and stand-ins that outlive every process."""

    place: Place
    stand: Sandbox
    engine: Engine

    def hear(self, *, applies_at_once: bool = True) -> None:
        """Let the stand-ins report all that they accepted, to a receiver that nothing befalls."""
        home, environment = self.place.home, self.place.environment
        with open_business(writes=True, home=home, environ=environment) as (business, _now):
            keys = self.stand.credentials
            app = make_app(
                business,
                webhook_keys=WebhookKeys((keys.webhook_key,), (), (keys.auth_token,)),
                clock=SystemClock(),
                applies_at_once=applies_at_once,
            )
            with receiving(lambda _url: app) as receiver:
                self.report_to(receiver.url)

    def typed(self, name: str) -> tuple[str, ...]:
        """Give the command that ends in that commit, with what it takes to type it."""
        today = ("--as-of", str(TODAY))
        match name:
            case "voucher.import":
                (self.place.home / "codes.txt").write_text("TILL-CODE-2345\n", encoding="utf-8")
                of = ("--campaign", "six-month", "--offer", "gift")
                words: tuple[str, ...] = ("voucher", "import", "codes.txt", *of, *today)
            case "voucher.export":
                words = ("voucher", "export", "till.csv", *today)
            case "voucher.redeem":
                words = ("voucher", "redeem", self._issued_code(), *today)
            case "pause.by_hand":
                words = ("pause", "--channel", "sms", *today)
            case "customer.by_hand":
                words = ("customer", "suppress", FIRST[0], *today)
            case "desk.case":
                words = ("desk", "note", str(self._open_case()), "rang twice")
            case "events.replay":
                self._leave_a_dead_event()
                words = ("events", "replay")
            case _:
                words = ("settle", str(self._doubt()), "--not-sent", *today)
        return words

    def report_to(self, url: str) -> None:
        """Let the stand-ins report to a receiver that may die."""
        self.stand.deliver_to(url, _PUBLIC_URL)
        self.stand.flush()

    def send_ids(self, *states: MessageState) -> set[str | None]:
        """Give the send ids of the messages in these states."""
        with Session(self.engine) as session:
            known = select(Message.send_id).where(Message.state.in_(states))
            return set(session.scalars(known))

    def customers(self) -> int:
        """Give how many customers there are."""
        with Session(self.engine) as session:
            return session.scalars(select(func.count()).select_from(Customer)).one()

    def _issued_code(self) -> str:
        """Give a code that somebody holds."""
        with Session(self.engine) as session:
            issued = select(Voucher.code).where(Voucher.state == VoucherState.ISSUED)
            return session.scalars(issued.limit(1)).one()

    def _doubt(self) -> int:
        """Give a message of which nobody knows since yesterday."""
        with Session(self.engine) as session:
            doubts = select(Message.id).where(Message.state == MessageState.UNCONFIRMED)
            return session.scalars(doubts.limit(1)).one()

    def _open_case(self) -> int:
        """Give a case that waits for an associate."""
        with Session(self.engine) as session, session.begin():
            case = Case(
                key="reply:1",
                kind=CaseKind.REPLY,
                state=CaseState.OPEN,
                customer_id=session.scalars(select(Customer.id).limit(1)).one(),
                opened_at=datetime(2026, 3, 3, tzinfo=UTC),
            )
            session.add(case)
            session.flush()
            return case.id

    def _leave_a_dead_event(self) -> None:
        """Store an event that could not be read by then, and can be now."""
        with Session(self.engine) as session, session.begin():
            session.add(
                Event(
                    key="sendgrid.events:dead",
                    origin="sendgrid.events",
                    body={"event": "processed", "email": "nobody@example.com"},
                    state=EventState.DEAD,
                    error="KeyError: 'event'",
                    received_at=datetime(2026, 3, 3, tzinfo=UTC),
                )
            )

    def judge(self, *, may_doubt: bool = False) -> None:
        """Hold the stand-ins' record against what was owed: it is asked, not we (P1, P2)."""
        mails, texts = self.stand.record.mails(), self.stand.record.texts()
        heard = Counter(
            [(mail.to_address, mail.categories[1]) for mail in mails]
            + [(text.to_number, "voucher") for text in texts]
        )
        assert set(heard.values()) == {1}, "P1: a message went twice"
        listed = self._listed()
        for (who, step), addresses in OWED.items():
            count = sum(heard[address, step] for address in addresses)
            assert count <= 1, f"P1: {who} got {step} on two channels"
            doubts = [listed.get((address, step)) for address in addresses]
            assert count == 1 or any(doubts), f"P2: {who} was owed {step}"
            assert may_doubt or count == 1, f"{who} did not get {step}, and nobody was calling"
        self._judge_evidence([one.send_id for one in mails] + [one.send_id for one in texts])
        self._judge_vouchers()

    def _judge_evidence(self, accepted: Iterable[str]) -> None:
        """See that what was accepted is known by its send id, and no news lost (DS-5, DS-13)."""
        assert self.send_ids(MessageState.ACCEPTED, MessageState.DELIVERED) == set(accepted)
        with Session(self.engine) as session:
            waiting = session.scalars(select(Event.id).where(Event.state != EventState.APPLIED))
            assert waiting.all() == []

    def _judge_vouchers(self) -> None:
        """See that a code that is out is one person's, and that nobody has two (P6)."""
        with Session(self.engine) as session:
            owners = session.scalars(
                select(Voucher.enrollment_id).where(Voucher.state != VoucherState.FREE)
            ).all()
        assert None not in owners
        assert len(owners) == len(set(owners))

    def _listed(self) -> Mapping[tuple[str, str], str]:
        """Give the reason of each message in doubt, by address and step."""
        with Session(self.engine) as session:
            rows = session.execute(
                select(ContactPoint.address, Message.step, Message.reason)
                .join(ContactPoint, ContactPoint.id == Message.contact_point_id)
                .where(Message.state == MessageState.UNCONFIRMED)
            )
            return {(address, step): reason for address, step, reason in rows}


@contextmanager
def living(home: Path, database_url: str, record: Path) -> Iterator[Life]:
    """Let a shop live, with stand-ins that go on with a record, and somebody to tell alerts."""
    with stand_ins(record, seed=_SEED) as stand, HTTPServer(host="127.0.0.1") as operator:
        operator.expect_request("/alerts").respond_with_data("")
        keys = stand.credentials
        environment = {
            "WINBACK_DATABASE_URL": database_url,
            "WINBACK_SECRET": "a-secret-of-the-tests",
            "WINBACK_SENDGRID_URL": stand.sendgrid_url,
            "WINBACK_TWILIO_URL": stand.twilio_url,
            "SENDGRID_API_KEY": keys.api_key,
            "SENDGRID_WEBHOOK_KEYS": keys.webhook_key,
            "TWILIO_ACCOUNT_SID": keys.account_sid,
            "TWILIO_AUTH_TOKEN": keys.auth_token,
            "WINBACK_ALERT_URLS": f"json://127.0.0.1:{operator.port}/alerts",
        }
        # Nobody listens for the heartbeat there; it is a call all the same.
        _write_settings(home, f"{stand.url}/heartbeat")
        engine = make_engine(database_url)
        try:
            yield Life(Place(home, environment), stand, engine)
        finally:
            engine.dispose()


def _write_settings(home: Path, url: str) -> None:
    """Let the day end with a heartbeat, and messages take their turns at a pace."""
    settings = home / "config" / "winback.yaml"
    lines = settings.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("heartbeat_url", "  pace"))]
    kept.insert(kept.index("policies:") + 1, "  pace: {email: 500 per second, sms: 500 per second}")
    settings.write_text("\n".join([*kept, f"heartbeat_url: {url}", ""]), encoding="utf-8")
