"""Our own switch: pause all, one campaign or one channel, and go on later as if time had stood.

It lives in the database, so that no redeployment undoes it. While a campaign stands still nobody
enters it, nothing of it is planned or claimed, and its waits are frozen: going on moves every due
day, and the day on which a queued message turns stale, by the time that was lost: since the pause
began, or since the wait did, where somebody's began meanwhile. Vouchers keep
their expiry, which was promised, and so do reminders of it; sleepers keep the month they named.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.campaign.versions import campaign_of_version
from winback.clock import local_date
from winback.database.bulk import on_conflict
from winback.database.tables import Enrollment, Message, Pause, table_of
from winback.enrollment.timeline import ONE_DAY
from winback.enrollment.waits import Wait, waits_begun_after
from winback.states import OPEN_ENROLLMENTS, Channel, EnrollmentState, MessageState

OPERATOR: Final = "operator"
BRAKE: Final = "brake"
PROVIDER: Final = "provider"
WAITS_FOR_COUNTRY: Final = "its country is paused: {}"
"""Why a text is postponed to another day, where texts to its country stand still."""


class PauseScope(StrEnum):
    """What a pause stops."""

    ALL = "all"
    CAMPAIGN = "campaign"
    CHANNEL = "channel"
    COUNTRY = "country"
    """Texts to numbers of one country, by its ISO code (FACTS.md TW-17, 21408)."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """What stands still, each with the reason that was given."""

    all: str | None = None
    campaigns: dict[str, str] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)
    countries: dict[str, str] = field(default_factory=dict)
    """Their messages wait as for a cap: they may turn stale meanwhile."""

    def stops_campaign(self, campaign: str) -> str | None:
        """Say why nothing of a campaign happens; None where it goes on."""
        return self.all if self.all is not None else self.campaigns.get(campaign)

    def stops(self, campaign: str, channel: Channel) -> str | None:
        """Say why no message of a campaign leaves on a channel; None where it may."""
        whole = self.stops_campaign(campaign)
        return whole if whole is not None else self.channels.get(channel)


@dataclass(frozen=True, slots=True)
class Span:
    """A time of standing still: start inclusive; ``end`` None where it goes on."""

    start: datetime
    end: datetime | None


def frozen_since(spans: Iterable[Span], now: datetime) -> datetime | None:
    """Give since when the time without a gap before ``now`` was frozen; None where it was not.

    Spans may overlap: what two pauses covered counts once.
    """
    since: datetime | None = None
    for span in sorted(spans, key=lambda one: one.end or now, reverse=True):
        end = min(span.end or now, now)
        if end >= (since or now):
            since = min(span.start, since or now)
    return since if since is not None and since < now else None


_UNSAID: Final = "paused"
"""What is told of a pause without a reason."""


def standing_pauses(session: Session) -> Pauses:
    """Read what stands still now."""
    found = Pauses()
    whole: str | None = None
    for scope, name, why in session.connection().execute(_STANDING):
        said = why or _UNSAID
        if scope == PauseScope.ALL:
            whole = said
        elif scope == PauseScope.CAMPAIGN:
            found.campaigns[name] = said
        elif scope == PauseScope.CHANNEL:
            found.channels[name] = said
        else:
            found.countries[name] = said
    return replace(found, all=whole)


_PAUSES: Final = table_of(Pause)
_STANDING: Final = (
    select(_PAUSES.c.scope, _PAUSES.c.name, _PAUSES.c.why)
    .where(_PAUSES.c.resumed_at.is_(None))
    .order_by(_PAUSES.c.id)
)


def campaigns_to_pause(session: Session) -> set[str]:
    """Give the campaigns that stand still or that somebody is in, whatever the files say now.

    One that was renamed goes on for who entered it, and must be stopped and let go on by its name.
    """
    held = select(_PAUSES.c.name).where(
        _PAUSES.c.scope == PauseScope.CAMPAIGN, _PAUSES.c.resumed_at.is_(None)
    )
    entered = select(Enrollment.campaign).where(Enrollment.state.in_(OPEN_ENROLLMENTS))
    return {*session.scalars(held), *session.scalars(entered.distinct())}


def pause(
    session: Session, scope: PauseScope, name: str = "", *, by: str, why: str, now: datetime
) -> bool:
    """Let it stand still from now on; False where it does already. ``name`` is empty for all."""
    values = {"scope": scope, "name": name, "by": by, "why": why, "paused_at": now}
    return session.connection().execute(_PAUSE, values).scalar_one_or_none() is not None


_PAUSE: Final = on_conflict(insert(_PAUSES).returning(_PAUSES.c.id))


def reason_of(session: Session, scope: PauseScope, name: str = "") -> str | None:
    """Give the reason that was given for a pause that stands; None where there is none."""
    return session.connection().scalar(_REASON, {"scope": scope, "name": name})


_REASON: Final = select(_PAUSES.c.why).where(
    _PAUSES.c.scope == bindparam("scope"),
    _PAUSES.c.name == bindparam("name"),
    _PAUSES.c.resumed_at.is_(None),
)


def resume(
    session: Session, scope: PauseScope, name: str = "", *, now: datetime, zone: ZoneInfo
) -> bool:
    """Go on, whoever paused; False where nothing of that name stands still.

    What another pause still holds stays frozen, and is moved when that one ends.
    """
    held = {"scope": scope, "name": name}
    said = session.scalars(_HELD, held).all()
    if not said:
        return False
    before = standing_pauses(session)
    ended = {"b_scope": scope, "b_name": name, "now": now}
    session.connection().execute(_RESUME, ended)
    after = standing_pauses(session)
    for campaign in _freed_campaigns(session, before, after):
        since = _since(session, [(PauseScope.ALL, ""), (PauseScope.CAMPAIGN, campaign)], now)
        if since is not None:
            _move_enrollments(session, campaign, since=since, now=now, zone=zone)
    _move_messages(session, before, after, now=now)
    if scope is PauseScope.COUNTRY:
        _let_go(session, [why or _UNSAID for why in said], now=now)
    return True


_HELD: Final = select(_PAUSES.c.why).where(
    _PAUSES.c.scope == bindparam("scope"),
    _PAUSES.c.name == bindparam("name"),
    _PAUSES.c.resumed_at.is_(None),
)
_RESUME: Final = (
    update(_PAUSES)
    .where(
        _PAUSES.c.scope == bindparam("b_scope"),
        _PAUSES.c.name == bindparam("b_name"),
        _PAUSES.c.resumed_at.is_(None),
    )
    .values(resumed_at=bindparam("now"))
)

_OPEN: Final[Sequence[ColumnElement[bool]]] = (
    Enrollment.state == EnrollmentState.ACTIVE,
    ~Enrollment.is_asleep,
)


def _freed_campaigns(session: Session, before: Pauses, after: Pauses) -> list[str]:
    if before.all is None and before.campaigns == after.campaigns:
        return []
    names = session.scalars(select(Enrollment.campaign).where(*_OPEN).distinct())
    return [
        name for name in names if before.stops_campaign(name) and not after.stops_campaign(name)
    ]


def _since(
    session: Session, covers: Collection[tuple[PauseScope, str]], now: datetime
) -> datetime | None:
    """Give since when anything of ``covers`` kept it frozen until now."""
    rows = session.execute(
        select(_PAUSES.c.paused_at, _PAUSES.c.resumed_at).where(
            or_(*[(_PAUSES.c.scope == scope) & (_PAUSES.c.name == name) for scope, name in covers])
        )
    )
    return frozen_since([Span(start, end) for start, end in rows], now)


def _move_enrollments(
    session: Session, campaign: str, *, since: datetime, now: datetime, zone: ZoneInfo
) -> None:
    """Move the due days of a campaign's active enrollments by the local days that each lost."""
    lost = local_date(now, zone) - local_date(since, zone)
    if not lost:
        return
    versions = session.scalars(
        select(Enrollment.campaign_version_id)
        .where(Enrollment.campaign == campaign, *_OPEN)
        .distinct()
    ).all()
    for version_id in versions:
        written = campaign_of_version(session, version_id)
        reminders = [one.step for one in written.steps if one.before_expiry is not None]
        mine = (
            Enrollment.campaign_version_id == version_id,
            *_OPEN,
            or_(Enrollment.next_step.is_(None), Enrollment.next_step.not_in(reminders)),
        )
        late = waits_begun_after(session, since, mine)
        _move_days(session, mine, lost)
        _move_back(session, written, late, lost=lost, now=now, zone=zone)


def _move_back(
    session: Session,
    campaign: Campaign,
    late: Sequence[Wait],
    *,
    lost: timedelta,
    now: datetime,
    zone: ZoneInfo,
) -> None:
    """Take back the days before the wait of those who began to wait while it stood still.

    Nobody waits longer than the whole wait of what comes next: where the end of a step was noticed
    late, what follows was due on the day it was noticed, not when its wait was over.
    """
    today = local_date(now, zone)
    waits = {one.step: one.wait for one in campaign.steps} | {None: campaign.rest}
    right: list[dict[str, object]] = []
    for one in late:
        due_on = one.due_on + (today - local_date(one.began_at, zone))
        if (wait := waits.get(one.next_step)) is not None:
            due_on = min(due_on, max(wait.after(today), today + ONE_DAY))
        right.append({"b_id": one.id, "b_due_on": one.due_on + lost, "due_on": due_on})
    if right:
        session.connection().execute(_SET_RIGHT, right)


_ENROLLMENTS: Final = table_of(Enrollment)
_SET_RIGHT: Final = (
    update(_ENROLLMENTS)
    .where(_ENROLLMENTS.c.id == bindparam("b_id"), _ENROLLMENTS.c.due_on == bindparam("b_due_on"))
    .values(due_on=bindparam("due_on"))
)


def _move_days(session: Session, mine: Sequence[ColumnElement[bool]], lost: timedelta) -> None:
    days = session.scalars(
        select(Enrollment.due_on).where(*mine, Enrollment.due_on.is_not(None)).distinct()
    )
    # One statement for each day, the latest first, so that none is moved twice: the two
    # databases have no arithmetic of dates in common.
    for day in sorted((day for day in days if day is not None), reverse=True):
        session.execute(
            update(Enrollment)
            .where(*mine, Enrollment.due_on == day)
            .values(due_on=day + lost)
            .execution_options(synchronize_session=False)
        )


def _move_messages(session: Session, before: Pauses, after: Pauses, *, now: datetime) -> None:
    """Let queued messages that are free again keep the freshness they had."""
    waiting = session.execute(
        select(Message.id, Message.channel, Message.queued_at, Message.drop_at, Enrollment.campaign)
        .join(Enrollment, Enrollment.id == Message.enrollment_id)
        .where(Message.state == MessageState.QUEUED)
    ).all()
    sinces: dict[tuple[str, Channel], datetime | None] = {}
    moved: list[dict[str, object]] = []
    for id_, channel, queued_at, drop_at, campaign in waiting:
        if before.stops(campaign, channel) is None or after.stops(campaign, channel) is not None:
            continue
        if (campaign, channel) not in sinces:
            covers = [
                (PauseScope.ALL, ""),
                (PauseScope.CAMPAIGN, campaign),
                (PauseScope.CHANNEL, channel.value),
            ]
            sinces[campaign, channel] = _since(session, covers, now)
        since = sinces[campaign, channel]
        if since is not None:
            moved.append({"b_id": id_, "drop_at": drop_at + (now - max(since, queued_at))})
    if moved:
        session.connection().execute(_KEEP_FRESH, moved)


def _let_go(session: Session, said: Sequence[str], *, now: datetime) -> None:
    """Let texts that wait for a country be asked again at once, and not on another day.

    Known by why they wait: what else holds one of them, another country too, holds it again.
    """
    # What was refused at its call waits in the words of the pause that came of it.
    whys = [*said, *(WAITS_FOR_COUNTRY.format(why) for why in said)]
    session.connection().execute(_LET_GO, {"whys": whys, "now": now})


_MESSAGES: Final = table_of(Message)
_LET_GO: Final = (
    update(_MESSAGES)
    .where(
        _MESSAGES.c.state == MessageState.QUEUED,
        _MESSAGES.c.due_at > bindparam("now"),
        _MESSAGES.c.channel == Channel.SMS,
        _MESSAGES.c.reason.in_(bindparam("whys", expanding=True)),
    )
    .values(due_at=bindparam("now"))
)
_KEEP_FRESH: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"), _MESSAGES.c.state == MessageState.QUEUED)
    .values(drop_at=bindparam("drop_at"))
)
