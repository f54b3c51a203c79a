"""Ask the conditions of a batch of enrollments; facts are read once, and only those asked for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.orm import Session

from winback.campaign.conditions import compile_condition
from winback.delivery.run import Run
from winback.enrollment.facts import condition_facts

Holds = Callable[[Row[Any], str], bool]
"""Whether a condition holds for an enrollment (customer_id, value, enrollment_reason)."""


def conditions_of(session: Session, run: Run, rows: Sequence[Row[Any]]) -> Holds:
    """Give what answers conditions for these enrollments."""
    known: dict[frozenset[str], Mapping[int, Mapping[str, object]]] = {frozenset(): {}}

    def holds(row: Row[Any], text: str) -> bool:
        condition = compile_condition(text)
        own = {"value": row.value, "reason": row.enrollment_reason or ""}
        others = frozenset(condition.fields - own.keys())
        if others not in known:
            known[others] = condition_facts(
                session,
                list({one.customer_id for one in rows}),
                now=run.now,
                zone=run.zone,
                currency=run.currency,
                fields=others,
            )
        return condition.holds({**known[others].get(row.customer_id, {}), **own})

    return holds
