"""Play days for real, and compare: what was rehearsed must be what happened."""

import hashlib
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from winback import day as stages
from winback.business import Business
from winback.clock import local_date
from winback.database.tables import Case, Enrollment, Message, Table, table_of
from winback.day import Day
from winback.rehearsal.results import Rehearsal
from winback.rehearsal.schedule import Moment
from winback.states import Arm, CaseKind, Channel

Happening = tuple[date, int, str, Channel, Arm, str, bool]
"""Local day, customer, step, channel, arm, variant, whether it is an answer."""


def fingerprint(engine: Engine) -> dict[str, str]:
    """Give a hash of every row of every table."""
    found: dict[str, str] = {}
    with engine.connect() as connection:
        for table in Table.metadata.sorted_tables:
            rows = sorted(repr(tuple(row)) for row in connection.execute(select(table)))
            found[table.name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


async def play(moments: Iterable[Moment], day_at: Callable[[datetime], Day]) -> None:
    """Run the stages for real at the moments of a schedule; without a pull, as nothing is new."""
    for moment in moments:
        day = day_at(moment.at)
        if moment.is_day:
            await stages.detect(day)
        await stages.send(day)
        if moment.is_day:
            await stages.respond(day)
            await stages.measure(day)


def rehearsed(done: Rehearsal) -> list[Happening]:
    """Give what a rehearsal says will happen, each as often as it says so."""
    return sorted(
        (
            one.day,
            one.customer_id,
            one.step,
            one.channel,
            one.arm,
            one.variant,
            one.is_answer,
        )
        for one in done.sendings
    )


class Record:
    """What stood in the outbox before, so that what came since can be told."""

    def __init__(self, business: Business) -> None:
        self._business = business
        with Session(business.engine) as session:
            self._accepted = self._ids(session, Message, Message.accepted_at.is_not(None))
            self._cases = self._ids(session, Case)
            self._enrollments = self._ids(session, Enrollment)

    def since(self) -> list[Happening]:
        """Give what left or came due for an associate since."""
        with Session(self._business.engine) as session:
            messages = session.execute(
                select(Message, Enrollment)
                .join(Enrollment, Enrollment.id == Message.enrollment_id)
                .where(Message.accepted_at.is_not(None))
            ).tuples()
            cases = session.execute(
                select(Case, Enrollment)
                .join(Enrollment, Enrollment.id == Case.enrollment_id)
                .where(Case.kind.in_((CaseKind.CALL, CaseKind.LETTER)))
            ).tuples()
            happened = [
                (
                    self._day(one.accepted_at),
                    one.customer_id,
                    one.step,
                    one.channel,
                    enrollment.arm,
                    one.variant,
                    one.is_answer,
                )
                for one, enrollment in messages
                if one.id not in self._accepted
            ]
            happened += [
                (
                    self._day(one.opened_at),
                    one.customer_id,
                    one.step or "",
                    Channel(one.kind.value),
                    enrollment.arm,
                    "",
                    False,
                )
                for one, enrollment in cases
                if one.id not in self._cases
            ]
            return sorted(happened)

    def entered(self) -> list[tuple[date, int, str, Arm]]:
        """Give who was enrolled since."""
        with Session(self._business.engine) as session:
            return sorted(
                (one.enrolled_on, one.customer_id, one.campaign, one.arm)
                for one in session.scalars(select(Enrollment))
                if one.id not in self._enrollments
            )

    def _day(self, at: datetime | None) -> date:
        assert at is not None
        return local_date(at, self._business.zone)

    @staticmethod
    def _ids(session: Session, mapped: type[Table], *conditions: Any) -> set[int]:
        return set(session.scalars(select(table_of(mapped).c.id).where(*conditions)))
