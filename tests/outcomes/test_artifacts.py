"""The pages on Prefect's dashboard: fixed keys, and links from each to the others."""

import re
from datetime import timedelta

from sqlalchemy.orm import Session

from tests.outcomes.facts import START, World
from winback.business import Business
from winback.database.tables import RejectedRow
from winback.outcomes.account import Account
from winback.outcomes.artifacts import REHEARSAL, artifact_pages, needs_page, report_pages
from winback.outcomes.measuring import measure
from winback.outcomes.report import build_needs, build_report
from winback.states import Arm

END = START + timedelta(days=200)
WEB = "https://win.example.com"


def test_every_page_links_to_the_others_and_to_the_web_part(
    business: Business, session: Session
) -> None:
    """Who reads one page gets to each other by its fixed key."""
    report = build_report(session, business, now=END)

    pages = artifact_pages(report, {}, Account(END, "UTC", ()), web_url=WEB)

    keys = {page.key for page in pages}
    assert keys == {
        f"winback-{name}" for name in ("run", "funnel", "lift", "account", "needs-a-person")
    }
    for page in pages:
        linked = re.findall(r"\(/artifacts/key/([a-z-]+)\)", page.text)
        assert sorted(linked) == sorted(keys - {page.key} | {REHEARSAL})
        assert f"({WEB}/health)" in page.text


def test_a_measurement_leaves_the_pages_that_the_day_leaves(
    business: Business, session: Session
) -> None:
    """The flow ``measure`` publishes the same funnel, lift and needs under the same keys."""
    report = build_report(session, business, now=END)

    of_the_day = {
        page.key: page for page in artifact_pages(report, {}, Account(END, "UTC", ()), web_url=WEB)
    }

    for page in report_pages(report, web_url=WEB):
        assert of_the_day[page.key] == page


def test_a_send_tells_the_needs_that_the_report_tells(
    business: Business, world: World, session: Session
) -> None:
    """A page that a send run leaves loses nothing of the day's, a broken split least of all."""
    for number in range(400):
        world.enrollment(Arm.HOLDOUT if number % 20 == 0 else Arm.TREATED)
    world.session.add(
        RejectedRow(
            source="till",
            part="customers",
            place="customers.csv:2",
            row_hash="x",
            reason="no id",
            row={},
            rejected_at=START,
        )
    )
    world.session.commit()
    measure(business.engine, settings=business.settings, now=END)

    report = build_report(session, business, now=END)
    needs = build_needs(session, business, now=END)

    assert {need.what for need in needs} == {"broken_split", "rejected_rows"}
    assert needs == report.needs_a_person
    page = needs_page(needs, on=report.on, web_url=WEB)
    assert page in report_pages(report, web_url=WEB)
