"""The report as Markdown pages for Prefect's dashboard, each under a key that never changes.

Pages carry days, steps, ids and counts, never a person. Each links to the others, and to the web
part.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from winback.outcomes.account import Account
from winback.outcomes.figures import CampaignReport, Effect, FunnelRow, Need, Report

_RUN: Final = "winback-run"
_FUNNEL_KEY: Final = "winback-funnel"
_LIFT: Final = "winback-lift"
_ACCOUNT_KEY: Final = "winback-account"
_NEEDS: Final = "winback-needs-a-person"
REHEARSAL: Final = "winback-rehearsal"
_TITLES: Final = {
    _NEEDS: "what needs a person",
    _RUN: "what the day did",
    _FUNNEL_KEY: "the funnel",
    _LIFT: "what winback earned",
    _ACCOUNT_KEY: "what the providers took",
    REHEARSAL: "the days to come",
}
_FUNNEL = ("sent", "delivered", "clicked", "replied", "bounced", "unconfirmed", "skipped")

_ACCOUNT = ("accepted", "processed", "delivered", "bounced", "failed", "waiting", "refused")
_GAPS = {
    "in_doubt": "whether it was accepted",
    "unheard": "any word since a day",
    "unfinished": "how it ended, since three days",
}
_SHOWN = 50
"""Ids that a page names of one gap."""


@dataclass(frozen=True, slots=True)
class ArtifactPage:
    """One page: its fixed key, its title and its Markdown."""

    key: str
    title: str
    text: str


def artifact_pages(
    report: Report, done: Mapping[str, Mapping[str, int]], account: Account, *, web_url: str
) -> tuple[ArtifactPage, ...]:
    """Give what the run did, the funnel, the lift, the account and what needs a person."""
    told = {
        _RUN: (f"What the run of {report.on} did", _run(report, done)),
        _ACCOUNT_KEY: (f"What the providers took up to {report.on}", _account(account)),
    }
    return (*_linked(told, web_url), *report_pages(report, web_url=web_url))


def report_pages(report: Report, *, web_url: str) -> tuple[ArtifactPage, ...]:
    """Give what the report alone tells: the funnel, the lift and what needs a person."""
    told = {
        _FUNNEL_KEY: (f"The funnel up to {report.on}", _funnel(report)),
        _LIFT: (f"What winback earned up to {report.on}", _lift(report)),
    }
    needs = needs_page(report.needs_a_person, on=report.on, web_url=web_url)
    return (*_linked(told, web_url), needs)


def needs_page(needs: Sequence[Need], *, on: date, web_url: str) -> ArtifactPage:
    """Give the page of what needs a person."""
    told = {_NEEDS: (f"What needs a person on {on}", _needs(needs, on))}
    return next(_linked(told, web_url))


def see_also(key: str, *, web_url: str) -> str:
    """Give the line of links that closes a page: the other pages by their keys, the web part.

    The addresses are those of Prefect's dashboard at the root of its server.
    """
    links = [
        f"[{title}](/artifacts/key/{other})" for other, title in _TITLES.items() if other != key
    ]
    return f"See also: {', '.join(links)}, [whether the web part is well]({web_url}/health).\n"


def _linked(told: Mapping[str, tuple[str, str]], web_url: str) -> Iterator[ArtifactPage]:
    for key, (title, text) in told.items():
        yield ArtifactPage(key, title, f"{text}\n{see_also(key, web_url=web_url)}")


def _run(report: Report, done: Mapping[str, Mapping[str, int]]) -> str:
    rows = [
        (stage, name.replace("_", " "), f"{number:,}")
        for stage, counts in done.items()
        for name, number in counts.items()
        if number
    ]
    told = _table(("stage", "counted", "number"), rows) if rows else "Nothing was due, nothing new."
    return (
        f"# {report.business}, {report.on}\n\n{told}\n\n"
        "Who got what, and why not, is told by `winback customer ID`; "
        "the whole report by `winback report`.\n"
    )


def _funnel(report: Report) -> str:
    parts = [f"# From message to customer, up to {report.on}\n"]
    for campaign in report.campaigns:
        parts += [
            f"## {campaign.campaign}\n",
            _table(("step", "channel", "variant", *_FUNNEL), map(_funnel_row, campaign.funnel)),
        ]
        if campaign.reasons:
            reasons = [
                (reason.replace("_", " "), f"{count:,}")
                for reason, count in campaign.reasons.items()
            ]
            parts += ["### Why they stayed away\n", _table(("reason", "customers"), reasons)]
    return "\n".join(parts) + "\n"


def _funnel_row(row: FunnelRow) -> Sequence[str]:
    return (
        row.step + (" (answer)" if row.is_answer else ""),
        row.channel.value,
        row.variant,
        *(f"{getattr(row, name):,}" for name in _FUNNEL),
    )


def _lift(report: Report) -> str:
    parts = [f"# What winback earned, up to {report.on}\n"]
    for campaign in report.campaigns:
        parts += list(_campaign_lift(campaign, report.currency))
    return "\n".join(parts) + "\n"


def _campaign_lift(campaign: CampaignReport, currency: str) -> Iterator[str]:
    yield f"## {campaign.campaign}\n\n**{campaign.effect.verdict.sentence}**\n"
    rows = [*_arm_rows("window over", campaign.effect), *_arm_rows("so far", campaign.so_far)]
    yield _table(("over", "arm", "customers", "came back", "share", "revenue each"), rows)
    yield f"\n{campaign.money.sentence}\n"
    yield (
        f"Attributed, not caused: {campaign.money.attributed:,.2f} {currency}; "
        f"messages cost {campaign.money.message_cost:,.2f}, "
        f"vouchers {campaign.money.voucher_cost:,.2f}.\n"
    )
    for note in campaign.notes:
        yield f"- {note}"


def _arm_rows(label: str, effect: Effect) -> Iterator[Sequence[str]]:
    for arm in (effect.treated, effect.holdout):
        yield (
            label,
            arm.arm.value,
            f"{arm.assigned:,}",
            f"{arm.converted:,}",
            f"{arm.converted / arm.assigned:.1%}" if arm.assigned else "",
            f"{arm.revenue_per_assigned:,.2f}",
        )


def _account(account: Account) -> str:
    columns = ("day", "channel", *_ACCOUNT, "unknown")
    rows = (
        (
            str(one.day),
            one.channel.value,
            *(f"{getattr(one.tally, name):,}" for name in (*_ACCOUNT, "unknown")),
        )
        for one in account.days
    )
    parts = ["# What the providers took, by day\n", _table(columns, rows), *_gaps(account)]
    return "\n".join(parts) + "\n"


def _gaps(account: Account) -> Iterator[str]:
    rows = [
        (str(one.day), one.channel.value, _GAPS[what], f"{len(ids):,}", _first(ids))
        for one in account.days
        for what, ids in one.gaps.by_kind().items()
        if ids
    ]
    if not rows:
        yield "No gaps: of all that was accepted a day ago the providers reported something.\n"
        return
    yield "## Gaps\n"
    yield _table(("day", "channel", "what is missing", "messages", "ids"), rows)
    yield "All ids: `winback report --account --json`.\n"


def _first(ids: Sequence[int]) -> str:
    shown = ", ".join(map(str, ids[:_SHOWN]))
    return shown if len(ids) <= _SHOWN else f"{shown}, ..."


def _needs(needs: Sequence[Need], on: date) -> str:
    head = f"# What needs a person on {on}\n\n"
    if not needs:
        return head + "Nothing.\n"
    lines = []
    for need in needs:
        since = f" (since {need.since:%Y-%m-%d})" if need.since else ""
        lines.append(f"- {need.says}{since}\n")
    return head + "".join(lines)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
