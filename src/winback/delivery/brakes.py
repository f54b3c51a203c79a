"""Pause a campaign by itself when bounces or complaints go too high (``brake_rules``).

Looks at the last 24 hours, and no further back than the last time an operator let the campaign
go on: what was decided already does not stop it again.
"""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BindParameter, bindparam, case, func, select
from sqlalchemy.orm import Session

from winback.database.tables import ContactPoint, Enrollment, Event, Message, Pause
from winback.delivery.brake_rules import DayOfMail, Verdict, judge
from winback.enrollment.pausing import BRAKE, PauseScope, pause
from winback.states import Channel, EventKind, MessageState

_DAY: Final = timedelta(days=1)


def apply_brakes(session: Session, *, now: datetime) -> dict[str, Verdict]:
    """Pause campaigns that must stop; gives what was said of each, warnings too.

    Safe to repeat: what stands still already is not paused again.
    """
    found = look_at_rates(session, now=now)
    for campaign, verdict in found.items():
        if verdict.stops:
            pause(session, PauseScope.CAMPAIGN, campaign, by=BRAKE, why=verdict.why, now=now)
    return found


def look_at_rates(session: Session, *, now: datetime) -> dict[str, Verdict]:
    """Give what speaks against each campaign today, warnings too; changes nothing."""
    verdicts = {
        campaign: judge(_day_of_mail(session, campaign, since=since))
        for campaign, since in _mailing(session, now=now).items()
    }
    return {campaign: verdict for campaign, verdict in verdicts.items() if verdict is not None}


def _mailing(session: Session, *, now: datetime) -> dict[str, datetime]:
    """Give the campaigns that anything speaks against, and since when to look."""
    since = now - _DAY
    asked = {"since": since}
    suspects = {
        *session.scalars(_BOUNCING, asked),
        *session.scalars(_COMPLAINED_OF, asked),
    }
    if not suspects:
        return {}
    let_go = dict(session.execute(_LET_GO, {"campaigns": suspects}).tuples().all())
    return {one: max(since, let_go.get(one) or since) for one in sorted(suspects)}


def _day_of_mail(session: Session, campaign: str, *, since: datetime) -> DayOfMail:
    asked = {"since": since, "campaign": campaign}
    accepted, bounced = session.execute(_MAILED, asked).one()
    complaints = Counter(map(_domain, session.scalars(_COMPLAINERS, asked)))
    by_domain: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    if complaints:
        delivered = Counter(map(_domain, session.scalars(_DELIVERED_TO, asked)))
        for domain in {*delivered, *complaints}:
            by_domain[domain] = (delivered[domain], complaints[domain])
    return DayOfMail(accepted, bounced or 0, by_domain)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


_SINCE: Final[BindParameter[datetime]] = bindparam("since")
_OF_DAY: Final = (
    Message.channel == Channel.EMAIL,
    Message.claimed_at >= _SINCE,
    Message.accepted_at.is_not(None),
)
_OF_CAMPAIGN: Final = Enrollment.campaign == bindparam("campaign")
_IS_BOUNCED: Final = Message.state == MessageState.BOUNCED
_COMPLAINTS: Final = (Event.kind == EventKind.COMPLAINED, Event.received_at >= _SINCE)

_BOUNCING: Final = (
    select(Enrollment.campaign)
    .join(Message, Message.enrollment_id == Enrollment.id)
    .where(*_OF_DAY, _IS_BOUNCED)
    .distinct()
)
_COMPLAINED_OF: Final = (
    select(Enrollment.campaign)
    .join(Message, Message.enrollment_id == Enrollment.id)
    .join(Event, Event.message_id == Message.id)
    .where(*_COMPLAINTS)
    .distinct()
)
_LET_GO: Final = (
    select(Pause.name, func.max(Pause.resumed_at))
    .where(
        Pause.scope == PauseScope.CAMPAIGN,
        Pause.by == BRAKE,
        Pause.name.in_(bindparam("campaigns", expanding=True)),
    )
    .group_by(Pause.name)
)
_MAILED: Final = (
    select(func.count(), func.sum(case((_IS_BOUNCED, 1), else_=0)))
    .select_from(Message)
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(*_OF_DAY, _OF_CAMPAIGN)
)
_COMPLAINERS: Final = (
    select(ContactPoint.address)
    .join(Message, Message.contact_point_id == ContactPoint.id)
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(
        _OF_CAMPAIGN,
        Message.id.in_(select(Event.message_id).where(*_COMPLAINTS)),
    )
)
_DELIVERED_TO: Final = (
    select(ContactPoint.address)
    .join(Message, Message.contact_point_id == ContactPoint.id)
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(*_OF_DAY, _OF_CAMPAIGN, Message.state == MessageState.DELIVERED)
)
