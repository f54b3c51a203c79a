"""Which messages' ends are not known, and what their providers can be asked by."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, Integer, Row, bindparam, or_, select
from sqlalchemy.orm import Session

from winback.database.tables import ContactPoint, Message, table_of
from winback.delivery.doubting import LOOKS
from winback.delivery.marking import markers_of
from winback.messages.keeping import read_context
from winback.providers.lookups import Sought
from winback.states import Channel, MessageState

MOST_AT_A_TIME: Final = 500
"""Messages asked about in one pass; the others wait for the next one."""

UNHEARD_AFTER: Final = timedelta(hours=24)
"""From this age on an accepted message should have been delivered, or not, long since."""

UNHEARD_UNTIL: Final = timedelta(days=14)
"""Beyond this age nobody is asked any more."""


@dataclass(frozen=True, slots=True)
class Open:
    """One message whose end is not known, and what to ask by; None: nothing is left."""

    row: Row[Any]
    sought: Sought | None

    @property
    def is_in_doubt(self) -> bool:
        """Say whether it is unknown even if it was accepted."""
        return bool(self.row.state is MessageState.UNCONFIRMED)


def due_for_asking(engine: Engine, channels: Sequence[Channel], *, now: datetime) -> list[Open]:
    """Give what is to be asked about at ``now``, doubts first, the oldest first; only reads."""
    reads = engine.execution_options(winback_reads_only=True)
    given = {"channels": channels, "now": now, "most": MOST_AT_A_TIME}
    doubt = {**given, "first_look": now - LOOKS[0]}
    unheard = {**given, "until": now - UNHEARD_AFTER, "since": now - UNHEARD_UNTIL}
    with Session(reads) as session:
        rows = [*session.execute(_IN_DOUBT, doubt), *session.execute(_UNHEARD, unheard)]
        return [Open(row, _sought(session, row)) for row in rows[:MOST_AT_A_TIME]]


def _sought(session: Session, row: Row[Any]) -> Sought | None:
    if row.address is None or row.send_id is None:
        return None
    markers: tuple[str, ...] = ()
    if row.channel is Channel.SMS and row.provider_message_id is None:
        context = read_context(session, row.context, row.shared_context_id)
        markers = markers_of(session, row.template_version_id, context)
    return Sought(
        send_id=row.send_id,
        address=row.address,
        claimed_at=row.claimed_at,
        markers=markers,
        provider_message_id=row.provider_message_id,
    )


_MESSAGES: Final = table_of(Message)
_POINTS: Final = table_of(ContactPoint)
_OPEN: Final = (
    select(
        _MESSAGES.c.id,
        _MESSAGES.c.state,
        _MESSAGES.c.channel,
        _MESSAGES.c.send_id,
        _MESSAGES.c.claimed_at,
        _MESSAGES.c.looks,
        _MESSAGES.c.reason,
        _MESSAGES.c.context,
        _MESSAGES.c.shared_context_id,
        _MESSAGES.c.template_version_id,
        _MESSAGES.c.provider_message_id,
        _POINTS.c.address,
    )
    .outerjoin(_POINTS, _POINTS.c.id == _MESSAGES.c.contact_point_id)
    .where(_MESSAGES.c.channel.in_(bindparam("channels", expanding=True)))
    .limit(bindparam("most", type_=Integer))
)
_IN_DOUBT: Final = _OPEN.where(
    _MESSAGES.c.state == MessageState.UNCONFIRMED,
    or_(
        _MESSAGES.c.look_at <= bindparam("now"),
        # Whoever put it in doubt did not say when to look.
        _MESSAGES.c.look_at.is_(None)
        & (_MESSAGES.c.looks == 0)
        & (_MESSAGES.c.claimed_at <= bindparam("first_look")),
    ),
).order_by(_MESSAGES.c.claimed_at, _MESSAGES.c.id)
_UNHEARD: Final = _OPEN.where(
    _MESSAGES.c.state == MessageState.ACCEPTED,
    _MESSAGES.c.accepted_at <= bindparam("until"),
    # By the index of what is due, so that old ones are not read again and again.
    _MESSAGES.c.due_at <= bindparam("until"),
    _MESSAGES.c.due_at > bindparam("since"),
    or_(
        _MESSAGES.c.look_at <= bindparam("now"),
        _MESSAGES.c.look_at.is_(None) & (_MESSAGES.c.looks == 0),
    ),
).order_by(_MESSAGES.c.due_at, _MESSAGES.c.id)
