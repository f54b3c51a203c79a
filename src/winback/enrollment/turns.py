"""Who may enter and waits for a turn: rows in the order of value, cut by the daily limit.

While mails warm up the newest lapses come first instead, whatever the campaign ranks by.

Being cut is no refusal (DESIGN.md, section 5): who waits competes again the next day. Only those
whose turn comes are judged again, so a backlog costs nothing while it waits.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BindParameter, Delete, bindparam, delete, insert, select
from sqlalchemy.orm import Session

from winback.database.bulk import on_conflict
from winback.database.tables import Customer, Refusal, Waiting, table_of
from winback.enrollment.eligibility import Judged, Refused
from winback.enrollment.finding import Look
from winback.enrollment.refusing import store_refusals
from winback.enrollment.value import Rank


def settle(
    session: Session,
    look: Look,
    customer_ids: Collection[int],
    *,
    judged: Sequence[Judged] = (),
    ranks: Mapping[int, Rank] | None = None,
) -> int:
    """Write down what was found about these customers, instead of what stood before.

    Who may enter waits, who is refused has a refusal. Who is neither, because no lapse stands or
    it has its enrollment, has nothing. Gives how many refusals are new.
    """
    waiting = [one for one in judged if one.reason is None]
    refused = [one for one in judged if one.reason not in {None, Refused.ENROLLED}]
    everyone = frozenset(customer_ids)
    _forget(session, look, _FORGET_WAITING, everyone - {one.customer_id for one in waiting})
    _forget(session, look, _FORGET_REFUSAL, everyone - {one.customer_id for one in refused})
    _let_wait(session, look, waiting, ranks or {})
    if not refused:
        return 0
    return store_refusals(session, look.name, look.version_id, refused, now=look.now)


def next_turns(
    session: Session, look: Look, count: int, *, newest_first: bool = False
) -> Sequence[int]:
    """Give who comes next: most spent first, then the newest lapse, then the id.

    With ``newest_first`` the lapse goes before the value, as while mails warm up.
    """
    following = _NEXT_NEWEST if newest_first else _NEXT
    return session.scalars(following, {"campaign": look.name, "count": count}).all()


def hold(session: Session, customer_ids: Sequence[int]) -> list[int]:
    """Give those of them whom nobody changes this very moment, and let nobody until the commit.

    Who is just made one with another, or erased, keeps their turn: it is judged when that is done.
    """
    free = set(session.scalars(_FREE, {"ids": sorted(customer_ids)}))
    return [id_ for id_ in customer_ids if id_ in free]


def _let_wait(
    session: Session, look: Look, waiting: Sequence[Judged], ranks: Mapping[int, Rank]
) -> None:
    if not waiting:
        return
    nothing = Rank()
    session.connection().execute(
        _LET_WAIT,
        [
            {
                "campaign": look.name,
                "customer_id": one.customer_id,
                "lapsed_on": one.lapsed_on,
                "campaign_version_id": look.version_id,
                "spend": ranks.get(one.customer_id, nothing).spend,
                "ranks_until": ranks.get(one.customer_id, nothing).until,
                "customer_changed_at": one.changed_at,
            }
            for one in waiting
        ],
    )


def _forget(session: Session, look: Look, statement: Delete, customer_ids: Collection[int]) -> None:
    if customer_ids:
        # In one order, so that two runs at once wait for each other instead of in a circle.
        session.execute(statement, {"campaign": look.name, "ids": sorted(customer_ids)})


_IDS: Final[BindParameter[Any]] = bindparam("ids", expanding=True)
_CAMPAIGN: Final[BindParameter[str]] = bindparam("campaign")
_FORGET_WAITING: Final = (
    delete(Waiting)
    .where(Waiting.campaign == _CAMPAIGN, Waiting.customer_id.in_(_IDS))
    .execution_options(synchronize_session=False)
)
_FORGET_REFUSAL: Final = (
    delete(Refusal)
    .where(Refusal.campaign == _CAMPAIGN, Refusal.customer_id.in_(_IDS))
    .execution_options(synchronize_session=False)
)
_LET_WAIT: Final = on_conflict(
    insert(table_of(Waiting)),
    "campaign",
    "customer_id",
    replaces=(
        "lapsed_on",
        "campaign_version_id",
        "spend",
        "ranks_until",
        "customer_changed_at",
    ),
)
_FREE: Final = (
    select(Customer.id)
    .where(Customer.id.in_(_IDS))
    .order_by(Customer.id)
    .with_for_update(read=True, skip_locked=True)
)
_WHO_WAITS: Final = (
    select(Waiting.customer_id).where(Waiting.campaign == _CAMPAIGN).limit(bindparam("count"))
)
_NEXT: Final = _WHO_WAITS.order_by(
    Waiting.spend.desc(), Waiting.lapsed_on.desc(), Waiting.customer_id
)
# No index serves this order; it is asked for some days at the start of a domain's life.
_NEXT_NEWEST: Final = _WHO_WAITS.order_by(
    Waiting.lapsed_on.desc(), Waiting.spend.desc(), Waiting.customer_id
)
