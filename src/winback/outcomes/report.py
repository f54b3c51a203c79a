"""Build the report: the funnel, the effect, the money, the reasons, and what needs a person.

The effect is over enrollments whose window has ended, by assignment; beside it stands the peek
over everyone, labeled interim (FACTS.md MEA-2, MEA-6).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy.orm import Session

from winback.business import Business
from winback.campaign.schema import Campaign
from winback.clock import local_date
from winback.outcomes import reading
from winback.outcomes.figures import (
    ArmFigures,
    CampaignReport,
    Effect,
    Money,
    Need,
    Report,
    ReturnPoint,
    VoucherRow,
    Week,
)
from winback.outcomes.lift import (
    Interval,
    Proportion,
    SampleRatio,
    bootstrap,
    newcombe,
    sample_ratio,
    welch,
    wilson,
    winsorized,
)
from winback.outcomes.needs import find_needs, open_cases
from winback.outcomes.verdict import Finding, judge, judge_money
from winback.states import Arm, Mode
from winback.vouchers.stock import StockLine, stock

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SEED: Final = 19_970_101
"""Of the bootstrap: the same data give the same report."""


def build_report(
    session: Session, business: Business, *, now: datetime, campaign: str | None = None
) -> Report:
    """Build the report of one campaign, or of all that are configured or ever enrolled anybody."""
    configured = {one.campaign: one for one in business.campaigns}
    must_be_exported = business.settings.mode is not Mode.SANDBOX
    lines = stock(session, business.campaigns, now=now, must_be_exported=must_be_exported)
    campaigns = tuple(
        _campaign_report(session, business, name, configured.get(name), lines=lines, now=now)
        for name in _names(session, configured)
        if campaign in (None, name)
    )
    needs = find_needs(session, business, lines, now=now)
    return Report(
        as_of=now,
        on=local_date(now, business.zone),
        business=business.settings.business.name,
        currency=business.settings.business.currency,
        mode=business.settings.mode.value,
        campaigns=campaigns,
        needs_a_person=(*_broken_splits(campaigns), *needs),
        cases=open_cases(session),
    )


def build_needs(session: Session, business: Business, *, now: datetime) -> tuple[Need, ...]:
    """Find what needs a person, as the report tells it, without building the report.

    Only a campaign whose split is broken is built, since its sentence comes from its figures.
    """
    must_be_exported = business.settings.mode is not Mode.SANDBOX
    lines = stock(session, business.campaigns, now=now, must_be_exported=must_be_exported)
    configured = {one.campaign: one for one in business.campaigns}
    broken = [
        _campaign_report(session, business, name, configured.get(name), lines=lines, now=now)
        for name in _names(session, configured)
        if sample_ratio(reading.read_split(session, name, now)).is_broken
    ]
    return (*_broken_splits(broken), *find_needs(session, business, lines, now=now))


def _names(session: Session, configured: Mapping[str, Campaign]) -> list[str]:
    """Give the campaigns that are configured, then those that ever enrolled anybody."""
    known = reading.known_campaigns(session)
    return list(configured) + [name for name in known if name not in configured]


def _campaign_report(
    session: Session,
    business: Business,
    name: str,
    campaign: Campaign | None,
    *,
    lines: Sequence[StockLine],
    now: datetime,
) -> CampaignReport:
    arms = reading.read_arms(session, name, now)
    planned = reading.read_split(session, name, now)
    split = sample_ratio(planned)
    still_measured = sum(int((~arm.is_over).sum()) for arm in arms.values())
    returns = reading.read_returns(session, name, now)
    effect = _effect(_ended(arms), split, open_windows=still_measured)
    return CampaignReport(
        campaign=name,
        enrolled=sum(len(arm.is_over) for arm in arms.values()),
        still_measured=still_measured,
        measure_for=str(campaign.measure_for) if campaign else "",
        effect=effect,
        so_far=_effect(arms, split, open_windows=still_measured),
        money=_money(_ended(arms), business),
        funnel=reading.read_funnel(session, name, campaign.message_names() if campaign else ()),
        reasons=reading.read_reasons(session, name),
        states=reading.read_states(session, name),
        vouchers=tuple(_voucher_row(line) for line in lines if line.campaign == name),
        weeks=_weeks(reading.read_enrolled(session, name, now), returns, business),
        returns=_returns(returns, effect),
        notes=_notes(planned, arms),
    )


def _ended(arms: Mapping[Arm, reading.ArmRows]) -> dict[Arm, reading.ArmRows]:
    return {
        arm: reading.ArmRows(
            *(getattr(rows, name)[rows.is_over] for name in reading.ArmRows.__slots__)
        )
        for arm, rows in arms.items()
    }


def _effect(
    arms: Mapping[Arm, reading.ArmRows], split: SampleRatio, *, open_windows: int
) -> Effect:
    counts = {
        arm: Proportion(int(rows.is_converted.sum()), len(rows.is_converted))
        for arm, rows in arms.items()
    }
    treated, holdout = counts[Arm.TREATED], counts[Arm.HOLDOUT]
    verdict = judge(treated, holdout, split, open_windows=open_windows)
    hidden = (Finding.NOTHING_YET, Finding.NO_HOLDOUT, Finding.BROKEN_SPLIT)
    return Effect(
        treated=_arm_figures(Arm.TREATED, counts, arms),
        holdout=_arm_figures(Arm.HOLDOUT, counts, arms),
        difference=None if verdict.finding in hidden else newcombe(treated, holdout),
        verdict=verdict,
        split=split,
    )


def _arm_figures(
    arm: Arm, counts: Mapping[Arm, Proportion], arms: Mapping[Arm, reading.ArmRows]
) -> ArmFigures:
    revenue = float(arms[arm].revenue.sum())
    assigned = counts[arm].assigned
    return ArmFigures(
        arm=arm,
        assigned=assigned,
        converted=counts[arm].successes,
        rate=wilson(counts[arm]),
        revenue=revenue,
        revenue_per_assigned=revenue / assigned if assigned else 0.0,
    )


def _money(arms: Mapping[Arm, reading.ArmRows], business: Business) -> Money:
    treated, holdout = arms[Arm.TREATED], arms[Arm.HOLDOUT]
    margin = float(business.settings.economics.margin)
    cut_treated, cut_holdout, cut = winsorized(treated.revenue, holdout.revenue)
    lines = [
        welch(treated.revenue, holdout.revenue),
        bootstrap(treated.revenue, holdout.revenue, seed=_SEED),
        welch(cut_treated, cut_holdout),
    ]
    per_customer = welch(_net(treated, margin), _net(holdout, margin))
    return Money(
        sentence=judge_money(lines, currency=business.settings.business.currency),
        welch=lines[0],
        bootstrap=lines[1],
        winsorized=lines[2],
        winsorized_at=cut,
        margin=margin,
        message_cost=float(treated.message_cost.sum()),
        voucher_cost=float(treated.voucher_cost.sum()),
        net=_times(per_customer, len(treated.revenue)),
        attributed=float(treated.attributed.sum()),
        other_currency=int(treated.other_currency.sum() + holdout.other_currency.sum()),
    )


def _net(rows: reading.ArmRows, margin: float) -> "NDArray[np.float64]":
    """Give what each customer left us: margin less voucher and messages (FACTS.md MEA-11)."""
    return rows.revenue * margin - rows.message_cost - rows.voucher_cost


def _times(interval: Interval | None, factor: int) -> Interval | None:
    if interval is None:
        return None
    return Interval(interval.estimate * factor, interval.low * factor, interval.high * factor)


def _voucher_row(line: StockLine) -> VoucherRow:
    return VoucherRow(
        offer=line.offer,
        free=line.free,
        reserved=line.reserved,
        issued=line.issued,
        redeemed=line.redeemed,
        voided=line.voided,
        expired=line.expired,
        is_low=line.is_low,
    )


def _weeks(
    enrolled: Mapping[tuple[date, Arm], int],
    returns: Sequence[reading.Return],
    business: Business,
) -> tuple[Week, ...]:
    """Give every week from the first enrollment to the last event, empty ones too."""
    began: Counter[tuple[date, Arm]] = Counter()
    for (day, arm), number in enrolled.items():
        began[_monday(day), arm] += number
    came: Counter[tuple[date, Arm]] = Counter(
        (_monday(local_date(one.converted_at, business.zone)), one.arm) for one in returns
    )
    mondays = sorted({monday for monday, _ in (*began, *came)})
    if not mondays:
        return ()
    count = (mondays[-1] - mondays[0]).days // 7 + 1
    return tuple(
        Week(
            monday,
            began[monday, Arm.TREATED],
            began[monday, Arm.HOLDOUT],
            came[monday, Arm.TREATED],
            came[monday, Arm.HOLDOUT],
        )
        for monday in (mondays[0] + timedelta(weeks=week) for week in range(count))
    )


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _returns(returns: Sequence[reading.Return], effect: Effect) -> tuple[ReturnPoint, ...]:
    """Give the share that had come back by each day, over ended windows."""
    sizes = {Arm.TREATED: effect.treated.assigned, Arm.HOLDOUT: effect.holdout.assigned}
    over = [one for one in returns if one.is_over]
    if not over or not all(sizes.values()):
        return ()
    came = Counter((one.arm, (one.converted_at - one.enrolled_at).days) for one in over)
    last = max(days for _, days in came)
    points, sums = [ReturnPoint(0, 0.0, 0.0)], dict.fromkeys(Arm, 0)
    for days in range(last + 1):
        for arm in Arm:
            sums[arm] += came[arm, days]
        points.append(
            ReturnPoint(
                days + 1,
                sums[Arm.TREATED] / sizes[Arm.TREATED],
                sums[Arm.HOLDOUT] / sizes[Arm.HOLDOUT],
            )
        )
    return tuple(points)


def _notes(
    planned: Sequence[tuple[int, int, float]], arms: Mapping[Arm, reading.ArmRows]
) -> tuple[str, ...]:
    notes = []
    shares = sorted({share for _, _, share in planned})
    if len(shares) > 1:
        notes.append(
            "the holdout was changed on the way ("
            + ", ".join(f"{share:.0%}" for share in shares)
            + "): times with a small and with a large holdout are mixed in these arms"
        )
    other = sum(int(rows.other_currency.sum()) for rows in arms.values())
    if other:
        notes.append(
            f"{other:,} sales in another currency count as customers who came back, "
            "but in no amount: winback does not convert currencies"
        )
    return tuple(notes)


def _broken_splits(campaigns: Sequence[CampaignReport]) -> tuple[Need, ...]:
    return tuple(
        Need("broken_split", 1, f"{one.campaign}: {one.effect.verdict.bare}")
        for one in campaigns
        if one.effect.split.is_broken
    )
