"""The promises, asked of the providers' own record and of the database after each step.

Both ways: what a provider accepted we know of, and what we say was accepted a provider has. What
is neither is owed, and at rest nothing is owed that has no reason.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, bindparam, func, select
from sqlalchemy.orm import Session

from tests.simulation.against import (
    FRESH_FOR,
    ZONE,
    Call,
    against,
    codes_in,
    untrue_vouchers,
)
from tests.simulation.meanwhile import meanwhile
from tests.simulation.owed import nothing_passed_untruly, nothing_unplanned, nothing_waits
from tests.simulation.provider import Taken
from tests.simulation.record import What
from tests.simulation.town import Town
from winback.clock import day_start
from winback.customers.suppression import person_of
from winback.database.tables import (
    Customer,
    Enrollment,
    Message,
    Move,
    SourceCustomer,
    Voucher,
)
from winback.delivery.looking import look
from winback.providers.outgoing import Outgoing, OutgoingText, Result
from winback.states import Arm, Channel, EnrollmentState, MessageState

DAY = timedelta(days=1)
CAPS = {Channel.SMS: ((1, DAY), (2, 7 * DAY)), Channel.EMAIL: ((2, 7 * DAY),)}
HOURS = {6: (time(12), time(20))}
"""Sunday's hours of the standard profile; the other days' are nine to eight (LAW-23)."""


@dataclass(slots=True)
class Promises:
    """Watches every call as it is made, and the whole state after each step."""

    town: Town
    calls: dict[str, Call] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    """What was wrong at a call: raised there, it would only be one more lost reply."""
    _alike: defaultdict[tuple[str, date, str], list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """The send ids of all calls for a step of a campaign and lapse, whoever they were for."""
    _issued: defaultdict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    """The calls that carried each code."""

    def __post_init__(self) -> None:
        """Begin to watch."""
        self.town.on_call = self._at_call

    def _at_call(self, message: Outgoing) -> Result | None:
        """P1, P3, P8: the row is committed before the call, and nobody who said no is called."""
        with Session(self.town.engine) as session:
            row = session.execute(_CALLED, {"send_id": message.send_id}).one_or_none()
            if row is None or row.state is not MessageState.SENDING:
                self.broken.append("called before it was committed (DS-2)")
                return None
            if row.arm is not Arm.TREATED:
                self.broken.append("the holdout is left alone (P8)")
            call = self._call(message, row)
            self._got_before(session, call)
        self.broken += [f"{why}: {call}" for why in self._against(call, row)]
        if message.send_id in self.calls:
            self.broken.append("a send id is used once")
        self.calls[message.send_id] = call
        self._alike[call.passage].append(message.send_id)
        return meanwhile(self.town, call)

    def _call(self, message: Outgoing, row: Row[Any]) -> Call:
        is_text = isinstance(message, OutgoingText)
        address = message.to_number if isinstance(message, OutgoingText) else message.to_address
        number = self.town.person_at(address).number
        return Call(
            send_id=message.send_id,
            at=self.town.now,
            run_began=self.town.run_began,
            number=number,
            group=self.town.record.group(number, self.town.run_began),
            channel=Channel.SMS if is_text else Channel.EMAIL,
            campaign=row.campaign,
            lapsed_on=row.lapsed_on,
            step=row.step,
            is_answer=row.is_answer,
            enrollment_id=row.enrollment_id,
            customer_id=row.customer_id,
            body=message.body if isinstance(message, OutgoingText) else message.text,
        )

    def _against(self, call: Call, row: Row[Any]) -> Iterator[str]:
        """Say what must have stopped a call: the town's record, and the step's own freshness."""
        for code in codes_in(call.body):
            self._issued[code].append(call)
        yield from against(call, self.town.record, list(self.calls.values()))
        yield from untrue_vouchers(call, self._issued)
        if call.at >= row.drop_at:
            yield "stale (P4, P10)"
        # None: it ended, or is in an associate's hands, since the claim.
        if not call.is_answer and row.next_step == call.step and row.due_on is not None:
            due_at = day_start(row.due_on, ZONE)
            stood = self.town.record.stood_still(call.campaign, call.channel, due_at)
            # A clock change moves the beginning of a day by an hour.
            if call.at >= due_at + FRESH_FOR + stood + timedelta(hours=1):
                yield f"stale, it was due on {row.due_on} (P4, P10)"

    def _got_before(self, session: Session, called: Call) -> None:
        """P1: nobody is called for what a provider took before, from whomever they are made of.

        Two enrollments of one lapse come together when two customers turn out to be one person;
        what each got while they were two is no mistake.
        """
        alike = self._alike[called.passage]
        taken = {one.send_id for one in self._taken() if one.send_id in alike} if alike else ()
        persons = {_person(session, self.calls[send_id].customer_id) for send_id in taken}
        if _person(session, called.customer_id) in persons:
            self.broken.append(f"twice: {called} (P1)")

    def _taken(self) -> list[Taken]:
        return [one for provider in self.town.providers.values() for one in provider.taken]

    def check(self) -> None:
        """Ask all that must hold at any time."""
        assert not self.broken, self.broken
        taken = self._taken()
        self._one_message(taken)
        self._decent(taken)
        self._capped(taken)
        with Session(self.town.engine) as session:
            self._none_lost(session, taken)
            self._history(session)
            self._vouchers(session)
            self._heard(session)

    def _heard(self, session: Session) -> None:
        """P3: whoever said no, by whatever road, is known to have said it, for good."""
        record, now = self.town.record, self.town.now
        numbers = {one.number for one in record.known(now) if one.what is What.NO}
        whose = {
            person_of(session, row.customer_id): row.external_id
            for row in session.execute(select(SourceCustomer)).scalars()
            if int(row.external_id) in numbers
        }
        sight = look(session, set(whose), now=now)
        deaf = [number for one, number in whose.items() if not sight.is_suppressed(one)]
        assert not deaf, f"who said no, and is not known for it: {deaf} (P3)"

    def _one_message(self, taken: list[Taken]) -> None:
        """P1: at most one accepted message for a step, over all channels."""
        steps = Counter(
            (self.calls[one.send_id].enrollment_id, self.calls[one.send_id].step) for one in taken
        )
        assert all(times == 1 for times in steps.values()), f"twice: {steps.most_common(3)}"
        # By person, as far as that was known at the call: who was two then got one each.
        days = Counter(
            (min(self.calls[one.send_id].group), one.at.date())
            for one in taken
            if not self.calls[one.send_id].is_answer
        )
        assert all(times == 1 for times in days.values()), "no two steps at once (P10)"

    def _decent(self, taken: list[Taken]) -> None:
        """P4: a text leaves inside the hours of its reader, the provider's own queue included."""
        for one in taken:
            if one.channel is not Channel.SMS:
                continue
            person = next(who for who in self.town.persons if who.phone == one.address)
            zone = ZoneInfo(person.zone or "Pacific/Honolulu")
            opens, closes = HOURS.get(one.at.astimezone(zone).weekday(), (time(9), time(20)))
            local, latest = one.at.astimezone(zone), (one.at + one.valid_for).astimezone(zone)
            assert opens <= local.time() < closes, f"{local} is no decent hour"
            assert latest.date() == local.date(), "it must not wait for the night"
            assert latest.time() <= closes, "it must not wait for the night"

    def _capped(self, taken: list[Taken]) -> None:
        """P4: never more to one address than the caps allow, in any rolling span."""
        by_address: defaultdict[tuple[Channel, str], list[datetime]] = defaultdict(list)
        for one in taken:
            by_address[one.channel, one.address].append(one.at)
        for (channel, _), instants in by_address.items():
            for most, span in CAPS[channel]:
                for start in instants:
                    inside = [at for at in instants if start <= at < start + span]
                    assert len(inside) <= most, f"{len(inside)} by {channel} within {span}"

    def _none_lost(self, session: Session, taken: list[Taken]) -> None:
        """P2: what a provider accepted is accepted or in doubt with us, and nothing else is."""
        rows = {
            row.send_id: row
            for row in session.execute(
                select(Message.send_id, Message.state, Message.accepted_at, Message.reason)
            )
        }
        for one in taken:
            row = rows.get(one.send_id)
            assert row is not None, "the send id of an accepted message is never given up"
            is_listed = row.state in (MessageState.SENDING, MessageState.UNCONFIRMED)
            assert row.accepted_at is not None or is_listed, f"{row.state} is wrong: {row.reason}"
        there = {one.send_id for one in taken}
        untrue = [row for row in rows.values() if _says_accepted(row) and row.send_id not in there]
        assert not untrue, f"no provider has what we call accepted: {untrue[:3]}"
        silent = session.scalar(
            select(func.count()).where(Message.reason == "", Message.state.in_(_NOT_SENT))
        )
        assert silent == 0, "what was not sent says why"
        stuck = session.scalar(
            select(func.count()).where(
                Enrollment.state == EnrollmentState.ACTIVE, Enrollment.due_on.is_(None)
            )
        )
        assert stuck == 0, "whoever is on the way has a next day"

    def _history(self, session: Session) -> None:
        """Compare the last line of the history with where each thing stands."""
        for thing, table in (("message", Message), ("enrollment", Enrollment)):
            last = (
                select(Move.thing_id, func.max(Move.id).label("id"))
                .where(Move.thing == thing)
                .group_by(Move.thing_id)
                .subquery()
            )
            wrong = session.execute(
                select(table.id, table.state, Move.to_state)
                .join(last, last.c.thing_id == table.id)
                .join(Move, Move.id == last.c.id)
                .where(Move.to_state != table.state)
            ).all()
            assert not wrong, f"{thing}: {wrong[:3]}"

    def _vouchers(self, session: Session) -> None:
        """P6: a code belongs to one enrollment, and one enrollment has one code of an offer."""
        twice = session.execute(
            select(Voucher.enrollment_id, Voucher.offer)
            .where(Voucher.enrollment_id.is_not(None))
            .group_by(Voucher.enrollment_id, Voucher.offer)
            .having(func.count() > 1)
        ).all()
        assert not twice

    def check_at_rest(self) -> None:
        """P2 at the end: every doubt that a provider could settle is, and nothing is owed."""
        self.check()
        taken = {one.send_id for one in self._taken()}
        with Session(self.town.engine) as session:
            rows = session.execute(
                select(Message.accepted_at, Message.enrollment_id, Message.step).where(
                    Message.send_id.in_(taken)
                )
            ).all()
            assert len(rows) == len(taken)
            wrong = [row for row in rows if row.accepted_at is None]
            assert not wrong, f"{len(wrong)} accepted messages are not known as such"
            sending = session.scalar(
                select(func.count()).where(Message.state == MessageState.SENDING)
            )
            assert sending == 0
            nothing_waits(session, self.town)
            nothing_unplanned(session, self.town)
            # By the enrollment that has it now: what is being called goes along in a merge.
            nothing_passed_untruly(session, {(row.enrollment_id, row.step) for row in rows})


_CALLED = (
    select(
        Message.enrollment_id,
        Message.customer_id,
        Message.step,
        Message.is_answer,
        Message.state,
        Message.drop_at,
        Enrollment.campaign,
        Enrollment.lapsed_on,
        Enrollment.arm,
        Enrollment.next_step,
        Enrollment.due_on,
    )
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(Message.send_id == bindparam("send_id"))
)
_NOT_SENT = (
    *(MessageState.FAILED, MessageState.SKIPPED, MessageState.CANCELED),
    MessageState.UNCONFIRMED,
)
"""Each of these has a reason."""


def _says_accepted(row: Row[Any]) -> bool:
    """Say whether a row claims that a provider has it."""
    states = (MessageState.ACCEPTED, MessageState.DELIVERED, MessageState.BOUNCED)
    return row.accepted_at is not None or row.state in states


def _person(session: Session, customer_id: int) -> int:
    """Give whom a customer was made one with."""
    into = session.scalar(select(Customer.merged_into).where(Customer.id == customer_id))
    return customer_id if into is None else _person(session, into)
