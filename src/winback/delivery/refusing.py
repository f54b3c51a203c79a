"""Refusals that come in a row: what many messages meet alike is no fault of theirs.

One refused message is failed, and its step is over (FACTS.md TW-17, SG-14). Ten of them in a row
in the same words, and not one accepted in between, tell of something that they share: by what is
written down, so over all runs and workers. If nearly all are of one step it may be its template,
and its campaign stops by itself until an operator resumes; else the channel is closed. Refusals
of persons (an invalid address, a no) do not count, neither for a row nor against it.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy import Row, bindparam, exists, select
from sqlalchemy.orm import Session

from winback.database.tables import Enrollment, Message, Suppression
from winback.delivery.breaker import PAUSE
from winback.delivery.closing import close_channel
from winback.delivery.gate import Hold
from winback.enrollment.pausing import BRAKE, PauseScope, pause
from winback.providers.outgoing import Refused
from winback.states import Channel, MessageState, SuppressionReason

_log = logging.getLogger(__name__)

REFUSED_IN_A_ROW: Final = 10
"""Equal refusals, one after the other, that stop what they have in common."""
OF_OTHERS: Final = 3
"""Of these so many at least are of other steps than the most, for it to be the channel's fault."""

_LOOKS_BACK: Final = 200
"""So many of a channel's messages whose calls ended are looked at, over all campaigns."""
_OURS: Final = "template"
"""The code of our own refusal to render: never the channel's fault."""

_Step = tuple[str, str]
"""Campaign, and step or answer."""
_Kind = tuple[str, str]
"""A code, and its words: one code may stand for much."""


@dataclass(slots=True)
class Refusals:
    """Refusals of single messages that a run met, and that nobody looked at yet."""

    kinds: dict[Channel, set[_Kind]] = field(default_factory=dict)
    count: Counter[Channel] = field(default_factory=Counter)
    """How many since something was last accepted."""
    _looked: set[Channel] = field(default_factory=set)

    def note(self, channel: Channel, refused: Refused) -> None:
        """Note one."""
        self.kinds.setdefault(channel, set()).add((refused.code, refused.reason))
        self.count[channel] += 1

    def are_urgent(self) -> bool:
        """Say whether to look now: at a run's first one, and when there may be enough."""
        return any(
            channel not in self._looked or self.count[channel] >= REFUSED_IN_A_ROW
            for channel in self.kinds
        )

    def looked(self) -> None:
        """Wait for the next one."""
        self._looked.update(self.kinds)
        self.kinds.clear()


def stop_refused(session: Session, refusals: Refusals, *, now: datetime) -> dict[Channel, Hold]:
    """Close the channels, and stop the campaigns, of which too much was refused in a row.

    Asks what is written down, so results come first. Gives the channels that were closed.
    """
    closed: dict[Channel, Hold] = {}
    for channel, kinds in refusals.kinds.items():
        rows = _latest(session, channel)
        for kind in sorted(kinds):
            by_step, over_all = _in_a_row(rows, kind)
            count = over_all.total()
            others = count - max(over_all.values(), default=0)
            if kind[0] != _OURS and count >= REFUSED_IN_A_ROW and others >= OF_OTHERS:
                why = _why(count, kind)
                until = close_channel(session, channel, why=why, now=now, at_least=PAUSE)
                closed[channel] = Hold(until, why)
                continue
            for (campaign, step), of_step in by_step.items():
                if of_step >= REFUSED_IN_A_ROW:
                    why = f"{step} by {channel}: {_why(of_step, kind)}"
                    _stop(session, campaign, why=why, now=now)
    return closed


class _Fate(Enum):
    """What became of a message, seen from one kind of refusals."""

    REFUSED = "refused alike"
    ELSE = "accepted, or refused in other words"
    IN_FLIGHT = "nobody knows yet"
    LEFT_OUT = "on neither side: a fault of a person, or in doubt"


def _fate(row: Row[Any], kind: _Kind) -> _Fate:
    if row.state is MessageState.SENDING:
        return _Fate.IN_FLIGHT
    if row.state is MessageState.UNCONFIRMED:
        return _Fate.LEFT_OUT
    if row.state is not MessageState.FAILED or row.accepted_at is not None:
        return _Fate.ELSE
    if row.is_of_person:
        return _Fate.LEFT_OUT
    return _Fate.REFUSED if (row.provider_code, row.reason) == kind else _Fate.ELSE


def _in_a_row(rows: Sequence[Row[Any]], kind: _Kind) -> tuple[Counter[_Step], Counter[_Step]]:
    """Count the newest refusals of a kind, step by step and over all; ``rows`` begin with them."""
    fates = [((row.campaign, row.step), _fate(row, kind)) for row in rows]
    by_step = Counter[_Step]()
    for step in {step for step, _ in fates}:
        by_step |= _longest(one for one in fates if one[0] == step)
    return by_step, _longest(fates)


def _longest(fates: Iterable[tuple[_Step, _Fate]]) -> Counter[_Step]:
    """Count the longest row by step; the newest come first, and the first other end is the last.

    What is on its way ends a row for now: refusals come back sooner than acceptances, so those
    before and behind it tell nothing of what lies between. Each counts for itself.
    """
    rows = [Counter[_Step]()]
    for step, fate in fates:
        if fate is _Fate.ELSE:
            break
        if fate is _Fate.IN_FLIGHT:
            rows.append(Counter())
        rows[-1][step] += fate is _Fate.REFUSED
    return max(rows, key=Counter.total)


def _why(count: int, kind: _Kind) -> str:
    return f"{count} refusals in a row: {' '.join(kind)}"


def _stop(session: Session, campaign: str, *, why: str, now: datetime) -> None:
    if pause(session, PauseScope.CAMPAIGN, campaign, by=BRAKE, why=why, now=now):
        _log.warning("campaign %s is paused: %s", campaign, why)


_IS_OF_PERSON: Final = exists().where(
    # The recording of such a refusal notes it of the address, in the same transaction.
    Suppression.address_hash == Message.address_hash,
    Suppression.reason.in_((SuppressionReason.INVALID, SuppressionReason.STOPPED)),
)
_CLAIMED: Final = (
    select(
        Message.id,
        Enrollment.campaign,
        Message.step,
        Message.state,
        Message.claimed_at,
        Message.provider_code,
        Message.reason,
        Message.accepted_at,
        _IS_OF_PERSON.label("is_of_person"),
    )
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(Message.channel == bindparam("channel"), Message.claimed_at.is_not(None))
)
_ENDED: Final = (
    _CLAIMED.where(Message.state != MessageState.SENDING)
    .order_by(Message.claimed_at.desc(), Message.id.desc())
    .limit(_LOOKS_BACK)
)
_IN_FLIGHT: Final = _CLAIMED.where(Message.state == MessageState.SENDING)


def _latest(session: Session, channel: Channel) -> Sequence[Row[Any]]:
    """Give a channel's latest messages, the newest first; all that is on its way is among them."""
    connection = session.connection()
    # Apart, since else hundreds on their way would leave no room for what they hide.
    ended = connection.execute(_ENDED, {"channel": channel}).all()
    in_flight = connection.execute(_IN_FLIGHT, {"channel": channel}).all()
    return sorted([*ended, *in_flight], key=lambda row: (row.claimed_at, row.id), reverse=True)
