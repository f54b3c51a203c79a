"""What the tests of outcomes share: a business, and a builder of facts."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.outcomes.facts import CAMPAIGN, SETTINGS, World
from winback.business import Business
from winback.campaign.facts import Facts
from winback.environment import Environment
from winback.messages.shelf import Shelf


@pytest.fixture
def business(engine: Engine, tmp_path: Path) -> Business:
    """Give a business with one campaign and no templates."""
    environment = Environment(
        home=tmp_path,
        database_url="",
        secret=SecretStr("made-up"),
        sendgrid_api_key=None,
        twilio_account_sid=None,
        twilio_auth_tokens=(),
        sendgrid_webhook_keys=(),
        sendgrid_parse_keys=(),
        sendgrid_url=None,
        twilio_url=None,
        prefect_api_url=None,
    )
    return Business(
        settings=SETTINGS,
        environment=environment,
        engine=engine,
        campaigns=(CAMPAIGN,),
        facts=Facts(),
        shelf=Shelf(tmp_path, (CAMPAIGN,), Facts(), {}),
    )


@pytest.fixture
def world(session: Session) -> World:
    """Give a builder of facts on a fresh database."""
    return World(session)
