"""The warm-up of a mail domain: how many mails a day, and how many new people these allow.

In ``live`` only (FACTS.md LAW-21). A day with mails makes the next day's number half as large
again, unless a brake stood on it: growth is for days that went well.
"""

from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, exists, func, or_, select
from sqlalchemy.orm import Session

from winback.campaign.versions import campaign_of_version
from winback.clock import day_start, local_date
from winback.database.tables import ChannelDay, Enrollment, Message, Pause, table_of
from winback.delivery.limits import days_to_full, warm_up_limit
from winback.delivery.run import Run
from winback.delivery.windows import tomorrow_start
from winback.enrollment.pausing import BRAKE, Pauses, standing_pauses
from winback.settings import Settings
from winback.states import Channel, EnrollmentState, MessageState, Mode

_ONE_DAY: Final = timedelta(days=1)


def warms_up(settings: Settings) -> bool:
    """Say whether mails warm up at all: in ``live``, unless the owner switched it off."""
    return settings.mode is Mode.LIVE and settings.policies.warm_up == "auto"


def mails_of_day(session: Session, settings: Settings, today: date) -> int:
    """Give how many mails may leave on a local day, of a business whose mails warm up."""
    limit = settings.policies.daily_limits.email
    enough = days_to_full(limit)
    braked = _braked_days(session, settings.business.zone, today)
    asked = {"today": today, "most": enough + len(braked)}
    days = session.connection().scalars(_DAYS_WITH_MAILS, asked)
    grown = (day for day in days if day not in braked)
    return warm_up_limit(sum(1 for _ in islice(grown, enough)), limit)


def mails_spoken_for(session: Session, campaigns: Collection[str], *, run: Run) -> int:
    """Give how many mails of today belong to people who are enrolled, and are not claimed yet.

    Steps that are due and may be mails, mails that are queued for today, and who entered one of
    ``campaigns`` today and got nothing: a holdout uses up the number as it uses up the campaign's
    daily limit. What stands still takes none of today's mails.
    """
    pauses = standing_pauses(session)
    due: int = sum(
        count
        for campaign, version_id, step, count in session.execute(_DUE_STEPS, {"today": run.today})
        if _goes_on(pauses, campaign)
        and Channel.EMAIL in campaign_of_version(session, version_id).step(step).channels
    )
    tomorrow = {"tomorrow": tomorrow_start(run.now, run.zone)}
    queued: int = sum(
        count
        for campaign, count in session.execute(_QUEUED_MAILS, tomorrow)
        if _goes_on(pauses, campaign)
    )
    entered = {
        "campaigns": campaigns,
        "midnight": day_start(run.today, run.zone),
        "today": run.today,
    }
    return due + queued + session.scalars(_ENTERED_WITHOUT, entered).one()


def _goes_on(pauses: Pauses, campaign: str) -> bool:
    return pauses.stops(campaign, Channel.EMAIL) is None


def _braked_days(session: Session, zone: ZoneInfo, today: date) -> set[date]:
    """Give the local days before today on which a brake came, or stood for a while."""
    spans: Iterable[tuple[datetime, datetime | None]]
    spans = session.connection().execute(_BRAKES).tuples()
    braked: set[date] = set()
    for paused_at, resumed_at in spans:
        day = local_date(paused_at, zone)
        last = today - _ONE_DAY if resumed_at is None else local_date(resumed_at, zone)
        while day <= min(last, today - _ONE_DAY):
            braked.add(day)
            day += _ONE_DAY
    return braked


_DAYS: Final = table_of(ChannelDay).c
_DAYS_WITH_MAILS: Final = (
    select(_DAYS.day)
    .where(_DAYS.channel == Channel.EMAIL, _DAYS.day < bindparam("today"), _DAYS.claimed > 0)
    .order_by(_DAYS.day)
    .limit(bindparam("most"))
)
_BRAKES: Final = select(Pause.paused_at, Pause.resumed_at).where(Pause.by == BRAKE)
_HAS_MESSAGE: Final = exists().where(
    Message.enrollment_id == Enrollment.id,
    Message.step == Enrollment.next_step,
    Message.state.in_((MessageState.QUEUED, MessageState.SENDING, MessageState.UNCONFIRMED)),
)
_IS_DUE: Final = (
    Enrollment.state == EnrollmentState.ACTIVE,
    Enrollment.due_on <= bindparam("today"),
    Enrollment.next_step.is_not(None),
)
_DUE_STEPS: Final = (
    select(Enrollment.campaign, Enrollment.campaign_version_id, Enrollment.next_step, func.count())
    .where(*_IS_DUE, ~_HAS_MESSAGE)
    .group_by(Enrollment.campaign, Enrollment.campaign_version_id, Enrollment.next_step)
)
_QUEUED_MAILS: Final = (
    select(Enrollment.campaign, func.count())
    .select_from(Message)
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(
        Message.state == MessageState.QUEUED,
        Message.channel == Channel.EMAIL,
        Message.due_at < bindparam("tomorrow"),
    )
    .group_by(Enrollment.campaign)
)
_ENTERED_WITHOUT: Final = select(func.count()).where(
    Enrollment.campaign.in_(bindparam("campaigns", expanding=True)),
    # Implied by the next line; it is what the index knows.
    Enrollment.enrolled_at >= bindparam("midnight"),
    Enrollment.enrolled_on == bindparam("today"),
    or_(Enrollment.due_on > bindparam("today"), Enrollment.state == EnrollmentState.HELD_OUT),
    ~exists().where(Message.enrollment_id == Enrollment.id),
)
