"""The report as one page that carries everything with it: no script, no request, good in print."""

from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from winback.outcomes.charts import (
    bars_chart,
    funnel_chart,
    interval_chart,
    returns_chart,
    weeks_chart,
)
from winback.outcomes.figures import CampaignReport, Report

REASONS: Final = {
    "forgot": "forgot, was busy",
    "not_now": "not now, ask later",
    "hard_time": "a hard time",
    "hours": "hours or place",
    "price": "price",
    "service": "service or quality",
    "another": "found another",
    "moved": "moved, no longer needed",
}
"""The reasons of the reason page in an owner's words."""


def render_html(report: Report) -> str:
    """Give the report as one self-contained HTML page."""
    charts = {campaign.campaign: _charts(campaign) for campaign in report.campaigns}
    return _template().render(report=report, charts=charts)


def _charts(campaign: CampaignReport) -> dict[str, Markup | None]:
    difference = campaign.effect.difference
    return {
        "interval": interval_chart(difference) if difference else None,
        "returns": returns_chart(campaign.returns) if campaign.returns else None,
        "funnel": funnel_chart(campaign.funnel) if any(r.sent for r in campaign.funnel) else None,
        "reasons": bars_chart(campaign.reasons, REASONS) if campaign.reasons else None,
        "weeks": weeks_chart(campaign.weeks) if campaign.weeks else None,
    }


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["share"] = lambda share: f"{share:.1%}"
    environment.filters["amount"] = lambda amount: f"{amount:,.2f}"
    environment.filters["whole"] = lambda amount: f"{amount:,.0f}"
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["sentence"] = _sentence
    environment.filters["day"] = lambda day: f"{day.day} {day:%B %Y}"
    environment.filters["words"] = lambda word: word.replace("_", " ").replace("-", " ")
    return environment.get_template("page.html.j2")


def _sentence(text: str) -> str:
    """Give a text as a sentence: a capital at its beginning, a stop at its end."""
    return f"{text[:1].upper()}{text[1:]}."
