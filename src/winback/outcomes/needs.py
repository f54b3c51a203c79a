"""What waits for a person, each with one sentence that says what to do about it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from winback.business import Business
from winback.clock import local_date
from winback.database.among import aside
from winback.database.tables import Case, ChannelPause, Event, Message, Pause, RejectedRow
from winback.messages.publishing import failing_edits
from winback.outcomes.account import UNFINISHED_AFTER
from winback.outcomes.figures import Need
from winback.outcomes.unknown import Unknown, by_day, read_unknown
from winback.outcomes.unplanned import read_unplanned
from winback.outcomes.unprepared import read_unprepared
from winback.states import CaseKind, CaseState, Channel, EventState, MessageState, Mode
from winback.vouchers.stock import LOW_SHARE, StockLine

_DOUBTED_FOR: Final = timedelta(hours=25)
"""After this the last look of a doubt is over (FACTS.md DS-6)."""
_LATE: Final = timedelta(hours=1)
"""A look that is late by more comes from a channel that nobody can be asked about."""
_LEFT_UNKNOWN: Final = "unknown"
_SHOWN: Final = 10
"""Ids that one sentence names; winback status lists all."""


def find_needs(
    session: Session, business: Business, lines: Sequence[StockLine], *, now: datetime
) -> tuple[Need, ...]:
    """Find all that needs a person, what stops customers first."""
    return (
        *find_pauses(session, now=now),
        *_counted(
            session,
            "cases",
            select(func.count(), func.min(Case.opened_at)).where(Case.state != CaseState.CLOSED),
            "{n} {people} for an answer, a call or a repair; see: winback desk",
        ),
        *doubt_needs(read_unknown(session), now=now),
        *_broken(session, business, now),
        *_counted(
            session,
            "unfinished",
            _unfinished(now),
            "{n} {accepted} more than three days ago, and nothing final was heard: unknown, not "
            "delivered; see: winback report --account",
        ),
        *_dead_events(session),
        *_file_needs(business),
        *_template_needs(session, business),
        *stock_needs(lines, business.settings.mode),
        *_counted(
            session,
            "rejected_rows",
            select(func.count(), func.min(RejectedRow.rejected_at)),
            "{n} {rows} of your sources could not be taken; see: winback rejects",
        ),
    )


def find_pauses(session: Session, *, now: datetime) -> tuple[Need, ...]:
    """Find what stands still: paused by a person or a brake, or closed by what a provider said."""
    return (*_standing_still(session), *_paused(session, now))


def find_urgent(
    session: Session, business: Business, lines: Sequence[StockLine], *, now: datetime
) -> tuple[Need, ...]:
    """Find what must not wait for somebody to look at ``winback status``; asked after each run.

    Without pauses: who paused knows, and a brake has its own alert.
    """
    # One for each day: an old doubt that nobody settles does not hide the later ones.
    left = (
        replace(need, about=day)
        for day, doubts in by_day(read_unknown(session), business.zone).items()
        for need in doubt_needs(doubts, now=now)
        if need.what == _LEFT_UNKNOWN
    )
    return (
        *_paused(session, now),
        *left,
        *_broken(session, business, now),
        *_dead_since_told(session, business.zone),
        *_template_needs(session, business),
        *stock_needs(lines, business.settings.mode),
    )


def open_cases(session: Session) -> dict[str, int]:
    """Count the cases that are not closed, every kind listed."""
    query = select(Case.kind, func.count()).where(Case.state != CaseState.CLOSED)
    counted = dict(session.execute(query.group_by(Case.kind)).tuples().all())
    return {kind.value: counted.get(kind, 0) for kind in CaseKind}


_WORDS = {
    "people": ("customer waits", "customers wait"),
    "accepted": ("message was accepted", "messages were accepted"),
    "events": ("event", "events"),
    "rows": ("row", "rows"),
}


def _counted(session: Session, what: str, query: Select[Any], says: str) -> tuple[Need, ...]:
    number, since = session.execute(query).one()
    if not number:
        return ()
    words = {name: forms[number != 1] for name, forms in _WORDS.items()}
    return (Need(what, number, says.format(n=f"{number:,}", **words), since),)


def doubt_needs(unknown: Sequence[Unknown], *, now: datetime) -> tuple[Need, ...]:
    """Tell apart what evidence is still looked for from what only a person can settle."""
    left: list[Unknown] = []
    waiting: list[Unknown] = []
    for one in unknown:
        (left if _is_left_to_a_person(one, now) else waiting).append(one)
    needs = []
    if left:
        ids = _ids([one.id for one in left])
        are = "message stays" if len(left) == 1 else "messages stay"
        needs.append(
            Need(
                _LEFT_UNKNOWN,
                len(left),
                f"{len(left):,} {are} unknown ({ids}): look in the provider's console, "
                "then run: winback settle MESSAGE --accepted or --not-sent",
                left[0].since,
            )
        )
    if waiting:
        are = "message is" if len(waiting) == 1 else "messages are"
        needs.append(
            Need(
                "unconfirmed",
                len(waiting),
                f"{len(waiting):,} {are} in doubt: sent perhaps; winback looks for evidence "
                "and never sends them again",
                waiting[0].since,
            )
        )
    return tuple(needs)


def _is_left_to_a_person(one: Unknown, now: datetime) -> bool:
    """Say whether nobody will look any more: after the last look, or where nobody can be asked."""
    is_over = one.since is None or one.since <= now - _DOUBTED_FOR
    is_looked_for = one.looks_again_at is not None and one.looks_again_at > now - _LATE
    return is_over and not is_looked_for


def _ids(ids: Sequence[int]) -> str:
    shown = ", ".join(map(str, ids[:_SHOWN]))
    return shown if len(ids) <= _SHOWN else f"{shown}, and others"


def _broken(session: Session, business: Business, now: datetime) -> tuple[Need, ...]:
    """Tell what send left as it is: something of our own is broken about just that."""
    zone = business.zone
    unplanned = read_unplanned(session, today=local_date(now, zone), zone=zone)
    return (
        *_undone(
            "unprepared",
            read_unprepared(session),
            ("message cannot be prepared", "messages cannot be prepared"),
            then="tried again on the next day until too late",
        ),
        *_undone(
            "unplanned",
            unplanned,
            ("enrollment cannot be planned", "enrollments cannot be planned"),
            then="left as they are, and tried again by each send run",
        ),
    )


def _undone(
    what: str, ids: Sequence[int], forms: tuple[str, str], *, then: str
) -> tuple[Need, ...]:
    if not ids:
        return ()
    says = (
        f"{len(ids):,} {forms[len(ids) != 1]} ({_ids(ids)}): {then}; "
        "the log of send says what is broken"
    )
    return (Need(what, len(ids), says),)


def _unfinished(now: datetime) -> Select[Any]:
    return select(func.count(), func.min(Message.accepted_at)).where(
        aside(Message.state) == MessageState.ACCEPTED,
        Message.accepted_at <= now - UNFINISHED_AFTER,
        # By the index of claims: what is long past is in the account of its day alone.
        Message.channel.in_((Channel.EMAIL, Channel.SMS)),
        Message.claimed_at > now - timedelta(days=14),
    )


def _dead_events(session: Session) -> tuple[Need, ...]:
    return _counted(
        session,
        "dead_events",
        select(func.count(), func.min(Event.received_at)).where(Event.state == EventState.DEAD),
        "{n} {events} could not be read and are kept; see: winback events",
    )


def _dead_since_told(session: Session, zone: ZoneInfo) -> tuple[Need, ...]:
    """Name the day of the newest: the old ones are kept, and must not hide that there are more."""
    newest = session.scalar(
        select(func.max(Event.received_at)).where(Event.state == EventState.DEAD)
    )
    if newest is None:
        return ()
    day = local_date(newest, zone).isoformat()
    return tuple(replace(need, about=day) for need in _dead_events(session))


def _standing_still(session: Session) -> tuple[Need, ...]:
    """Tell what a person or a brake paused; whoever asks must know that it is meant."""
    return tuple(
        Need(
            "paused",
            1,
            f"{row.name or 'everything'} stands still ({row.by}): {row.why}; go on with: "
            f"winback resume{_option(row)}",
            row.paused_at,
            about=f"{row.scope}:{row.name}",
        )
        for row in session.scalars(
            select(Pause).where(Pause.resumed_at.is_(None)).order_by(Pause.id)
        )
    )


def _option(row: Pause) -> str:
    return f" --{row.scope} {row.name}" if row.name else ""


def _paused(session: Session, now: datetime) -> tuple[Need, ...]:
    return tuple(
        Need(
            "channel_paused",
            1,
            f"{pause.channel} stands still: {pause.why}; "
            + ("tried again at the next send" if pause.try_again_at <= now else "put it right"),
            pause.paused_at,
            about=pause.channel.value,
        )
        for pause in session.scalars(select(ChannelPause).order_by(ChannelPause.channel))
    )


def _file_needs(business: Business) -> tuple[Need, ...]:
    """Tell that a file has a mistake, as seen by who was opened in spite of it."""
    if not business.mistakes:
        return ()
    count, first = len(business.mistakes), business.mistakes[0]
    says = (
        f"{count:,} {'mistake keeps' if count == 1 else 'mistakes keep'} every run from "
        f"beginning, first {first.file}:{first.line}; run: winback check"
    )
    return (Need("mistakes_in_files", count, says),)


def _template_needs(session: Session, business: Business) -> tuple[Need, ...]:
    places = [mistake.file for mistake in business.shelf.mistakes] + [
        f"{edit.mistakes[0].file}:{edit.mistakes[0].line}"
        for edit in failing_edits(session, business.shelf)
    ]
    if not places:
        return ()
    verb = "template cannot" if len(places) == 1 else "templates cannot"
    says = f"{len(places):,} {verb} go live, first {places[0]}; run: winback check"
    return (Need("failing_templates", len(places), says),)


def stock_needs(lines: Sequence[StockLine], mode: Mode) -> tuple[Need, ...]:
    """Tell which codes wait for the till, and which offers run short even with those."""
    needs = []
    for line in lines:
        name = f"offer {line.offer} of {line.campaign}"
        if mode is not Mode.SANDBOX and line.free > line.usable:
            needs.append(
                Need(
                    "codes_to_export",
                    line.free - line.usable,
                    f"{name}: {line.free - line.usable:,} codes wait for the till to know them; "
                    "run: winback voucher export",
                    about=f"{line.campaign}/{line.offer}",
                )
            )
        if line.is_low and not _is_full_but_waiting(line):
            says = f"{name}: only {line.free:,} codes are left"
            about = f"{line.campaign}/{line.offer}"
            needs.append(Need("low_stock", line.free, says, about=about))
    return tuple(needs)


def _is_full_but_waiting(line: StockLine) -> bool:
    """Say whether nothing is short but the export: the line above tells that already."""
    made = line.free + line.reserved + line.issued + line.redeemed + line.voided
    return line.free > line.usable and (line.free + line.reserved) * LOW_SHARE >= made
