"""What one enrollment came to: the decision, apart from where its facts are kept; pure.

The window is the same in both arms, begins with the enrollment and ends before ``until``; what
lies outside of it counts nowhere, neither as revenue nor as cost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from winback.clock import local_date
from winback.states import PurchaseKind
from winback.vouchers.codes import normalize_code

CLICK_DAYS: Final = 5
"""How long after a human click a sale is called attributed (FACTS.md MEA-15, MEA-16)."""

NOTHING: Final = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which an enrollment is measured."""

    enrolled_at: datetime
    enrolled_on: date
    until: datetime
    """Exclusive."""
    zone: ZoneInfo
    currency: str


@dataclass(frozen=True, slots=True)
class Bought:
    """One sale or refund of the customer."""

    id: int
    name: tuple[str, str]
    """Source and external id: what a refund names."""
    purchased_at: datetime
    purchased_on: date
    is_date_only: bool
    first_seen_at: datetime
    amount: Decimal
    currency: str
    kind: PurchaseKind
    refund_of: str | None = None
    voucher_code: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """One message that a provider accepted."""

    accepted_at: datetime
    cost: Decimal
    clicked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Redeemed:
    """One voucher of the enrollment that was redeemed."""

    code: str
    redeemed_at: datetime
    purchase_id: int | None
    cost_of: Callable[[Decimal], Decimal]
    """What it costs us, given what the customer paid."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an enrollment came to so far, in the business's currency."""

    is_converted: bool = False
    converted_at: datetime | None = None
    purchases: int = 0
    revenue: Decimal = NOTHING
    other_currency: int = 0
    attributed: Decimal = NOTHING
    message_cost: Decimal = NOTHING
    voucher_cost: Decimal = NOTHING


def is_inside(window: Window, bought: Bought) -> bool:
    """Say whether a sale or refund happened within the window.

    One of which only the date is known is compared by date: on the day of the enrollment it counts
    when it was first seen after the enrollment (DESIGN.md, section 6).
    """
    if bought.purchased_at >= window.until:
        return False
    if not bought.is_date_only:
        return bought.purchased_at >= window.enrolled_at
    if bought.purchased_on == window.enrolled_on:
        return bought.first_seen_at > window.enrolled_at
    return bought.purchased_on > window.enrolled_on


def result_of(
    window: Window, bought: Sequence[Bought], sent: Sequence[Sent], redeemed: Sequence[Redeemed]
) -> Result:
    """Give what an enrollment came to; does not depend on the order of its facts."""
    inside = sorted(
        (one for one in bought if is_inside(window, one)),
        key=lambda one: (one.purchased_at, one.id),
    )
    sales = [one for one in inside if one.kind is PurchaseKind.SALE]
    kept = _kept(window, inside)
    ours = _ours(window, sales, sent, redeemed)
    costs = [one.cost for one in sent if window.enrolled_at <= one.accepted_at < window.until]
    return Result(
        is_converted=bool(sales),
        converted_at=max(sales[0].purchased_at, window.enrolled_at) if sales else None,
        purchases=len(sales),
        revenue=sum(kept.values(), NOTHING),
        other_currency=sum(one.currency != window.currency for one in sales),
        attributed=sum((kept.get(one, NOTHING) for one in ours), NOTHING),
        message_cost=sum(costs, NOTHING),
        voucher_cost=sum((_cost(window, one, sales) for one in redeemed), NOTHING),
    )


def _kept(window: Window, inside: Sequence[Bought]) -> dict[int, Decimal]:
    """Give what each sale in our currency brought, less what came back within the window.

    A refund lowers the sale that it names, else the customer's latest earlier one; where that
    lies before the window, the refund says nothing about it.
    """
    kept: dict[int, Decimal] = {}
    names: dict[tuple[str, str], int] = {}
    latest: int | None = None
    refunds: list[tuple[Bought, int | None]] = []
    for one in inside:
        if one.currency != window.currency:
            continue
        if one.kind is PurchaseKind.SALE:
            kept[one.id] = one.amount
            names[one.name] = latest = one.id
        else:
            refunds.append((one, latest))
    for refund, before in refunds:
        named = refund.refund_of and names.get((refund.name[0], refund.refund_of))
        sale = named if refund.refund_of else before
        if sale:
            kept[sale] -= abs(refund.amount)
    return kept


def _ours(
    window: Window,
    sales: Sequence[Bought],
    sent: Sequence[Sent],
    redeemed: Sequence[Redeemed],
) -> set[int]:
    """Give the sales with our voucher, or soon after a human click; each once (MEA-16)."""
    codes = {normalize_code(one.code) for one in redeemed}
    by_voucher = {one.purchase_id for one in redeemed}
    clicks = [one.clicked_at for one in sent if one.clicked_at]
    return {
        sale.id
        for sale in sales
        if sale.id in by_voucher
        or (sale.voucher_code and normalize_code(sale.voucher_code) in codes)
        or any(_follows(window, sale, click) for click in clicks)
    }


def _follows(window: Window, sale: Bought, click: datetime) -> bool:
    if sale.is_date_only:
        days = (sale.purchased_on - local_date(click, window.zone)).days
        return 0 <= days <= CLICK_DAYS
    return click <= sale.purchased_at <= click + timedelta(days=CLICK_DAYS)


def _cost(window: Window, redeemed: Redeemed, sales: Sequence[Bought]) -> Decimal:
    for sale in sales:
        if sale.id == redeemed.purchase_id:
            paid = sale.amount if sale.currency == window.currency else NOTHING
            return redeemed.cost_of(paid)
    # Redeemed by hand: there is no order to take a share of, and the instant decides.
    is_by_hand = redeemed.purchase_id is None
    if is_by_hand and window.enrolled_at <= redeemed.redeemed_at < window.until:
        return redeemed.cost_of(NOTHING)
    return NOTHING
