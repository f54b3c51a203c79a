"""Kept versions: an enrollment keeps the campaign that it began with."""

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from winback.campaign.loading import load_campaigns
from winback.campaign.versions import campaign_of_version, keep_version
from winback.database.tables import CampaignVersion

HERE = Path(__file__).parents[2]


def test_the_same_content_is_kept_once(session: Session, now: datetime) -> None:
    """A run a day adds no row; the version loads to an equal campaign."""
    (campaign,) = load_campaigns(HERE)

    first = keep_version(session, campaign, now)
    again = keep_version(session, campaign, now)

    assert first == again
    assert session.scalar(select(func.count(CampaignVersion.id))) == 1
    assert campaign_of_version(session, first) == campaign


def test_an_edit_makes_a_new_version_and_keeps_the_old(session: Session, now: datetime) -> None:
    """Who is on the way keeps the steps that they began with."""
    (campaign,) = load_campaigns(HERE)
    edited = campaign.model_copy(update={"steps": campaign.steps[:3]})

    old, new = (keep_version(session, one, now) for one in (campaign, edited))

    assert old != new
    assert campaign_of_version(session, old).steps == campaign.steps
    assert campaign_of_version(session, new).steps == campaign.steps[:3]
    assert keep_version(session, campaign, now) == old


def test_a_version_that_was_never_kept_is_a_bug(session: Session) -> None:
    """An enrollment names a version that exists."""
    with pytest.raises(NoResultFound):
        campaign_of_version(session, 99)
