"""What runs leave in Prefect for people to read: artifacts, under keys that never change."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from sqlalchemy.orm import Session

from winback.clock import local_date
from winback.day import Counts, Day
from winback.orchestration.schedules import scheduled_dates
from winback.outcomes.account import build_account
from winback.outcomes.artifacts import (
    REHEARSAL,
    ArtifactPage,
    artifact_pages,
    needs_page,
    report_pages,
    see_also,
)
from winback.outcomes.report import build_needs, build_report
from winback.rehearsal.deployed import deployed_schedule
from winback.rehearsal.page import rehearsal_page
from winback.rehearsal.walking import rehearse
from winback.states import Stage

_ACCOUNT_DAYS = 7


async def publish_counts(day: Day, stage: Stage, counts: Counts) -> None:
    """Leave what a stage did as an artifact whose key is the same every day."""
    rows = [
        {"counted": name.replace("_", " "), "number": number} for name, number in counts.items()
    ]
    await _publish_table(day, f"winback-{stage}", rows, says=f"What the last {stage} run did.")


async def publish_overtaken(day: Day, stage: Stage | None = None) -> None:
    """Leave word that a late run, of a stage or of the whole day, did nothing.

    A later one had done its work.
    """
    key, what = ("winback-run", "day's") if stage is None else (f"winback-{stage}", stage)
    says = f"The last {what} run came late: a later one had done its work, so it did nothing."
    await _publish_table(day, key, [{"counted": "runs overtaken", "number": 1}], says=says)


async def publish_needs(day: Day, stage: Stage, counts: Counts) -> None:
    """Leave what a stage did, and what needs a person now."""
    with _reading(day) as session:
        needs = build_needs(session, day.business, now=day.now())
    today = local_date(day.now(), day.business.zone)
    page = needs_page(needs, on=today, web_url=day.business.settings.base_url)
    await asyncio.gather(publish_counts(day, stage, counts), _publish([page]))


async def publish_report(day: Day, counts: Counts) -> None:
    """Leave what was measured, the funnel, the lift, and what needs a person."""
    with _reading(day) as session:
        report = build_report(session, day.business, now=day.now())
    pages = report_pages(report, web_url=day.business.settings.base_url)
    await asyncio.gather(publish_counts(day, Stage.MEASURE, counts), _publish(pages))


async def publish_day(day: Day, done: dict[str, Counts]) -> None:
    """Leave the day's artifacts: run, funnel, lift, account, and what needs a person."""
    with _reading(day) as session:
        report = build_report(session, day.business, now=day.now())
        account = build_account(session, day.business, now=day.now(), days=_ACCOUNT_DAYS)
    await _publish(artifact_pages(report, done, account, web_url=day.business.settings.base_url))


def _reading(day: Day) -> Session:
    """Give a session that only reads, so that nobody who writes waits for it."""
    return Session(day.business.engine.execution_options(winback_reads_only=True))


async def _publish(pages: Iterable[ArtifactPage]) -> None:
    await asyncio.gather(
        *(
            acreate_markdown_artifact(key=page.key, markdown=page.text, description=page.title)
            for page in pages
        )
    )


async def _publish_table(day: Day, key: str, rows: list[dict[str, Any]], *, says: str) -> None:
    links = see_also(key, web_url=day.business.settings.base_url)
    await acreate_table_artifact(key=key, table=rows, description=f"{says} {links}")


async def publish_rehearsal(day: Day) -> None:
    """Leave what the days to come would bring, by the schedule of the home's ``prefect.yaml``."""
    if not day.rehearses_days:
        return
    business, settings = day.business, day.business.settings
    # The day itself is over; what is left of it are its sends.
    now = day.now() + timedelta(seconds=1)
    schedule = await deployed_schedule(
        business.environment.home,
        now=now,
        days=day.rehearses_days,
        zone=business.zone,
        dates=scheduled_dates,
    )
    done = await rehearse(
        business,
        now=now,
        days=day.rehearses_days,
        schedule=schedule,
        clock=day.clock,
    )
    page = rehearsal_page(
        done,
        currency=settings.business.currency,
        policies=settings.policies,
        mode=settings.mode,
    )
    links = see_also(REHEARSAL, web_url=settings.base_url)
    says = f"What the days from {done.days[0]} bring"
    await _publish([ArtifactPage(REHEARSAL, says, f"{page}\n{links}")])
