"""Look after the business: what the operator must know at once, and silence where work was due.

Called after each run, and every few minutes by the web process, which notices when nothing runs
any more. What stands is told once (``alerts``); nothing here decides about customers.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, exists, select
from sqlalchemy.orm import Session

from winback.alerts import follow, tell
from winback.business import Business
from winback.clock import local_date
from winback.customers.list_marks import find_refused
from winback.database.tables import Enrollment, Message, Pause
from winback.delivery.brakes import look_at_rates
from winback.enrollment.pausing import BRAKE, standing_pauses
from winback.outcomes.needs import find_urgent
from winback.outcomes.reported import find_reported
from winback.outcomes.runs import find_failed, find_missed, hours_since, last_well
from winback.states import EnrollmentState, MessageState, Mode, Stage
from winback.vouchers.stock import stock

SILENT_AFTER: Final = timedelta(hours=26)
"""A day and some patience: so long after a send run ended well, work that is due is an alarm."""


_OF_FILES: Final = ("low_stock:", "codes_to_export:", "failing_templates:")
"""Alerts that only the files tell, as they are now."""


def look_after(
    business: Business, *, now: datetime, at: datetime, knows_files: bool = True
) -> list[str]:
    """Note what stands and tell what is new; gives what was raised or told by this look.

    ``now`` is the instant the business stands at, ``at`` the machine's clock, by which runs are
    dated. Without ``knows_files``, as in a process that read them long ago, what only the files
    tell is neither raised nor ended. Safe to repeat. Blocks while it talks to alert targets.
    """
    engine = business.engine
    with Session(engine.execution_options(winback_reads_only=True)) as session:
        standing = dict(_standing(session, business, now=now, at=at))
    raised = follow(engine, standing, now=at, but=() if knows_files else _OF_FILES)
    targets = [url.get_secret_value() for url in business.environment.alert_urls]
    told = tell(engine, targets, business=business.settings.business.name, now=at)
    # In this order, each once: what another process raised may be told here only now.
    return list(dict.fromkeys([*raised, *told]))


def _standing(
    session: Session, business: Business, *, now: datetime, at: datetime
) -> Iterator[tuple[str, str]]:
    """Give what stands, as key and sentence; the key names the fact, whatever its figures."""
    yield from _find_braked(session, business)
    for country, why in standing_pauses(session).countries.items():
        yield (
            f"country:{country}",
            f"no text goes to {country}: {why}; then: winback resume --country {country}",
        )
    must_be_exported = business.settings.mode is not Mode.SANDBOX
    lines = stock(session, business.campaigns, now=now, must_be_exported=must_be_exported)
    for need in find_urgent(session, business, lines, now=now):
        yield f"{need.what}:{need.about}", need.says
    for reported in find_reported(session, now=now, zone=business.zone):
        yield reported.key, reported.says
    yield from find_refused(session).items()
    failed = {stage: says for stage in Stage if (says := find_failed(session, stage, at=at))}
    for stage, says in failed.items():
        yield f"failed:{stage}", says
    silence = find_silence(session, business, now=now, at=at)
    if silence is not None:
        yield "silence", silence
    missed = find_missed_day(session, but=failed, at=at)
    if missed is not None:
        yield "silence:day", missed


def _find_braked(session: Session, business: Business) -> Iterator[tuple[str, str]]:
    """Give the campaigns that a brake stopped, or will, and those whose complaints are high."""
    braked = dict(session.execute(_BRAKED).tuples().all())
    for name, why in braked.items():
        yield (
            f"brake:{name}",
            f"campaign {name} stopped by itself: {why}; winback resume lets it go on",
        )
    for name, verdict in look_at_rates(session, settings=business.settings).items():
        if name in braked:
            continue
        if verdict.stops:
            # The same fact as the brake that comes with the next send, and told only once.
            to_come = f"campaign {name} stops before its next message: {verdict.why}"
            yield f"brake:{name}", f"{to_come}; winback resume lets it go on then"
        else:
            yield f"warning:{name}", f"campaign {name}: {verdict.why}"


_BRAKED: Final = select(Pause.name, Pause.why).where(Pause.by == BRAKE, Pause.resumed_at.is_(None))


def find_silence(
    session: Session, business: Business, *, now: datetime, at: datetime
) -> str | None:
    """Say that work is due and no send run ends well; None where one does, or nothing is due.

    A business that never ran is not silent yet, and what an operator paused is meant.
    """
    last = last_well(session, Stage.SEND)
    if last is None or at - last < SILENT_AFTER or standing_pauses(session).all is not None:
        return None
    today = local_date(now, business.settings.business.zone)
    if not session.scalar(_IS_WORK_DUE, {"today": today, "now": now}):
        return None
    return (
        f"no send run ended well for {hours_since(last, at)} hours, and work is due; are the "
        "schedules and their worker running? winback run does the day once"
    )


def find_missed_day(session: Session, *, but: Collection[Stage], at: datetime) -> str | None:
    """Say which stages of the day are missed while nobody paused everything; None where none is.

    ``but`` failed, which is told already. One sentence for all: they share their schedule.
    """
    missed = {
        stage: hours
        for stage in Stage
        if stage is not Stage.SEND and stage not in but
        if (hours := find_missed(session, stage, at=at)) is not None
    }
    if not missed or standing_pauses(session).all is not None:
        return None
    return (
        f"no run of {', '.join(missed)} ended well for {max(missed.values())} hours; is the daily "
        "schedule there, and its worker running? winback run does the day once"
    )


_IS_WORK_DUE: Final = select(
    exists().where(
        Enrollment.state == EnrollmentState.ACTIVE, Enrollment.due_on <= bindparam("today")
    )
    | exists().where(Message.state == MessageState.QUEUED, Message.due_at <= bindparam("now"))
)
