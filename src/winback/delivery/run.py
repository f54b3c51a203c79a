"""What one run of the send path works with, made once and handed down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from winback.business import Business
from winback.campaign.schema import Campaign
from winback.clock import local_date
from winback.messages.context import in_order
from winback.policies import Cap
from winback.states import Channel, Mode

PATIENCE: Final = 2.0
"""Seconds that a write waits for another's lock while calls are on their way."""


@dataclass(frozen=True)
class Run:
    """One run: the business, the instant it stands at, chance, and the providers by channel."""

    business: Business
    now: datetime
    rng: Random
    providers: Mapping[Channel, str]
    """Names of the providers that this run can send through."""
    salt: str
    """What variants are drawn with."""
    campaigns: dict[int, Campaign] = field(default_factory=dict)
    """Versions of campaigns that this run has met; a version never changes."""

    @cached_property
    def reads(self) -> Engine:
        """The database for transactions that only read, which block no writer."""
        return self.business.engine.execution_options(winback_reads_only=True)

    @cached_property
    def writes(self) -> Engine:
        """The database for writes beside calls: they wait for no lock long, and try again."""
        return self.business.engine.execution_options(winback_patience=PATIENCE)

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the business's days are counted."""
        return self.business.zone

    @cached_property
    def today(self) -> date:
        """The business's local date of the run."""
        return local_date(self.now, self.zone)

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        """The business's facts, as templates see them, in order."""
        return in_order(self.business.facts.plain())

    @property
    def currency(self) -> str:
        """The business's currency."""
        return self.business.settings.business.currency

    @property
    def must_be_exported(self) -> bool:
        """Whether the shop must know a code before it is issued; the sandbox needs no till."""
        return self.business.settings.mode is not Mode.SANDBOX

    def cap(self, channel: Channel) -> Cap:
        """Give the cap of a written channel."""
        caps = self.business.settings.policies.caps
        return caps.sms if channel is Channel.SMS else caps.email

    def sends(self, channel: Channel) -> bool:
        """Say whether the business sends on a channel at all."""
        return channel is not Channel.SMS or self.business.settings.sender.sms is not None
