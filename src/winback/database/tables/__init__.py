"""Every table, and the constraints that carry the promises; one module for each noun.

One word per idea (DESIGN.md, section 2). Personal data stands only in ``customers``,
``contact_points``, ``messages``, ``events``, ``cases``, ``purchases`` and ``rejected_rows``.
Partial unique indexes do what Python checks cannot do under two writers at once.

All tables are loaded together, since they refer to each other; take them from here.
"""

from winback.database.tables.alerts import Alert
from winback.database.tables.base import Table, table_of
from winback.database.tables.consents import Consent, Suppression
from winback.database.tables.customers import ContactPoint, Customer
from winback.database.tables.detections import Detection, Refusal, Waiting
from winback.database.tables.enrollments import Enrollment, StepPassage
from winback.database.tables.history import Decision, Move
from winback.database.tables.installation import Installation
from winback.database.tables.limits import ChannelDay, Pace
from winback.database.tables.messages import Link, Message, SharedContext
from winback.database.tables.outcomes import Outcome
from winback.database.tables.pauses import ChannelPause, Pause
from winback.database.tables.purchases import Purchase
from winback.database.tables.responses import Case, Event, Response
from winback.database.tables.runs import StageRun
from winback.database.tables.sources import RejectedRow, SourceCustomer, SourceWatermark
from winback.database.tables.versions import CampaignVersion, TemplateVersion
from winback.database.tables.vouchers import Voucher
from winback.database.tables.workers import Worker

__all__ = [
    "Alert",
    "CampaignVersion",
    "Case",
    "ChannelDay",
    "ChannelPause",
    "Consent",
    "ContactPoint",
    "Customer",
    "Decision",
    "Detection",
    "Enrollment",
    "Event",
    "Installation",
    "Link",
    "Message",
    "Move",
    "Outcome",
    "Pace",
    "Pause",
    "Purchase",
    "Refusal",
    "RejectedRow",
    "Response",
    "SharedContext",
    "SourceCustomer",
    "SourceWatermark",
    "StageRun",
    "StepPassage",
    "Suppression",
    "Table",
    "TemplateVersion",
    "Voucher",
    "Waiting",
    "Worker",
    "table_of",
]
