"""Read what a report is made of, counted in the database wherever a count will do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, func, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session

from winback.campaign.versions import campaign_of_version
from winback.database.tables import Enrollment, Message, Outcome, Response
from winback.money import SCALE
from winback.outcomes.figures import FunnelRow
from winback.states import Arm, EnrollmentState, MessageState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ArmRows:
    """One arm's enrollments as columns of equal length."""

    is_over: "NDArray[np.bool_]"
    is_converted: "NDArray[np.bool_]"
    revenue: "NDArray[np.float64]"
    message_cost: "NDArray[np.float64]"
    voucher_cost: "NDArray[np.float64]"
    attributed: "NDArray[np.float64]"
    other_currency: "NDArray[np.int64]"


@dataclass(frozen=True, slots=True)
class Return:
    """One customer who came back."""

    arm: Arm
    enrolled_at: datetime
    converted_at: datetime
    is_over: bool


def analyzed(campaign: str, now: datetime) -> ColumnElement[bool]:
    """Give the condition of who is analyzed: everyone assigned, but who was never lapsed."""
    return and_(
        Enrollment.campaign == campaign,
        Enrollment.enrolled_at <= now,
        Enrollment.is_left_out.is_(False),
    )


def known_campaigns(session: Session) -> Sequence[str]:
    """Give the names of all campaigns that ever enrolled anybody."""
    return session.scalars(select(Enrollment.campaign).distinct().order_by("campaign")).all()


def read_arms(session: Session, campaign: str, now: datetime) -> dict[Arm, ArmRows]:
    """Read both arms; a conversion after ``now`` has not happened yet."""
    import numpy as np  # noqa: PLC0415 - numpy is slow to import

    def units(column: InstrumentedAttribute[Any]) -> ColumnElement[int]:
        return func.coalesce(type_coerce(column, BigInteger), 0)

    rows = session.execute(
        select(
            case((Enrollment.arm == Arm.TREATED, 1), else_=0),
            case((Enrollment.measure_until <= now, 1), else_=0),
            case((Outcome.converted_at <= now, 1), else_=0),
            units(Outcome.revenue),
            units(Outcome.message_cost),
            units(Outcome.voucher_cost),
            units(Outcome.attributed),
            func.coalesce(Outcome.other_currency, 0),
        )
        .join_from(Enrollment, Outcome, Outcome.enrollment_id == Enrollment.id, isouter=True)
        .where(analyzed(campaign, now))
        .order_by(Enrollment.id)
    ).all()
    table = np.array([tuple(row) for row in rows], dtype=np.int64).reshape(-1, 8)
    return {arm: _columns(table[table[:, 0] == (arm is Arm.TREATED)]) for arm in Arm}


def _columns(table: "NDArray[np.int64]") -> ArmRows:
    money = table[:, 3:7] / SCALE
    return ArmRows(
        is_over=table[:, 1] == 1,
        is_converted=table[:, 2] == 1,
        revenue=money[:, 0],
        message_cost=money[:, 1],
        voucher_cost=money[:, 2],
        attributed=money[:, 3],
        other_currency=table[:, 7],
    )


def read_split(session: Session, campaign: str, now: datetime) -> list[tuple[int, int, float]]:
    """Read (treated, holdout, planned share of the holdout) of each campaign version."""
    is_holdout = Enrollment.arm == Arm.HOLDOUT
    return [
        (treated, holdout, float(campaign_of_version(session, version).holdout))
        for version, treated, holdout in session.execute(
            select(
                Enrollment.campaign_version_id,
                func.count().filter(~is_holdout),
                func.count().filter(is_holdout),
            )
            .where(analyzed(campaign, now))
            .group_by(Enrollment.campaign_version_id)
        )
    ]


def read_states(session: Session, campaign: str) -> dict[str, dict[str, int]]:
    """Count enrollments by arm and state, every state listed."""
    counted = {
        (arm, state): number
        for arm, state, number in session.execute(
            select(Enrollment.arm, Enrollment.state, func.count())
            .where(Enrollment.campaign == campaign)
            .group_by(Enrollment.arm, Enrollment.state)
        )
    }
    return {
        arm.value: {state.value: counted.get((arm, state), 0) for state in EnrollmentState}
        for arm in Arm
    }


def read_reasons(session: Session, campaign: str) -> dict[str, int]:
    """Count customers by the reasons that they gave, most frequent first."""
    customers = func.count(Response.enrollment_id.distinct())
    query = (
        select(Response.reason, customers)
        .join(Enrollment, Enrollment.id == Response.enrollment_id)
        .where(Enrollment.campaign == campaign, Response.reason.is_not(None))
        .group_by(Response.reason)
        .order_by(customers.desc(), Response.reason)
    )
    return {reason or "": number for reason, number in session.execute(query)}


def read_enrolled(session: Session, campaign: str, now: datetime) -> Mapping[tuple[date, Arm], int]:
    """Count enrollments by their local date and arm."""
    return {
        (day, arm): number
        for day, arm, number in session.execute(
            select(Enrollment.enrolled_on, Enrollment.arm, func.count())
            .where(analyzed(campaign, now))
            .group_by(Enrollment.enrolled_on, Enrollment.arm)
        )
    }


def read_returns(session: Session, campaign: str, now: datetime) -> list[Return]:
    """Read who came back, and when."""
    rows = session.execute(
        select(
            Enrollment.arm, Enrollment.enrolled_at, Outcome.converted_at, Enrollment.measure_until
        )
        .join(Outcome, Outcome.enrollment_id == Enrollment.id)
        .where(analyzed(campaign, now), Outcome.converted_at <= now)
    )
    return [
        Return(row.arm, row.enrolled_at, row.converted_at, row.measure_until <= now)
        for row in rows
        if row.converted_at is not None
    ]


def read_funnel(session: Session, campaign: str, order: Sequence[str]) -> tuple[FunnelRow, ...]:
    """Count the messages of each step, channel and variant; steps in the campaign's order."""
    by = (Message.step, Message.is_answer, Message.channel, Message.variant)
    counts = {
        "queued": Message.state.in_([MessageState.QUEUED, MessageState.SENDING]),
        "sent": Message.accepted_at.is_not(None),
        "delivered": Message.state == MessageState.DELIVERED,
        "opened": Message.opened_at.is_not(None),
        "clicked": Message.clicked_at.is_not(None),
        "bounced": Message.state == MessageState.BOUNCED,
        "failed": Message.state == MessageState.FAILED,
        "unconfirmed": Message.state == MessageState.UNCONFIRMED,
        "skipped": Message.state == MessageState.SKIPPED,
        "canceled": Message.state == MessageState.CANCELED,
    }
    replied: Counter[tuple[Any, ...]] = Counter()
    for *key, number in session.execute(
        select(*by, func.count(Message.id.distinct()))
        .join(Response, Response.message_id == Message.id)
        .join(Enrollment, Enrollment.id == Message.enrollment_id)
        .where(Enrollment.campaign == campaign, Response.kind.in_(["reply", "reason"]))
        .group_by(*by)
    ):
        replied[tuple(key)] = number
    rows = session.execute(
        select(*by, *(func.count().filter(which).label(name) for name, which in counts.items()))
        .join(Enrollment, Enrollment.id == Message.enrollment_id)
        .where(Enrollment.campaign == campaign)
        .group_by(*by)
    )
    places = {name: place for place, name in enumerate(order)}
    return tuple(
        sorted(
            (
                FunnelRow(
                    step=row.step,
                    is_answer=row.is_answer,
                    channel=row.channel,
                    variant=row.variant,
                    replied=replied[tuple(row[:4])],
                    **{name: getattr(row, name) for name in counts},
                )
                for row in rows
            ),
            key=lambda row: (places.get(row.step, len(places)), row.step, row.channel, row.variant),
        )
    )
