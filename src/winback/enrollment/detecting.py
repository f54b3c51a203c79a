"""Find who has newly lapsed, and enroll them: DESIGN.md, section 5, in its order.

Lapsed; eligible; ranked; cut by the daily limit; then the arm is drawn. First everyone whom
something changed for is judged, reading on one connection and writing on another, batch by batch:
who may enter waits for a turn, the others are refused. Then the best of all who wait are judged
once more and enrolled, in short transactions. Two runs at once, or two in one day, enroll nobody
twice and no more than the limit.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.campaign.versions import keep_version
from winback.enrollment.eligibility import Judged, judge
from winback.enrollment.entering import Candidate, enroll, one_at_a_time, room_today
from winback.enrollment.finding import Look, read_mark, set_mark, to_judge
from winback.enrollment.pausing import standing_pauses
from winback.enrollment.turns import hold, next_turns, settle
from winback.enrollment.value import ranks_of, set_threshold, spends_of
from winback.failpoints import committing
from winback.settings import Settings
from winback.states import Arm, Channel

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 500
"""How many are enrolled in one transaction."""


@dataclass(frozen=True, slots=True)
class DetectCounts:
    """What one run did: ``enrolled`` is both arms, ``held_out`` its untreated part."""

    enrolled: int = 0
    held_out: int = 0
    refused: int = 0
    """Refusals that are new; one that still stands is not counted again."""

    def __add__(self, other: "DetectCounts") -> "DetectCounts":
        return DetectCounts(
            self.enrolled + other.enrolled,
            self.held_out + other.held_out,
            self.refused + other.refused,
        )


MailRoom = Callable[[Session], int | None]
"""Gives how many more people may enter today by the mails of a warm-up; None: it is over."""


def detect(
    engine: Engine,
    campaigns: Sequence[Campaign],
    *,
    settings: Settings,
    now: datetime,
    mail_room: MailRoom | None = None,
) -> DetectCounts:
    """Enroll who has newly lapsed, campaign by campaign in the order of priority.

    While ``mail_room`` gives a number, no more enter than that a campaign that writes mails, and
    the newest lapses come first. Owns its transactions. Safe to repeat, and in two processes at
    once.
    """
    counts = DetectCounts()
    for campaign in sorted(campaigns, key=lambda one: (one.priority, one.campaign)):
        room = mail_room if _writes_mails(campaign) else None
        detected = _detect_one(engine, campaign, settings=settings, now=now, mail_room=room)
        _log.info("detect %s: %s", campaign.campaign, detected)
        counts += detected
    return counts


def _writes_mails(campaign: Campaign) -> bool:
    return any(Channel.EMAIL in step.channels for step in campaign.steps)


def _detect_one(
    engine: Engine,
    campaign: Campaign,
    *,
    settings: Settings,
    now: datetime,
    mail_room: MailRoom | None,
) -> DetectCounts:
    zone, currency = settings.business.zone, settings.business.currency
    with Session(engine) as session, committing(session.begin(), "detect.version"):
        version_id = keep_version(session, campaign, now)
        set_threshold(session, share=settings.value.high, now=now, zone=zone, currency=currency)
    look = Look(campaign, version_id, settings, now)
    return _judge_what_changed(engine, look) + _enroll_in_turn(engine, look, mail_room)


def _judge_what_changed(engine: Engine, look: Look) -> DetectCounts:
    """Judge whom something changed for, and note how far was looked when all of it is kept."""
    refused = 0
    with Session(engine.execution_options(winback_reads_only=True)) as reader:
        mark = read_mark(reader, look)
        for customer_ids in to_judge(reader, look, mark):
            judged = _judge(reader, look, customer_ids)
            waiting = [one.customer_id for one in judged if one.reason is None]
            ranks = ranks_of(reader, waiting, now=look.now, zone=look.zone, currency=look.currency)
            with Session(engine) as session, committing(session.begin(), "detect.judge"):
                one_at_a_time(session, look.campaign)
                refused += settle(session, look, customer_ids, judged=judged, ranks=ranks)
    with Session(engine) as session, committing(session.begin(), "detect.mark"):
        set_mark(session, look, mark)
    return DetectCounts(refused=refused)


def _enroll_in_turn(engine: Engine, look: Look, mail_room: MailRoom | None) -> DetectCounts:
    """Enroll who comes first, some at a time, until the day's limit is reached."""
    counts = DetectCounts()
    before: Sequence[int] = ()
    while True:
        with Session(engine) as session, committing(session.begin(), "detect.enroll"):
            if standing_pauses(session).stops_campaign(look.campaign.campaign) is not None:
                # Whoever entered now could not be written to, and would be measured all the same.
                return counts
            room = room_today(session, look.campaign, settings=look.settings, now=look.now)
            mails = mail_room(session) if mail_room is not None and room > 0 else None
            coming = _coming(session, look, room, mails=mails)
            if coming == before:
                # Nobody waits, or nobody of them can be enrolled or refused.
                return counts
            counts += _enroll_some(session, look, coming)
            before = coming


def _coming(session: Session, look: Look, room: int, *, mails: int | None) -> Sequence[int]:
    """Give whose turn it is; ``mails`` is the warm-up's room, None where nothing warms up."""
    most = min(room, _AT_ONCE) if mails is None else min(room, mails, _AT_ONCE)
    if most <= 0:
        return ()
    return next_turns(session, look, most, newest_first=mails is not None)


def _enroll_some(session: Session, look: Look, customer_ids: Sequence[int]) -> DetectCounts:
    """Judge those whose turn has come once more, and enroll who may still enter."""
    # Before they are judged: else two customers could become one between that and the insert.
    customer_ids = hold(session, customer_ids)
    judged = _judge(session, look, customer_ids)
    entering = {one.customer_id: one for one in judged if one.reason is None}
    ids = [id_ for id_ in customer_ids if id_ in entering]
    spends = spends_of(session, ids, now=look.now, zone=look.zone, currency=look.currency)
    arms = enroll(
        session,
        look.campaign,
        look.version_id,
        [Candidate(id_, entering[id_].lapsed_on, spends.get(id_)) for id_ in ids],
        settings=look.settings,
        now=look.now,
    )
    if len(arms) < len(entering):
        # Somebody else took a slot this very moment, which is seen now.
        judged = _judge(session, look, customer_ids)
    others = [one for one in judged if one.customer_id not in arms]
    refused = settle(session, look, customer_ids, judged=others)
    return DetectCounts(len(arms), [*arms.values()].count(Arm.HOLDOUT), refused)


def _judge(session: Session, look: Look, customer_ids: Sequence[int]) -> list[Judged]:
    return judge(
        session,
        look.campaign,
        customer_ids,
        now=look.now,
        zone=look.zone,
        currency=look.currency,
    )
