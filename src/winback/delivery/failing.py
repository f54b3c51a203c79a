"""Fail what was finally refused, and do what follows for the person, the country and the step."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from winback.customers.suppression import suppress
from winback.delivery.closing import close_country
from winback.delivery.composing import Claimed
from winback.delivery.falling import Fallen, fall
from winback.delivery.machine import MessageEvent
from winback.delivery.reaching import close_contact_point
from winback.delivery.results import Ended, Found, change_rows
from winback.delivery.run import Run
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move_all
from winback.enrollment.timeline import StepEnd
from winback.providers.outgoing import Refused
from winback.states import MessageState, SuppressionReason
from winback.vouchers.reserving import return_unsent


def fail_refused(session: Session, run: Run, ended: Sequence[Ended]) -> None:
    """Fail what was finally refused, and do what follows for the person and the step."""
    # A webhook may have told otherwise already: news that carries our id is better evidence. And
    # what others took for lost has been passed by them, or will be.
    open_ones = [
        (one, one.result, row)
        for one, row in ended
        if isinstance(one.result, Refused) and row.state is MessageState.SENDING
    ]
    if not open_ones:
        return
    change_rows(
        session,
        run,
        [
            (row, MessageEvent.REFUSE, refused.reason, {"provider_code": refused.code})
            for _, refused, row in open_ones
        ],
    )
    for one, refused, row in open_ones:
        if one.claimed.voucher_id is not None:
            return_unsent(session, one.claimed.voucher_id, one.claimed.message_id, run.now)
        if refused.scope == "recipient_opted_out":
            _suppress(session, run, one.claimed, row)
        elif refused.scope == "address_invalid" and row.contact_point_id is not None:
            close_contact_point(session, row.contact_point_id, now=run.now)
        elif refused.scope == "country":
            why, number = f"{refused.code} {refused.reason}", one.claimed.point.address
            close_country(session, number, why=why, now=run.now, of=row.claimed_at)
    fall(session, run, [_fallen(one.claimed, refused, row) for one, refused, row in open_ones])


def _suppress(session: Session, run: Run, claimed: Claimed, row: Found) -> None:
    """Take the provider's word for a no that it holds (FACTS.md TW-17, 21610)."""
    suppress(
        session,
        key=f"provider:{claimed.provider}:{claimed.message_id}",
        reason=SuppressionReason.STOPPED,
        source=claimed.provider,
        at=run.now,
        customer_id=row.customer_id,
        address_hash=claimed.point.address_hash,
    )
    why = f"{claimed.provider} holds a no of this person"
    move_all(session, [row.enrollment_id], EnrollmentEvent.OPTED_OUT, now=run.now, why=why)


def _fallen(claimed: Claimed, refused: Refused, row: Found) -> Fallen:
    waits = bool(row.out_of_turn)
    stands = waits and row.next_step == row.step
    return Fallen(
        message_id=claimed.message_id,
        # The row's: two customers may have become one during the call.
        enrollment_id=row.enrollment_id,
        customer_id=row.customer_id,
        campaign_version_id=row.campaign_version_id,
        step=claimed.step,
        is_answer=claimed.is_answer,
        channel=claimed.channel,
        voucher_id=claimed.voucher_id,
        drop_at=row.drop_at,
        may_use_other=refused.scope != "recipient_opted_out" and (stands or not waits),
        how=StepEnd.FAILED,
        why=f"{refused.code} {refused.reason}",
        stands=stands,
    )
