"""Ask the conditions of a batch of enrollments; facts are read once, and only those asked for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from winback.campaign.conditions import compile_condition
from winback.campaign.schema import Campaign
from winback.campaign.versions import campaign_of_version
from winback.enrollment.facts import condition_facts

Holds = Callable[[Any, str], bool]
"""Whether a condition holds for an enrollment (customer_id, value, enrollment_reason)."""


class Standpoint(Protocol):
    """The instant that a run stands at, and the campaigns it has met; ``delivery.run.Run`` is one.

    A campaign's version never changes, so what was met once is kept by its id.
    """

    @property
    def now(self) -> datetime:
        """The instant, aware UTC."""

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the business's days are counted."""

    @property
    def today(self) -> date:
        """The business's local date of the instant."""

    @property
    def currency(self) -> str:
        """The business's currency."""

    @property
    def campaigns(self) -> dict[int, Campaign]:
        """Versions of campaigns met so far, by id; ``campaigns_of`` adds to them."""


def campaigns_of(
    session: Session, run: Standpoint, version_ids: Iterable[int]
) -> Mapping[int, Campaign]:
    """Give the campaigns as they were when each enrollment began, by version id."""
    for id_ in set(version_ids) - run.campaigns.keys():
        run.campaigns[id_] = campaign_of_version(session, id_)
    return run.campaigns


def conditions_of(session: Session, run: Standpoint, rows: Sequence[Any]) -> Holds:
    """Give what answers conditions for these enrollments."""
    known: dict[frozenset[str], Mapping[int, Mapping[str, object]]] = {frozenset(): {}}

    def holds(row: Any, text: str) -> bool:
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
