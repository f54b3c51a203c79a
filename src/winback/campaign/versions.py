"""Keep each content of a campaign; a running enrollment keeps the version that it began with."""

import hashlib
import json
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from winback.campaign.loading import plain_campaign
from winback.campaign.schema import Campaign
from winback.database.tables import CampaignVersion, table_of

_CHECKED: Final[dict[str, Campaign]] = {}
"""Campaigns by the hash of their content: a few per year of a business."""


def keep_version(session: Session, campaign: Campaign, now: datetime) -> int:
    """Give the id of this content of a campaign, stored now where it is new.

    Safe to repeat, and by two processes at once.
    """
    content = plain_campaign(campaign)
    content_hash = hashlib.sha256(
        json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
    known = select(CampaignVersion.id).where(
        CampaignVersion.campaign == campaign.campaign, CampaignVersion.content_hash == content_hash
    )
    if (found := session.scalar(known)) is not None:
        return found
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    session.execute(
        (sqlite if is_sqlite else postgresql)
        .insert(CampaignVersion)
        .values(
            campaign=campaign.campaign,
            content_hash=content_hash,
            content=content,
            first_used_at=now,
        )
        .on_conflict_do_nothing(index_elements=["campaign", "content_hash"])
    )
    return session.scalars(known).one()


def campaign_of_version(session: Session, version_id: int) -> Campaign:
    """Give the campaign as it was when the version was kept; raises NoResultFound for no id.

    Repeated calls for one version are cheap: the content is read and checked once.
    """
    # A plain statement does not write what the session still holds back.
    session.flush()
    content_hash = session.scalars(_CONTENT_HASH, {"version": version_id}).one()
    # By content, not by id: one process may have several databases, and ids can be rolled back.
    if (campaign := _CHECKED.get(content_hash)) is None:
        content = session.scalars(
            select(CampaignVersion.content).where(CampaignVersion.id == version_id)
        ).one()
        campaign = _CHECKED[content_hash] = Campaign.model_validate(content)
    return campaign


_VERSIONS: Final = table_of(CampaignVersion).c
_CONTENT_HASH: Final = select(_VERSIONS.content_hash).where(_VERSIONS.id == bindparam("version"))
