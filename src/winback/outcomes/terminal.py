"""The report for a terminal: the sentence first, then the numbers behind it."""

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from winback.outcomes.figures import CampaignReport, Report
from winback.outcomes.html import REASONS
from winback.outcomes.lift import Interval
from winback.outcomes.verdict import Finding

_STYLES = {Finding.GAIN: "bold green", Finding.LOSS: "bold red", Finding.BROKEN_SPLIT: "bold red"}
_FUNNEL = (
    "queued",
    "sent",
    "delivered",
    "opened",
    "clicked",
    "replied",
    "bounced",
    "failed",
    "unconfirmed",
    "skipped",
    "canceled",
)


def print_report(report: Report, console: Console) -> None:
    """Write the whole report to a console."""
    console.print(Rule(f"{report.business}, as of {report.on}", align="left"))
    for campaign in report.campaigns:
        console.print(*_campaign(campaign, report.currency), sep="\n")
    if not report.campaigns:
        console.print("no campaign has begun")
    console.print(Text("What needs a person", style="bold"))
    for need in report.needs_a_person:
        since = f" (since {need.since:%Y-%m-%d})" if need.since else ""
        console.print(f"  - {need.says}{since}", highlight=False)
    if not report.needs_a_person:
        console.print("  nothing")


def _campaign(campaign: CampaignReport, currency: str) -> Iterator[RenderableType]:
    verdict = campaign.effect.verdict
    yield Text(f"\nCampaign {campaign.campaign}", style="bold")
    yield Text(verdict.sentence, style=_STYLES.get(verdict.finding, "bold"))
    yield Text("")
    yield _arms(campaign)
    yield _money(campaign, currency)
    if campaign.funnel:
        rows = [
            (
                row.step,
                row.channel.value,
                row.variant,
                *(f"{getattr(row, name):,}" for name in _FUNNEL),
            )
            for row in campaign.funnel
        ]
        yield _table("From message to customer", ("step", "channel", "v", *_FUNNEL), rows, texts=3)
    if campaign.reasons:
        reasons = [(REASONS.get(key, key), f"{n:,}") for key, n in campaign.reasons.items()]
        yield _table("Why they stayed away", ("reason", "customers"), reasons)
    treated, holdout = campaign.states["treated"], campaign.states["holdout"]
    states = [
        (state.replace("_", " "), f"{treated[state]:,}", f"{holdout[state]:,}")
        for state in treated
        if treated[state] or holdout[state]
    ]
    yield _table("How it ended", ("state", "treated", "holdout"), states)
    for note in campaign.notes:
        yield Text(f"Note: {note}")


def _arms(campaign: CampaignReport) -> RenderableType:
    effects = (("measured", campaign.effect), ("so far (interim)", campaign.so_far))
    rows = [
        (
            name,
            arm.arm.value,
            f"{arm.assigned:,}",
            f"{arm.converted:,}",
            f"{arm.rate.estimate:.1%}",
            f"{arm.rate.low:.1%} to {arm.rate.high:.1%}",
            f"{arm.revenue_per_assigned:,.2f}",
        )
        for name, effect in effects
        for arm in (effect.treated, effect.holdout)
    ]
    columns = ("", "arm", "assigned", "came back", "share", "95 % interval", "revenue each")
    return _table("Who came back", columns, rows, texts=2)


def _money(campaign: CampaignReport, currency: str) -> RenderableType:
    money = campaign.money

    def line(name: str, interval: Interval | None) -> tuple[str, ...]:
        if interval is None:
            return (name, "", "", "")
        ends = (interval.estimate, interval.low, interval.high)
        return (name, *(f"{end:,.2f}" for end in ends))

    rows = [
        line("revenue per assigned, treated less holdout (Welch)", money.welch),
        line("  by bootstrap", money.bootstrap),
        line(f"  winsorized at {money.winsorized_at:,.2f}", money.winsorized),
        ("cost of messages", f"{money.message_cost:,.2f}", "", ""),
        ("cost of redeemed vouchers", f"{money.voucher_cost:,.2f}", "", ""),
        line(f"net value at a margin of {money.margin:.0%}", money.net),
        ("attributed, not caused", f"{money.attributed:,.2f}", "", ""),
    ]
    table = _table(f"The money, in {currency}", ("", "estimate", "from", "to"), rows)
    return Group(table, Padding(Text(money.sentence), (0, 0, 1, 0)))


def _table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1
) -> RenderableType:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < texts else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
