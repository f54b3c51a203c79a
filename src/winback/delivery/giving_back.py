"""Put back what was surely not sent: nobody was called, or its provider did not take it.

A provider that was busy says when to try again; one that refused our account or our sender stands
still meanwhile, as a channel or for texts to one country (FACTS.md TW-17).
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy.orm import Session

from winback.clock import local_date
from winback.delivery.breaker import PAUSE, back_off
from winback.delivery.closing import channels_to_try, close_channel, close_country
from winback.delivery.falling import Overtaken, cancel_overtaken
from winback.delivery.machine import MessageEvent
from winback.delivery.results import Ended, NotCalled, change_rows
from winback.delivery.run import Run
from winback.delivery.windows import tomorrow_start
from winback.providers.outgoing import Busy, Refused, Result, Scope
from winback.states import Channel, MessageState
from winback.vouchers.reserving import return_unsent

_IN_COUNTRY: Final[Scope] = "sender_in_country"


def goes_back(result: Result | NotCalled) -> bool:
    """Say whether a result leaves its message owed: it was surely not sent, by no fault of it."""
    if isinstance(result, Refused):
        return result.scope in {"channel", _IN_COUNTRY}
    return isinstance(result, Busy | NotCalled)


def put_back(session: Session, run: Run, ended: Sequence[Ended]) -> list[tuple[Channel, date, int]]:
    """Put back what was surely not sent, and pause where the account or the sender was refused.

    Gives of each claim the channel, the day, and what it took of the budget of segments.
    """
    open_ones = [(one, row) for one, row in ended if row.state is MessageState.SENDING]
    changes = []
    any_refused = any(isinstance(one.result, Refused) for one, _ in open_ones)
    to_try = channels_to_try(session, run.now) if any_refused else set()
    for one, row in open_ones:
        until, why = _until(run, one.result, is_probe=one.claimed.channel in to_try)
        until = one.again_at or until
        back = {"due_at": min(until, row.drop_at), "claimed_at": None}
        changes.append((row, MessageEvent.GIVE_BACK, why, back))
        if isinstance(one.result, Refused) and one.result.scope == _IN_COUNTRY:
            number, of = one.claimed.point.address, row.claimed_at
            close_country(session, number, why=why, now=run.now, of=of)
        elif isinstance(one.result, Refused):
            channel = one.claimed.channel
            close_channel(session, channel, why=why, now=run.now, at_least=PAUSE)
    change_rows(session, run, changes)
    for one, _ in open_ones:
        if one.claimed.voucher_id is not None:
            return_unsent(session, one.claimed.voucher_id, one.claimed.message_id, run.now)
    # Somebody stopped it, or let it be jumped over, while it was called: it does not wait to be
    # told so at the next last look.
    cancel_overtaken(
        session,
        run,
        [
            Overtaken(row.id, row.enrollment_id, row.step, why, row.next_step == row.step)
            for _, row in open_ones
            if (why := row.out_of_turn)
        ],
    )
    return [
        (one.claimed.channel, local_date(row.claimed_at, run.zone), one.claimed.segments)
        for one, row in open_ones
    ]


def _until(run: Run, result: Result | NotCalled, *, is_probe: bool) -> tuple[datetime, str]:
    """Give when to try again, and why so late."""
    if isinstance(result, NotCalled):
        return run.now, result.why
    if isinstance(result, Busy):
        wait = back_off(result.retry_after_seconds, chance=run.rng.random())
        return run.now + wait, result.reason
    assert isinstance(result, Refused)  # noqa: S101 - see goes_back
    # The next one to try the channel is another one: perhaps only this one meets the refusal.
    # And what waits for a country looks each day whether an operator let it go on.
    is_for_tomorrow = is_probe or result.scope == _IN_COUNTRY
    until = tomorrow_start(run.now, run.zone) if is_for_tomorrow else run.now + PAUSE
    return until, f"{result.code} {result.reason}"
