"""Which messages' ends are not known, and what their providers can be asked by."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine, Integer, Row, bindparam, or_, select
from sqlalchemy.orm import Session

from winback.database.among import aside
from winback.database.tables import ContactPoint, Message, table_of
from winback.delivery.doubting import LOOKS
from winback.delivery.marking import Marks, marks_of
from winback.messages.keeping import read_context
from winback.providers.lookups import AFTER, BEFORE, Rival, Sought
from winback.states import Channel, MessageState, Mode

MOST_AT_A_TIME: Final = 500
"""Messages of a channel asked about in one pass; the others wait for the next one."""

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


def due_for_asking(
    engine: Engine,
    channels: Sequence[Channel],
    *,
    now: datetime,
    mode: Mode,
    most: int = MOST_AT_A_TIME,
) -> list[Open]:
    """Give what is to be asked about at ``now``, at ``most`` so many of a channel; only reads.

    Doubts first, the oldest first. Each channel for itself: a provider that is away leaves many
    behind, and must not hide what another one would tell. In ``mode`` test texts to different
    numbers may have gone to one.
    """
    reads = engine.execution_options(winback_reads_only=True)
    with Session(reads) as session:
        rows = [row for one in channels for row in _due(session, one, now=now, most=most)]
        seeker = _Seeker(session, rows, mode)
        return [Open(row, seeker.sought(row)) for row in rows]


def _due(session: Session, channel: Channel, *, now: datetime, most: int) -> Sequence[Row[Any]]:
    given = {"channel": channel, "now": now, "most": most}
    doubt = {**given, "first_look": now - LOOKS[0]}
    unheard = {**given, "until": now - UNHEARD_AFTER, "since": now - UNHEARD_UNTIL}
    return [*session.execute(_IN_DOUBT, doubt), *session.execute(_UNHEARD, unheard)][:most]


class _Seeker:
    """Says what to ask by, and which other texts without an id may be taken for a text."""

    def __init__(self, session: Session, rows: Sequence[Row[Any]], mode: Mode) -> None:
        self._session = session
        self._may_share_number = mode is Mode.TEST
        self._marks: dict[int, Marks] = {}
        claims = [row.claimed_at for row in rows if _is_sought_by_words(row)]
        # Of two claims so far apart no evidence fits both.
        apart = BEFORE + AFTER
        span = {"since": min(claims) - apart, "until": max(claims) + apart} if claims else None
        self._without_id = session.execute(_WITHOUT_ID, span).all() if span else ()

    def sought(self, row: Row[Any]) -> Sought | None:
        """Give what to ask by; None where nothing is left."""
        if row.address is None or row.send_id is None:
            return None
        marks = self._marks_of(row) if _is_sought_by_words(row) else Marks()
        is_certain = marks.are_its_own or not marks.markers
        return Sought(
            send_id=row.send_id,
            address=row.address,
            claimed_at=row.claimed_at,
            markers=marks.markers,
            provider_message_id=row.provider_message_id,
            rivals=() if is_certain else tuple(self._rivals(row, marks)),
        )

    def _rivals(self, row: Row[Any], marks: Marks) -> Iterator[Rival]:
        for other in self._without_id:
            if other.id == row.id or abs(other.claimed_at - row.claimed_at) > BEFORE + AFTER:
                continue
            # The hash outlives an erasure.
            if other.address_hash == row.address_hash:
                yield Rival(row.address, other.claimed_at, self._marks_of(other).markers)
            elif self._may_share_number and other.address is not None:
                markers = self._marks_of(other).markers
                if not set(markers).isdisjoint(marks.markers):
                    yield Rival(other.address, other.claimed_at, markers)

    def _marks_of(self, row: Row[Any]) -> Marks:
        if row.id not in self._marks:
            context = read_context(self._session, row.context, row.shared_context_id)
            self._marks[row.id] = marks_of(self._session, row.template_version_id, context)
        return self._marks[row.id]


def _is_sought_by_words(row: Row[Any]) -> bool:
    return row.channel is Channel.SMS and row.provider_message_id is None


_MESSAGES: Final = table_of(Message)
_POINTS: Final = table_of(ContactPoint)
_ROWS: Final = select(
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
    _MESSAGES.c.address_hash,
    _POINTS.c.address,
).outerjoin(_POINTS, _POINTS.c.id == _MESSAGES.c.contact_point_id)
_WITHOUT_ID: Final = _ROWS.where(
    _MESSAGES.c.channel == Channel.SMS,
    _MESSAGES.c.claimed_at.between(bindparam("since"), bindparam("until")),
    _MESSAGES.c.provider_message_id.is_(None),
    # Surely or perhaps taken; what an operator called accepted has no id either.
    _MESSAGES.c.state.in_(
        (
            MessageState.SENDING,
            MessageState.UNCONFIRMED,
            MessageState.ACCEPTED,
            MessageState.DELIVERED,
        )
    ),
)
_OPEN: Final = _ROWS.limit(bindparam("most", type_=Integer))
# Each in the order of its index: in that of the other one, a database may read all that was sent.
_IN_DOUBT: Final = _OPEN.where(
    aside(_MESSAGES.c.channel) == bindparam("channel"),
    _MESSAGES.c.state == MessageState.UNCONFIRMED,
    or_(
        _MESSAGES.c.look_at <= bindparam("now"),
        # Whoever put it in doubt did not say when to look.
        _MESSAGES.c.look_at.is_(None)
        & (_MESSAGES.c.looks == 0)
        & (_MESSAGES.c.claimed_at <= bindparam("first_look")),
    ),
).order_by(_MESSAGES.c.due_at, _MESSAGES.c.id)
_UNHEARD: Final = _OPEN.where(
    # By the index of claims, so that old ones are not read again and again. Not by when it was
    # due: what a pause held back was due long before it left.
    _MESSAGES.c.channel == bindparam("channel"),
    _MESSAGES.c.claimed_at <= bindparam("until"),
    _MESSAGES.c.claimed_at > bindparam("since"),
    aside(_MESSAGES.c.state) == MessageState.ACCEPTED,
    _MESSAGES.c.accepted_at <= bindparam("until"),
    or_(
        _MESSAGES.c.look_at <= bindparam("now"),
        _MESSAGES.c.look_at.is_(None) & (_MESSAGES.c.looks == 0),
    ),
).order_by(_MESSAGES.c.claimed_at, _MESSAGES.c.id)
