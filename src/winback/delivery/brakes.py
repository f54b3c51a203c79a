"""Pause a campaign by itself when bounces or complaints go too high (``brake_rules``).

Judged is each local day on which mails left, by what was told of these very mails since: the last
day with mails, and the three days before it, since a mailbox may be tried for 72 hours. So the
last sending is judged before the next, however much later that begins, and a late complaint
counts against the day of its mail. While mails warm up, the bounces of these days are judged
together, too: each day is small by our own doing (FACTS.md LAW-21). What left before an operator
let the campaign go on was decided then, and does not stop it again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, bindparam, case, func, or_, select
from sqlalchemy.orm import Session

from winback.clock import day_start, local_date
from winback.database.tables import ContactPoint, Enrollment, Event, Message, Pause
from winback.delivery.brake_rules import (
    BOUNCES_AT_LEAST,
    COMPLAINTS_AT_LEAST,
    DayOfMail,
    Verdict,
    judge,
    together,
    worst,
)
from winback.delivery.run import Run
from winback.delivery.warming import warms_up
from winback.enrollment.pausing import BRAKE, PauseScope, pause, standing_pauses
from winback.failpoints import committing
from winback.settings import Settings
from winback.states import Channel, EventKind, MessageState

_ONE_DAY: Final = timedelta(days=1)
_DAYS: Final = 4
"""The last day with mails and three before it: for 72 hours a mailbox is tried again (SG-19)."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A local day of a campaign's mails, or what of it came after an operator let it go on."""

    campaign: str
    day: date
    since: datetime
    until: datetime
    is_complained_of: bool
    """Often enough to ask of whom: that takes all addresses of the day."""


def apply_brakes(session: Session, *, now: datetime, settings: Settings) -> dict[str, Verdict]:
    """Pause campaigns that must stop; gives what was said of each, warnings too.

    Safe to repeat: what stands still already is not paused again.
    """
    found = look_at_rates(session, settings=settings)
    for campaign, verdict in found.items():
        if verdict.stops:
            pause(session, PauseScope.CAMPAIGN, campaign, by=BRAKE, why=verdict.why, now=now)
    return found


def brake_meanwhile(run: Run) -> None:
    """Pause campaigns that must stop while a run sends; writes only where one goes on as yet.

    Its claims see the pause, and its calls within a second, as they see an operator's.
    """
    with Session(run.reads) as session:
        found = look_at_rates(session, settings=run.business.settings)
        standing = standing_pauses(session)
    if any(one.stops and standing.stops_campaign(name) is None for name, one in found.items()):
        with Session(run.writes) as session, committing(session.begin(), "send.brake"):
            apply_brakes(session, now=run.now, settings=run.business.settings)


def look_at_rates(session: Session, *, settings: Settings) -> dict[str, Verdict]:
    """Give what speaks against each campaign now, warnings too; changes nothing."""
    zone, adds_up = settings.business.zone, warms_up(settings)
    since = rated_since(session, zone)
    if since is None:
        return {}
    verdicts: dict[str, Verdict | None] = {}
    parts = _suspected(session, since, zone, adds_up=adds_up)
    for campaign, of_campaign in groupby(parts, lambda part: part.campaign):
        mails = [_mail_of(session, part) for part in of_campaign]
        added = [together(mails)] if adds_up else []
        verdicts[campaign] = worst([judge(mail) for mail in (*mails, *added)])
    return {campaign: verdict for campaign, verdict in verdicts.items() if verdict is not None}


def rated_since(session: Session, zone: ZoneInfo) -> datetime | None:
    """Give from when on mails are judged; None where none ever left."""
    last = session.scalars(_LAST_CLAIM).one_or_none()
    return (
        None if last is None else day_start(local_date(last, zone) - (_DAYS - 1) * _ONE_DAY, zone)
    )


def _suspected(
    session: Session, since: datetime, zone: ZoneInfo, *, adds_up: bool
) -> Iterator[_Part]:
    """Give the days that enough speaks against to judge them, the last of a campaign first.

    ``adds_up`` where the days of a campaign are judged together, too: it takes all of them then.
    """
    let_go = {name: at for name, at in session.execute(_LET_GO).tuples() if at is not None}
    bounced, complained = (
        Counter(
            (campaign, local_date(at, zone))
            for campaign, at in session.execute(told, {"since": since}).tuples()
            if at is not None and at >= let_go.get(campaign, since)
        )
        for told in (_BOUNCED, _COMPLAINED_OF)
    )
    in_all: Counter[str] = Counter()
    for (campaign, _), count in bounced.items():
        in_all[campaign] += count if adds_up else 0
    whole = {campaign for campaign, count in in_all.items() if count >= BOUNCES_AT_LEAST}
    first = local_date(since, zone)
    days = [first + n * _ONE_DAY for n in range(_DAYS)]
    known = {*bounced, *complained, *((campaign, day) for campaign in whole for day in days)}
    for campaign, day in sorted(known, key=_last_first):
        is_complained_of = complained[campaign, day] >= COMPLAINTS_AT_LEAST
        has_bounced = bounced[campaign, day] >= BOUNCES_AT_LEAST
        if is_complained_of or has_bounced or campaign in whole:
            begins = max(day_start(day, zone), let_go.get(campaign, since))
            until = day_start(day + _ONE_DAY, zone)
            yield _Part(campaign, day, begins, until, is_complained_of)


def _last_first(of: tuple[str, date]) -> tuple[str, int]:
    campaign, day = of
    return campaign, -day.toordinal()


def _mail_of(session: Session, part: _Part) -> DayOfMail:
    asked = {"since": part.since, "until": part.until, "campaign": part.campaign}
    accepted, bounced = session.execute(_MAILED, asked).one()
    by_domain = _by_domain(session, asked) if part.is_complained_of else {}
    return DayOfMail(part.day, accepted, bounced or 0, by_domain)


def _by_domain(session: Session, asked: Mapping[str, object]) -> dict[str | None, tuple[int, int]]:
    """Give how many mails were delivered at each domain, and how many of them called spam."""
    found: defaultdict[str | None, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for address, is_spam in session.execute(_DELIVERED_TO, asked):
        domain = None if address is None else address.rpartition("@")[2].lower()
        good, bad = found[domain]
        found[domain] = good + 1, bad + is_spam
    return found


_SINCE: Final[BindParameter[datetime]] = bindparam("since")
_MAILS: Final = (
    Message.channel == Channel.EMAIL,
    Message.claimed_at >= _SINCE,
    Message.accepted_at.is_not(None),
)
_OF_PART: Final = (
    *_MAILS,
    Message.claimed_at < bindparam("until"),
    Enrollment.campaign == bindparam("campaign"),
)
_IS_BOUNCED: Final = Message.state == MessageState.BOUNCED
# No complaint is older than its mail; so the index of complaints leads to those of these mails.
_COMPLAINTS: Final = (Event.kind == EventKind.COMPLAINED, Event.received_at >= _SINCE)
_IS_SPAM: Final = Message.id.in_(
    select(Event.message_id).where(*_COMPLAINTS, Event.message_id.is_not(None))
)

_LAST_CLAIM: Final = (
    select(Message.claimed_at)
    .where(Message.channel == Channel.EMAIL, Message.claimed_at.is_not(None))
    .order_by(Message.claimed_at.desc())
    .limit(1)
)
_BOUNCED: Final = (
    select(Enrollment.campaign, Message.claimed_at)
    .join(Message, Message.enrollment_id == Enrollment.id)
    .where(*_MAILS, _IS_BOUNCED)
)
_COMPLAINED_OF: Final = (
    select(Enrollment.campaign, Message.claimed_at)
    .join(Message, Message.enrollment_id == Enrollment.id)
    .where(*_MAILS, _IS_SPAM)
)
_LET_GO: Final = (
    select(Pause.name, func.max(Pause.resumed_at))
    .where(
        Pause.scope == PauseScope.CAMPAIGN,
        Pause.by == BRAKE,
        Pause.resumed_at.is_not(None),
    )
    .group_by(Pause.name)
)
_MAILED: Final = (
    select(func.count(), func.sum(case((_IS_BOUNCED, 1), else_=0)))
    .select_from(Message)
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(*_OF_PART)
)
# Whoever calls a mail spam has got it, whether or not that was told before; and it was one, even
# where the address was erased since (LAW-39).
_DELIVERED_TO: Final = (
    select(ContactPoint.address, _IS_SPAM.label("is_spam"))
    .select_from(Message)
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .outerjoin(ContactPoint, ContactPoint.id == Message.contact_point_id)
    .where(*_OF_PART, or_(Message.state == MessageState.DELIVERED, _IS_SPAM))
)
