"""The closed sets of words that states, kinds and reasons are written in.

Members are capitals, stored values lower case; the machines that move between them live in the
rooms (``enrollment.machine``, ``delivery.machine``, ``vouchers.machine``).
"""

from enum import StrEnum


class Mode(StrEnum):
    """What sending means; a database belongs to the mode it was made in."""

    SANDBOX = "sandbox"
    TEST = "test"
    LIVE = "live"


class Channel(StrEnum):
    """How a step reaches a customer; call and letter open a case for an associate."""

    EMAIL = "email"
    SMS = "sms"
    CALL = "call"
    LETTER = "letter"


class Arm(StrEnum):
    """Treated, or deliberately left alone to measure the effect."""

    TREATED = "treated"
    HOLDOUT = "holdout"


class EnrollmentState(StrEnum):
    """Where one customer's passage through one campaign stands."""

    ACTIVE = "active"
    HANDED_OVER = "handed_over"
    HELD_OUT = "held_out"
    CONVERTED = "converted"
    SUPPRESSED = "suppressed"
    PARTED = "parted"
    UNREACHABLE = "unreachable"
    EXHAUSTED = "exhausted"
    CANCELED = "canceled"
    OBSERVED = "observed"


OPEN_ENROLLMENTS = (EnrollmentState.ACTIVE, EnrollmentState.HANDED_OVER, EnrollmentState.HELD_OUT)
"""The states that hold a customer's one open slot over all campaigns."""


class MessageState(StrEnum):
    """Where one row of the outbox stands."""

    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    SKIPPED = "skipped"
    CANCELED = "canceled"


class VoucherState(StrEnum):
    """Where one code stands; expired is computed from ``expires_at``, never stored."""

    FREE = "free"
    RESERVED = "reserved"
    ISSUED = "issued"
    REDEEMED = "redeemed"
    VOIDED = "voided"


class CaseKind(StrEnum):
    """Why something waits for an associate."""

    REPLY = "reply"
    CALL = "call"
    LETTER = "letter"
    REPAIR = "repair"


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    TAKEN = "taken"
    CLOSED = "closed"


class EventState(StrEnum):
    """Where a stored event stands; a dead one could not be read, and is kept (``events``)."""

    RECEIVED = "received"
    APPLIED = "applied"
    DEAD = "dead"


class PurchaseKind(StrEnum):
    """A sale is activity; a refund reduces a sale and is no activity."""

    SALE = "sale"
    REFUND = "refund"


class ConsentState(StrEnum):
    """Permission on one channel."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"


class Reason(StrEnum):
    """The reasons of the reason page (``/why``)."""

    FORGOT = "forgot"
    NOT_NOW = "not_now"
    HARD_TIME = "hard_time"
    HOURS = "hours"
    PRICE = "price"
    SERVICE = "service"
    ANOTHER = "another"
    MOVED = "moved"


class EventKind(StrEnum):
    """What a provider or a person reported, in our words; unknown words become UNKNOWN."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    BLOCKED = "blocked"
    DROPPED = "dropped"
    FAILED = "failed"
    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    REPLIED = "replied"
    REASON_GIVEN = "reason_given"
    LISTED = "listed"
    """A provider's own list names the address, for whatever mail."""
    UNKNOWN = "unknown"


class SuppressionReason(StrEnum):
    """Why a person or an address must not be contacted."""

    UNSUBSCRIBED = "unsubscribed"
    STOPPED = "stopped"
    COMPLAINED = "complained"
    BOUNCED = "bounced"
    INVALID = "invalid"
    ASSOCIATE = "associate"
    IMPORTED = "imported"
    ERASED = "erased"


class Stage(StrEnum):
    """The stages of the day, in order."""

    PULL = "pull"
    DETECT = "detect"
    SEND = "send"
    RESPOND = "respond"
    MEASURE = "measure"
