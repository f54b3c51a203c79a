"""The one place that builds what a running winback is made of.

``open_business`` gives settings, database and campaigns; ``open_senders`` the providers, and in
mode sandbox the stand-ins and a receiver for as long as they are needed.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, or_, update
from sqlalchemy.orm import Session

from winback.business import Business
from winback.campaign.loading import load_campaigns, load_facts
from winback.clock import Clock, SetClock, SystemClock, day_end, read_as_of, ten_in_the_morning
from winback.database.engine import open_database
from winback.database.tables import Installation
from winback.errors import ConfigError
from winback.messages.shelf import load_shelf
from winback.settings import Environment, Settings, load_settings, read_environment
from winback.states import Mode

logger = logging.getLogger(__name__)
