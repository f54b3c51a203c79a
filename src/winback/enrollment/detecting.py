"""Find who has newly lapsed, and enroll them: DESIGN.md, section 5, in its order.

Lapsed; eligible; ranked; cut by the daily limit; then the arm is drawn. First everyone is judged,
reading on one connection and storing refusals on another, batch by batch, keeping only as many
as may enter; then one short transaction enrolls them. Two runs at once, or two in one day, enroll
nobody twice and no more than the limit.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.campaign.versions import keep_version
from winback.enrollment.eligibility import Judged, judge_lapsed
from winback.enrollment.entering import Candidate, enroll
from winback.enrollment.refusing import store_refusals
from winback.enrollment.value import set_threshold, spends_of
from winback.failpoints import committing
from winback.settings import Settings

_log = logging.getLogger(__name__)


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


def detect(
    engine: Engine, campaigns: Sequence[Campaign], *, settings: Settings, now: datetime
) -> DetectCounts:
    """Enroll who has newly lapsed, campaign by campaign in the order of priority.

    Owns its transactions. Safe to repeat, and in two processes at once.
    """
    counts = DetectCounts()
    for campaign in sorted(campaigns, key=lambda one: (one.priority, one.campaign)):
        detected = _detect_one(engine, campaign, settings=settings, now=now)
        _log.info("detect %s: %s", campaign.campaign, detected)
        counts += detected
    return counts


def _detect_one(
    engine: Engine, campaign: Campaign, *, settings: Settings, now: datetime
) -> DetectCounts:
    zone, currency = settings.business.zone, settings.business.currency
    with Session(engine) as session, committing(session.begin(), "detect.version"):
        version_id = keep_version(session, campaign, now)
        set_threshold(session, share=settings.value.high, now=now, zone=zone, currency=currency)
    best: list[Candidate] = []
    refused = 0
    with Session(engine.execution_options(winback_reads_only=True)) as reader:
        for batch in judge_lapsed(
            reader, campaign, now=now, zone=zone, currency=currency, new_to_version=version_id
        ):
            refused += _refuse(engine, campaign, version_id, batch, now=now)
            entering = {one.customer_id: one for one in batch if one.reason is None}
            spends = spends_of(reader, [*entering], now=now, zone=zone, currency=currency)
            best += [
                Candidate(customer_id, one.lapsed_on, spends.get(customer_id))
                for customer_id, one in entering.items()
            ]
            best.sort(key=lambda one: one.rank)
            # Being cut is no refusal: the others compete again tomorrow.
            del best[campaign.audience.daily_limit :]
    with Session(engine) as session, committing(session.begin(), "detect.enroll"):
        enrolled, held_out = enroll(session, campaign, version_id, best, settings=settings, now=now)
    return DetectCounts(enrolled, held_out, refused)


def _refuse(
    engine: Engine, campaign: Campaign, version_id: int, batch: Sequence[Judged], *, now: datetime
) -> int:
    refused = [one for one in batch if one.reason is not None]
    if not refused:
        return 0
    with Session(engine) as session, committing(session.begin(), "detect.refuse"):
        return store_refusals(session, campaign.campaign, version_id, refused, now=now)
