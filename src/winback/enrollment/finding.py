"""Find whom detect must judge today: by what changed since it looked last, not by what is stored.

These are the newly lapsed; who changed (a field, a contact point, a consent, a purchase); refusals
whose day to look again has come, which a freed slot brings about as well; and those who wait for a
turn and whose rank moves with the days. After a change of the campaign it is everyone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, Result, bindparam, delete, exists, insert, or_, select
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.clock import local_date
from winback.database.bulk import on_conflict
from winback.database.tables import Customer, Detection, Enrollment, Refusal, Waiting, table_of
from winback.lapse.query import LAPSED, STREAMED, lapse_parameters, newly_lapsed_customers
from winback.lapse.rule import cutoff
from winback.settings import Settings

SLACK: Final = timedelta(days=1)
"""How far back is looked again: a pull commits later than the instant that it writes."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look of detect at one campaign: the version of it, the settings, the instant."""

    campaign: Campaign
    version_id: int
    settings: Settings
    now: datetime

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self.campaign.campaign

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the business's days are counted."""
        return self.settings.business.zone

    @property
    def currency(self) -> str:
        """The business's currency."""
        return self.settings.business.currency

    @property
    def today(self) -> date:
        """The business's local date of the instant."""
        return local_date(self.now, self.zone)

    @property
    def lapsed_until(self) -> date:
        """The latest date of a last purchase that has lapsed today."""
        return cutoff(self.campaign.lapse.after, self.today)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far earlier looks at this version of the campaign saw."""

    lapsed_until: date
    changed_until: datetime


def read_mark(session: Session, look: Look) -> Mark | None:
    """Give how far was looked; None where this version of the campaign is new."""
    row = session.execute(_MARK, {"campaign": look.name, "version": look.version_id}).one_or_none()
    return None if row is None else Mark(row.lapsed_until, row.changed_until)


def set_mark(session: Session, look: Look, mark: Mark | None) -> None:
    """Note that everything up to this look has been judged and written down."""
    seen = Mark(look.lapsed_until, look.now)
    if mark is None:
        # Everyone who has lapsed by this version's rule was judged; the others wait no more.
        session.execute(_FORGET_OTHER_VERSIONS, {"campaign": look.name, "version": look.version_id})
    else:
        # One of two machines may be a moment behind.
        seen = Mark(
            max(mark.lapsed_until, seen.lapsed_until), max(mark.changed_until, seen.changed_until)
        )
    session.connection().execute(
        _SET_MARK,
        {
            "campaign": look.name,
            "campaign_version_id": look.version_id,
            "lapsed_until": seen.lapsed_until,
            "changed_until": seen.changed_until,
        },
    )


def to_judge(session: Session, look: Look, mark: Mark | None) -> Iterator[Sequence[int]]:
    """Give the ids of whom to judge, batch by batch; some may come twice."""
    for found in _answers(session, look, mark):
        for rows in found.partitions():
            yield [row[0] for row in rows]


def _answers(session: Session, look: Look, mark: Mark | None) -> Iterator[Result[Any]]:
    after, now, zone = look.campaign.lapse.after, look.now, look.zone
    if mark is None:
        parameters = lapse_parameters(after, now=now, zone=zone)
        yield session.execute(LAPSED, parameters, execution_options=STREAMED)
        return
    yield newly_lapsed_customers(session, after, now=now, zone=zone, since=mark.lapsed_until)
    known = {
        "campaign": look.name,
        "version": look.version_id,
        "today": look.today,
        "now": now,
        "latest": look.lapsed_until,
        "back": min(mark.changed_until, now) - SLACK,
    }
    for query in (_CHANGED, _DUE, _RANKED_ANEW):
        yield session.execute(query, known, execution_options=STREAMED)


_CAMPAIGN: Final[BindParameter[str]] = bindparam("campaign")
_MARK: Final = select(Detection.lapsed_until, Detection.changed_until).where(
    Detection.campaign == _CAMPAIGN, Detection.campaign_version_id == bindparam("version")
)
_SET_MARK: Final = on_conflict(
    insert(table_of(Detection)),
    "campaign",
    replaces=("campaign_version_id", "lapsed_until", "changed_until"),
)
_FORGET_OTHER_VERSIONS: Final = (
    delete(Waiting)
    .where(Waiting.campaign == _CAMPAIGN, Waiting.campaign_version_id != bindparam("version"))
    .execution_options(synchronize_session=False)
)
_STANDS: Final = exists().where(
    Refusal.campaign == _CAMPAIGN,
    Refusal.customer_id == Customer.id,
    Refusal.campaign_version_id == bindparam("version"),
    Refusal.customer_changed_at == Customer.changed_at,
)
_IS_ENROLLED: Final = exists().where(
    Enrollment.campaign == _CAMPAIGN,
    Enrollment.customer_id == Customer.id,
    Enrollment.lapsed_on == Customer.last_purchased_on,
)
_CHANGED: Final = (
    select(Customer.id)
    .outerjoin(Waiting, (Waiting.campaign == _CAMPAIGN) & (Waiting.customer_id == Customer.id))
    .where(
        Customer.changed_at >= bindparam("back"),
        or_(
            Waiting.customer_changed_at != Customer.changed_at,
            Waiting.customer_id.is_(None)
            & or_(
                Customer.last_purchased_on <= bindparam("latest"),
                # Bought after this instant: an earlier purchase may have lapsed.
                Customer.last_purchased_at > bindparam("now"),
            ),
        ),
        ~_STANDS,
        ~_IS_ENROLLED,
    )
)
_DUE: Final = select(Refusal.customer_id).where(
    Refusal.campaign == _CAMPAIGN, Refusal.look_again_on <= bindparam("today")
)
_RANKED_ANEW: Final = select(Waiting.customer_id).where(
    Waiting.campaign == _CAMPAIGN, Waiting.ranks_until <= bindparam("today")
)
