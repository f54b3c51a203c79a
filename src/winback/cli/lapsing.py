"""``winback lapsed``: who has lapsed, and who of them may enter the campaign."""

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winback.cli.output import AsJson, AsOf, opened, print_json, print_table, say

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from winback.business import Business
    from winback.campaign.schema import Campaign
    from winback.enrollment.eligibility import Judged
    from winback.lapse.listing import LapsedCustomer

_COLUMNS = ("source", "external_id", "last_purchased_at", "days_since_last_purchase")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(lapsed)


def lapsed(
    *,
    campaign: Annotated[
        str | None, typer.Option(help="Whose lapse rule; needed when there are several.")
    ] = None,
    eligible: Annotated[
        bool, typer.Option("--eligible", help="Say who may enter the campaign, and why not.")
    ] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_of: AsOf = None,
) -> None:
    """Who has lapsed, the newest lapse first, by the campaign's lapse.after alone.

    With --eligible also by not_after, audience, consent, open enrollments and cooldown.

    Example: winback lapsed --as-of 2026-03-01 --json
    """
    from sqlalchemy.orm import Session

    from winback.lapse.listing import list_lapsed

    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    with opened(as_of, writes=False) as (business, now):
        chosen = _chosen(business.campaigns, campaign)
        reading = business.engine.execution_options(winback_reads_only=True)
        with Session(reading) as session:
            judged = _judged(session, business, chosen, now) if eligible else None
            found = list_lapsed(session, chosen.lapse.after, now=now, zone=business.zone)
            if as_json:
                print_json(_facts(found, judged, chosen, now))
            elif as_csv:
                _print_csv(found, judged)
            else:
                _print(found, judged, chosen)


def _chosen(campaigns: "tuple[Campaign, ...]", name: str | None) -> "Campaign":
    from winback.errors import ConfigError

    names = ", ".join(one.campaign for one in campaigns)
    if name is None:
        if len(campaigns) == 1:
            return campaigns[0]
        raise ConfigError(f"there are several campaigns; name one with --campaign: {names}")
    for one in campaigns:
        if one.campaign == name:
            return one
    raise ConfigError(f"there is no campaign {name}; there are: {names}")


def _judged(
    session: "Session", business: "Business", campaign: "Campaign", now: "datetime"
) -> "dict[int, Judged]":
    from winback.enrollment.eligibility import judge_lapsed

    batches = judge_lapsed(
        session,
        campaign,
        now=now,
        zone=business.zone,
        currency=business.settings.business.currency,
    )
    return {one.customer_id: one for batch in batches for one in batch}


def _facts(
    found: "Iterable[LapsedCustomer]",
    judged: "dict[int, Judged] | None",
    campaign: "Campaign",
    now: "datetime",
) -> dict[str, Any]:
    customers = []
    for one in found:
        facts: dict[str, Any] = {
            "source": one.source,
            "external_id": one.external_id,
            "ids": one.ids,
            "last_purchased_at": one.last_purchased_at,
            "days_since_last_purchase": one.days_since_last_purchase,
        }
        if judged is not None:
            verdict = judged[one.customer_id]
            facts |= {
                "eligible": verdict.reason is None,
                "reason": verdict.reason,
                "why_not": verdict.why or None,
                "look_again_on": verdict.look_again_on,
            }
        customers.append(facts)
    told: dict[str, Any] = {
        "as_of": now,
        "campaign": campaign.campaign,
        "count": len(customers),
        "customers": customers,
    }
    if judged is not None:
        told["eligible"] = sum(facts["eligible"] for facts in customers)
    return told


def _cells(
    found: "Iterable[LapsedCustomer]", judged: "dict[int, Judged] | None"
) -> Iterator[tuple[object, ...]]:
    for one in found:
        cells = (one.source, one.external_id, one.last_purchased_at, one.days_since_last_purchase)
        if judged is None:
            yield cells
            continue
        verdict = judged[one.customer_id]
        yield (*cells, "yes" if verdict.reason is None else "no", verdict.why)


def _print_csv(found: "Iterable[LapsedCustomer]", judged: "dict[int, Judged] | None") -> None:
    """Print CSV by RFC 4180; cells that a spreadsheet would run are made text (SEC-19)."""
    from winback.vouchers.exporting import safe_cell

    writer = csv.writer(sys.stdout)
    writer.writerow(_COLUMNS if judged is None else (*_COLUMNS, "eligible", "why_not"))
    for source, external_id, last_at, *rest in _cells(found, judged):
        at = str(last_at).replace(" ", "T").replace("+00:00", "Z")
        writer.writerow((safe_cell(str(source)), safe_cell(str(external_id)), at, *rest))


def _print(
    found: "Iterable[LapsedCustomer]",
    judged: "dict[int, Judged] | None",
    campaign: "Campaign",
) -> None:
    rows = list(_cells(found, judged))
    columns: tuple[str, ...] = ("source", "id", "last purchase (UTC)", "days")
    if judged is not None:
        columns = (*columns, "may enter", "why not")
    print_table(f"lapsed: no purchase for {campaign.lapse.after}", columns, rows)
    say(f"{len(rows):,} lapsed, by campaign {campaign.campaign}")
    if judged is not None:
        reasons = Counter(one.reason for one in judged.values())
        say(f"{reasons.pop(None, 0):,} may enter")
        for reason, count in reasons.most_common():
            say(f"{count:,} {reason}")
