"""Steps for people: a call or a letter opens a case with its script, and the step is passed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from winback.database.bulk import insert_new
from winback.database.tables import Case
from winback.delivery.composing import (
    context_of,
    customer_views,
    links_of_nothing,
    vouchers_by_id,
)
from winback.delivery.looking import Sight, look
from winback.delivery.planning import Plan
from winback.delivery.run import Run
from winback.enrollment.passing import Done
from winback.enrollment.timeline import StepEnd
from winback.errors import TemplateError
from winback.messages.context import CustomerView
from winback.messages.publishing import published_variants
from winback.messages.rendering import render
from winback.messages.templates import PublishedTemplate
from winback.messages.variants import variant_for
from winback.states import CaseKind, CaseState, Channel
from winback.vouchers.reserving import issue_many

NO_MESSAGE = 0
"""What issued the voucher of a case: no message did."""

_KINDS = {Channel.CALL: CaseKind.CALL, Channel.LETTER: CaseKind.LETTER}


def open_cases(session: Session, run: Run, plans: Sequence[tuple[Plan, int | None]]) -> list[Done]:
    """Open the case of each call or letter that is due; gives how each step was passed.

    Safe to repeat: one case per enrollment and step.
    """
    if not plans:
        return []
    ids = [plan.row.customer_id for plan, _ in plans]
    sight = look(session, ids, now=run.now)
    views = customer_views(session, run, sight, ids)
    done: list[Done] = []
    for plan, voucher_id in plans:
        step = plan.step.step
        try:
            text = _script(
                session, run, plan, voucher_id, sight=sight, view=views[plan.row.customer_id]
            )
        except TemplateError as broken:
            done.append(Done(plan.row.id, step, StepEnd.FAILED, str(broken)))
            continue
        _insert_case(session, run, plan, text)
        done.append(Done(plan.row.id, step, StepEnd.CASE_OPENED))
    return done


def _script(
    session: Session,
    run: Run,
    plan: Plan,
    voucher_id: int | None,
    *,
    sight: Sight,
    view: CustomerView,
) -> str:
    if voucher_id is not None and plan.step.offer is not None:
        valid_for = plan.campaign.offers[plan.step.offer].valid_for
        issue_many(session, {NO_MESSAGE: (voucher_id, valid_for)}, now=run.now, zone=run.zone)
    carried = vouchers_by_id(session, [voucher_id] if voucher_id is not None else [])
    context = context_of(
        run,
        view,
        campaign=plan.campaign,
        step=plan.step.step,
        reason=plan.row.enrollment_reason,
        carried=carried.get(voucher_id or 0),
        links=links_of_nothing(run),
    )
    return render(_template(session, run, plan, sight), context).text


def _template(session: Session, run: Run, plan: Plan, sight: Sight) -> PublishedTemplate:
    assert plan.channel is not None  # noqa: S101 - only plans with a channel come here
    name, template = plan.campaign.campaign, plan.step.template
    live = published_variants(
        session,
        run.business.shelf,
        campaign=name,
        template=template,
        channel=plan.channel,
        locale=sight.persons[plan.row.customer_id].locale,
        now=run.now,
    )
    by_name = {one.variant: one for one in live}
    drawn = variant_for(
        run.salt, name, enrollment_id=plan.row.id, template=template, variants=list(by_name)
    )
    return by_name[drawn]


def _insert_case(session: Session, run: Run, plan: Plan, text: str) -> None:
    assert plan.channel is not None  # noqa: S101 - the same
    values: dict[str, Any] = {
        "key": f"step:{plan.row.id}:{plan.step.step}",
        "kind": _KINDS[plan.channel],
        "state": CaseState.OPEN,
        "customer_id": plan.row.customer_id,
        "enrollment_id": plan.row.id,
        "step": plan.step.step,
        "label": "",
        "text": text,
        "note": "",
        "opened_at": run.now,
    }
    session.connection().execute(insert_new(Case), values)
