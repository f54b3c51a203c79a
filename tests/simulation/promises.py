"""The promises, asked of the providers' own record and of the database after each step."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.simulation.provider import Taken
from tests.simulation.town import Town
from winback.database.tables import Enrollment, Message, Move, Suppression, Voucher
from winback.providers.outgoing import Outgoing
from winback.states import Arm, Channel, EnrollmentState, MessageState

DAY = timedelta(days=1)
CAPS = {Channel.SMS: ((1, DAY), (2, 7 * DAY)), Channel.EMAIL: ((2, 7 * DAY),)}
HOURS = {6: (time(12), time(20))}
"""Sunday's hours of the standard profile; the other days' are nine to eight (LAW-23)."""


@dataclass(frozen=True, slots=True)
class Called:
    """What our rows said at the moment of a call."""

    enrollment_id: int
    customer_id: int
    step: str
    is_answer: bool


@dataclass(slots=True)
class Promises:
    """Watches every call as it is made, and the whole state after each step."""

    town: Town
    calls: dict[str, Called] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin to watch."""
        self.town.on_call = self._at_call

    def _at_call(self, message: Outgoing) -> None:
        """P1, P3, P8: the row is committed before the call, and nobody who said no is called."""
        with Session(self.town.engine) as session:
            row = session.execute(
                select(
                    Message.enrollment_id,
                    Message.customer_id,
                    Message.step,
                    Message.is_answer,
                    Message.state,
                    Enrollment.arm,
                )
                .join(Enrollment, Enrollment.id == Message.enrollment_id)
                .where(Message.send_id == message.send_id)
            ).one()
            assert row.state is MessageState.SENDING, "committed before the call (DS-2)"
            assert row.arm is Arm.TREATED, "the holdout is left alone (P8)"
            said_no = session.scalar(
                select(func.count())
                .select_from(Suppression)
                .where(Suppression.customer_id == row.customer_id, Suppression.channel.is_(None))
            )
            assert not said_no, "no means no (P3)"
        assert message.send_id not in self.calls, "a send id is used once"
        self.calls[message.send_id] = Called(*row[:4])

    def check(self) -> None:
        """Ask all that must hold at any time."""
        taken = [one for provider in self.town.providers.values() for one in provider.taken]
        self._one_message(taken)
        self._decent(taken)
        self._capped(taken)
        with Session(self.town.engine) as session:
            self._none_lost(session, taken)
            self._history(session)
            self._vouchers(session)

    def _one_message(self, taken: list[Taken]) -> None:
        """P1: at most one accepted message for a step, over all channels."""
        steps = Counter(
            (self.calls[one.send_id].enrollment_id, self.calls[one.send_id].step) for one in taken
        )
        assert all(times == 1 for times in steps.values()), f"twice: {steps.most_common(3)}"
        days = Counter(
            (self.calls[one.send_id].enrollment_id, one.at.date())
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
        """P2: what a provider accepted is accepted or in doubt with us, never anything else."""
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
        silent = session.scalar(
            select(func.count()).where(
                Message.reason == "",
                Message.state.in_((MessageState.FAILED, MessageState.SKIPPED)),
            )
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
        """P2 at the end: every doubt that the provider could prove was proven."""
        taken = {one.send_id for p in self.town.providers.values() for one in p.taken}
        with Session(self.town.engine) as session:
            rows = session.execute(
                select(Message.send_id, Message.accepted_at, Message.state).where(
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
