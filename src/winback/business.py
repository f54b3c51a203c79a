"""What one running winback works with: settings, database, campaigns, facts, templates.

Built once, by ``winback.house``, and handed down; holds no session and no client.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from winback.campaign.loading import Facts
from winback.campaign.schema import Campaign
from winback.environment import Environment
from winback.errors import Mistake
from winback.messages.shelf import Shelf
from winback.settings import Settings


@dataclass(frozen=True, slots=True)
class Business:
    """One business as winback serves it."""

    settings: Settings
    environment: Environment
    engine: Engine
    campaigns: tuple[Campaign, ...]
    facts: Facts
    shelf: Shelf
    mistakes: tuple[Mistake, ...] = ()
    """Of campaign files and facts that could not be taken; none where all were needed."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the business's days are counted."""
        return self.settings.business.zone

    @property
    def secret(self) -> str:
        """The key of tokens and of address hashes."""
        return self.environment.secret.get_secret_value()
