"""Take over whom a provider writes to no more: its own lists, once a day (FACTS.md SG-40).

An entry does what the webhook's event for the same fact does. Of an address that somebody is known
by it is kept as an event, without the address, and applied by the usual road, which also ends what
is open; of another one only the keyed hash is suppressed, so that a later import finds it. Nothing
of ours is deleted or loosened, whatever a list no longer holds.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from winback.business import Business
from winback.customers.list_marks import ListMark, keep_marks, read_marks
from winback.customers.suppression import AddressFact, suppress_addresses
from winback.database.retrying import retried
from winback.database.tables import ContactPoint, table_of
from winback.failpoints import committing
from winback.providers.events import RawEvent
from winback.providers.incoming import read_event
from winback.providers.suppression_lists import (
    PAGE,
    Asked,
    Listed,
    NoPage,
    Page,
    SuppressionLists,
)
from winback.responses.acting import NOS
from winback.responses.addresses import dead_key
from winback.responses.applying import apply_events
from winback.responses.matching import hash_of
from winback.responses.stopping import no_key
from winback.responses.storing import store_events

_log = logging.getLogger(__name__)

_POINTS: Final = table_of(ContactPoint)
_KNOWN: Final = (
    select(_POINTS.c.address_hash)
    .where(_POINTS.c.address_hash.in_(bindparam("hashes", expanding=True)))
    .distinct()
)


@dataclass(frozen=True, slots=True)
class _Round:
    """One reading of the lists of one provider."""

    business: Business
    lists: SuppressionLists
    now: datetime


async def take_lists(business: Business, lists: SuppressionLists, *, now: datetime) -> int | None:
    """Read the lists that are due; gives how many facts were new, None where nobody was asked.

    Safe to repeat, and by two at once: each fact has one key. No transaction is open while the
    provider is asked. A list that is refused is left alone till the next day; where the provider
    is busy or away, all are.
    """
    if not lists.is_ready:
        return None
    with Session(business.engine.execution_options(winback_reads_only=True)) as session:
        marks = read_marks(session, lists.name)
    due = [mark for name in lists.names if (mark := marks.get(name, ListMark(name))).is_due(now)]
    if not due:
        return None
    this, new = _Round(business, lists, now), 0
    for place, mark in enumerate(due):
        taken, is_over = await _read_list(this, mark.begun(now))
        new += taken
        if is_over:
            _keep(this, [one.left(now) for one in due[place + 1 :]], ())
            break
    return new


async def _read_list(this: _Round, mark: ListMark) -> tuple[int, bool]:
    """Read one list to its end; gives what was new, and whether nobody is to be asked any more."""
    new, before = 0, None
    while mark.reading_until is not None:
        asked = Asked(mark.name, mark.since, mark.reading_until, mark.taken)
        page = await this.lists.page(asked)
        if isinstance(page, Page) and page.listed and page == before:
            page = NoPage("the same page was given twice")
        if isinstance(page, NoPage):
            _tell(this, mark, page)
            _keep(this, [mark.refused() if page.is_refused else mark], ())
            return new, not page.is_refused
        *others, last = list(_parts(page.listed)) or [()]
        for part in others:
            new += _keep(this, (), part)
        mark = mark.ended() if page.is_last else mark.passed(page.passed)
        new += _keep(this, [mark], last)
        before = page
        if page.is_last and mark.known_until < int(this.now.timestamp()):
            # It was an earlier round, which stopped halfway.
            mark, before = mark.begun(this.now), None
    return new, False


def _tell(this: _Round, mark: ListMark, page: NoPage) -> None:
    then = "it is asked for again tomorrow" if page.is_refused else "reading goes on tomorrow"
    _log.warning("the list %s of %s: %s; %s", mark.name, this.lists.name, page.why, then)


def _keep(this: _Round, marks: Sequence[ListMark], listed: Sequence[Listed]) -> int:
    """Keep entries and marks in one transaction, and apply what concerns people we know."""
    new, ids = retried(partial(_keep_once, this, marks, listed))
    if ids:
        apply_events(this.business, this.now, ids=ids)
    return new


def _keep_once(
    this: _Round, marks: Sequence[ListMark], listed: Sequence[Listed]
) -> tuple[int, list[int]]:
    if not marks and not listed:
        return 0, []
    origin, secret = this.lists.origin, this.business.secret
    records = {hash_of(one.address, secret, is_phone=False): one for one in _newest_last(listed)}
    with Session(this.business.engine) as session, committing(session.begin(), "lists.keep"):
        hashes = list(records)
        known = set(session.connection().scalars(_KNOWN, {"hashes": hashes})) if hashes else set()
        raws = [one.record(hashed, origin) for hashed, one in records.items()]
        of_people = [raw for raw in raws if raw.body["address_hash"] in known]
        strangers = [_fact(this, raw) for raw in raws if raw.body["address_hash"] not in known]
        new = suppress_addresses(session, strangers, source=origin, at=this.now)
        ids = store_events(session, sorted(of_people, key=lambda raw: raw.key), this.now)
        keep_marks(session, this.lists.name, marks)
    return new + len(ids), ids


def _newest_last(listed: Sequence[Listed]) -> Sequence[Listed]:
    return sorted(listed, key=lambda one: one.created)


def _fact(this: _Round, raw: RawEvent) -> AddressFact:
    """Give what the respond stage would suppress of an address that nobody is known by."""
    event = read_event(raw.origin, raw.body)
    reason, hashed, channel = event.suppression, str(event.address_hash), this.lists.channel
    assert reason is not None  # noqa: S101 - an entry of a list always says one
    if reason in NOS:
        return AddressFact(no_key(hashed, reason, None), hashed, reason)
    return AddressFact(dead_key(hashed, channel), hashed, reason, channel)


def _parts(listed: Sequence[Listed]) -> Iterator[Sequence[Listed]]:
    for start in range(0, len(listed), PAGE):
        yield listed[start : start + PAGE]
