"""The demo's home is a complete one, and nobody's files are ever overwritten."""

from decimal import Decimal
from pathlib import Path

import pytest

from winback.campaign.loading import load_campaigns, load_facts
from winback.errors import ConfigError
from winback.messages.mistakes import lint_shelf
from winback.messages.shelf import load_shelf
from winback.settings import load_settings
from winback.sources.config import load_sources
from winback.states import Mode
from winback.town.founding import found_home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a freshly founded home."""
    found_home(tmp_path / "demo")
    return tmp_path / "demo"


def test_the_home_is_a_sandbox_of_a_made_up_shop(home: Path) -> None:
    """The demo reaches nobody."""
    settings = load_settings(home)

    assert settings.mode is Mode.SANDBOX
    assert settings.business.currency == "USD"
    assert settings.business.time_zone == "America/New_York"
    assert str(settings.sender.email.address).endswith("example.com")


def test_the_campaign_holds_out_thirty_percent_and_filters_nobody(home: Path) -> None:
    """Issue point 14: holdout 30 %, no spend filter."""
    (campaign,) = load_campaigns(home)

    assert campaign.holdout == Decimal("0.3")
    assert campaign.audience.where == "purchases >= 1"


def test_sources_and_templates_are_clean(home: Path) -> None:
    """The shipped templates go live in the made-up shop, with its own facts."""
    campaigns = load_campaigns(home)

    assert len(load_sources(home)) == 1
    assert lint_shelf(load_shelf(home, campaigns, load_facts(home))) == []


def test_nobodys_home_is_overwritten(home: Path) -> None:
    """A folder with a config belongs to somebody."""
    with pytest.raises(ConfigError, match="somebody's home"):
        found_home(home)
