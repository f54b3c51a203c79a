"""Keep who was refused, why, and when to look again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from winback.database.bulk import on_conflict
from winback.database.history import record_decisions
from winback.database.tables import Refusal, table_of
from winback.enrollment.eligibility import Judged


def store_refusals(
    session: Session,
    campaign: str,
    version_id: int,
    refused: Sequence[Judged],
    *,
    now: datetime,
) -> int:
    """Let these refusals stand, instead of older ones; gives how many are new.

    A refusal of the same lapse for the same reason as before is no new decision.
    """
    ids = [one.customer_id for one in refused]
    stood = session.connection().execute(_STOOD, {"campaign": campaign, "ids": ids})
    before = {customer_id: (lapsed_on, reason) for customer_id, lapsed_on, reason in stood}
    new = [one for one in refused if before.get(one.customer_id) != (one.lapsed_on, one.reason)]
    _upsert(session, campaign, version_id, refused, now=now)
    record_decisions(
        session,
        [
            {
                "customer_id": one.customer_id,
                "campaign": campaign,
                "what": "refused",
                "why": one.why,
                "at": now,
            }
            for one in new
        ],
    )
    return len(new)


_STOOD: Final = select(Refusal.customer_id, Refusal.lapsed_on, Refusal.reason).where(
    Refusal.campaign == bindparam("campaign"),
    Refusal.customer_id.in_(bindparam("ids", expanding=True)),
)


def _upsert(
    session: Session,
    campaign: str,
    version_id: int,
    refused: Sequence[Judged],
    *,
    now: datetime,
) -> None:
    session.connection().execute(
        _REPLACE,
        [
            {
                "campaign": campaign,
                "customer_id": one.customer_id,
                "lapsed_on": one.lapsed_on,
                "campaign_version_id": version_id,
                "reason": one.reason,
                "look_again_on": one.look_again_on,
                "customer_changed_at": one.changed_at,
                "at": now,
            }
            for one in refused
        ],
    )


_REPLACE: Final = on_conflict(
    insert(table_of(Refusal)),
    "campaign",
    "customer_id",
    replaces=(
        "lapsed_on",
        "campaign_version_id",
        "reason",
        "look_again_on",
        "customer_changed_at",
        "at",
    ),
)
