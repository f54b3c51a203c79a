"""What is due, as one run sees it: by channel, in the order of sending, and each message once.

What a run has looked at it does not take up again by itself, so that it has an end. Yet some of it
may go a moment later: what somebody else held locked at its claim, what a provider was too busy
for, what our own switch stopped and then let go, and what was claimed and could not be called.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, or_, select
from sqlalchemy.orm import Session

from winback.database.tables import Enrollment, Message
from winback.enrollment.pausing import Pauses, standing_pauses
from winback.states import Channel, MessageState

MOST_TIMES: Final = 5
"""So often a run takes one message up again; then it is left to the next run."""

_MOMENT: Final = 1.0
"""Seconds before the second of these times; before each later one twice as many."""

FIRST_COMES: Final = (
    Message.is_answer.desc(),
    Message.priority,
    Enrollment.lapsed_on.desc(),
    Message.id,
)
"""The order of sending: answers, then the campaigns by their priority, then newest lapses."""


def due_messages(session: Session, now: datetime) -> dict[Channel, list[int]]:
    """Give the ids of all queued messages whose time has come, in the order of sending."""
    due: dict[Channel, list[int]] = {}
    for id_, channel in session.connection().execute(_DUE, {"now": now}):
        due.setdefault(channel, []).append(id_)
    return due


_DUE: Final = (
    select(Message.id, Message.channel)
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(Message.state == MessageState.QUEUED, Message.due_at <= bindparam("now"))
    .order_by(*FIRST_COMES)
)


def came_due(session: Session, *, after: datetime, until: datetime, above: int) -> Sequence[int]:
    """Give which queued messages are due and may not have been when somebody looked last.

    Their time came after ``after``, or they are newer than the message with the id ``above``.
    """
    asked = {"after": after, "until": until, "above": above}
    return session.connection().execute(_CAME_DUE, asked).scalars().all()


_CAME_DUE: Final = select(Message.id).where(
    Message.state == MessageState.QUEUED,
    Message.due_at <= bindparam("until"),
    or_(Message.due_at > bindparam("after"), Message.id > bindparam("above")),
)


@dataclass(slots=True)
class Stream:
    """What is due on one channel, and how many of it are on their way."""

    channel: Channel
    ids: deque[int] = field(default_factory=deque)
    flying: int = 0
    in_line: asyncio.Task[None] | None = None
    """Waits until the pace lets something be claimed."""
    not_before: float = 0.0
    """The loop's time before which nothing is claimed: what came back waits a moment."""

    def leave_line(self) -> None:
        """Wait no more."""
        self.in_line = None


@dataclass(slots=True)
class Due:
    """The streams of all channels, and what this run has seen of them."""

    streams: dict[Channel, Stream] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    """What somebody else held locked at its claim; the next look takes it up again."""
    _seen: set[int] = field(default_factory=set)
    """What this run has looked at, and does not take up again by itself."""
    _put_back: set[int] = field(default_factory=set)
    """What was postponed and may go in this run yet, where a look finds it due."""
    _stopped: set[int] = field(default_factory=set)
    """What stood still at its claim."""
    _stood: Pauses | None = None
    """What our own switch stopped then; None where that was changed between these claims."""
    _times: Counter[int] = field(default_factory=Counter)
    """How often each was taken up again."""
    _looked_to: datetime | None = None
    """Up to which instant it looked for what is due."""

    @property
    def is_any_left(self) -> bool:
        """Say whether anything is still to be claimed."""
        return any(stream.ids for stream in self.streams.values())

    def look(self, session: Session, now: datetime) -> int:
        """Take up what is due, in the order of sending; gives how much of it is new."""
        is_free = bool(self._stopped) and self.is_switched(standing_pauses(session))
        due = due_messages(session, now)
        # Nothing of this where the database could not be asked.
        self.held.clear()
        while is_free and self._stopped:
            self.put_back(self._stopped.pop())
        waiting = {id_ for stream in self.streams.values() for id_ in stream.ids}
        known = self._seen - waiting
        for channel, ids in due.items():
            stream = self.streams.setdefault(channel, Stream(channel))
            stream.ids = deque(id_ for id_ in ids if id_ not in known)
        before = len(self._seen)
        self._seen.update(*(stream.ids for stream in self.streams.values()))
        self._looked_to = now
        return len(self._seen) - before

    def has_more(self, session: Session, until: datetime) -> bool:
        """Say whether a look would find what is new, without reading all that is due."""
        if self._looked_to is None:
            return False
        if self.held or (self._stopped and self.is_switched(standing_pauses(session))):
            return True
        above = max(self._seen, default=0)
        found = came_due(session, after=self._looked_to, until=until, above=above)
        if not self._seen.issuperset(found):
            return True
        self._looked_to = until
        return False

    def taken_back(self) -> int:
        """Give how many of what was postponed were taken up since it was asked last."""
        taken = self._put_back & self._seen
        self._put_back -= taken
        return len(taken)

    def put_back(self, message_id: int) -> None:
        """Let a look take up again what was postponed for a moment, when it is due."""
        self._seen.discard(message_id)
        self._put_back.add(message_id)

    def hold(self, ids: Iterable[int]) -> None:
        """Let the next look take these up again, which others held locked; each a few times."""
        for id_ in ids:
            self._times[id_] += 1
            if self._times[id_] <= MOST_TIMES:
                self._seen.discard(id_)
                self.held.add(id_)

    def stop(self, ids: Collection[int], pauses: Pauses) -> None:
        """Let a look take these up again, which stood still, once our switch was changed."""
        if ids:
            is_as_before = not self._stopped or pauses == self._stood
            self._stood = pauses if is_as_before else None
            self._stopped.update(ids)

    def is_switched(self, pauses: Pauses) -> bool:
        """Say whether our switch was changed since it stopped anything here."""
        return bool(self._stopped) and pauses != self._stood

    def come_back(self, channel: Channel, message_id: int) -> float | None:
        """Let a message that nobody was called for go first, after so many seconds.

        None where it came back often enough.
        """
        self._times[message_id] += 1
        times = self._times[message_id]
        if times > MOST_TIMES:
            return None
        self.streams[channel].ids.appendleft(message_id)
        return 0.0 if times == 1 else _MOMENT * 2.0 ** (times - 2)
