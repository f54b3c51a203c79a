"""The report says what the facts say, in every face, and nothing that they do not."""

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.console import Console
from sqlalchemy.orm import Session

from tests.outcomes.facts import SETTINGS, START, World
from winback.business import Business
from winback.database.tables import Case, ChannelPause, Event, RejectedRow, Response
from winback.outcomes.figures import CampaignReport, Report
from winback.outcomes.html import render_html
from winback.outcomes.measuring import measure
from winback.outcomes.report import build_report
from winback.outcomes.terminal import print_report
from winback.outcomes.verdict import Finding
from winback.states import (
    Arm,
    CaseKind,
    CaseState,
    Channel,
    EnrollmentState,
    EventState,
    MessageState,
    VoucherState,
)

DAY = timedelta(days=1)
END = START + 200 * DAY


def reported(business: Business, *, at: timedelta = 200 * DAY) -> Report:
    """Measure, then build the report as another session sees it."""
    measure(business.engine, settings=SETTINGS, now=START + at)
    with Session(business.engine) as session:
        return build_report(session, business, now=START + at)


def enroll(world: World, *, treated: int, holdout: int, come_back: tuple[int, int]) -> None:
    """Enroll two arms, of which some come back in the second week."""
    for arm, count, back in zip(
        (Arm.TREATED, Arm.HOLDOUT), (treated, holdout), come_back, strict=True
    ):
        for number in range(count):
            enrollment = world.enrollment(arm)
            if number < back:
                world.purchase(enrollment, after=10 * DAY)
    world.session.commit()


def only(report: Report) -> CampaignReport:
    """Give the one campaign of a report."""
    (campaign,) = report.campaigns
    return campaign


def test_an_empty_database_has_a_report(business: Business) -> None:
    """The first look, before the first day, is no failure."""
    report = reported(business)

    assert only(report).effect.verdict.finding is Finding.NOTHING_YET
    assert "Too early to say" in render_html(report)


def test_the_effect_is_by_assignment_over_ended_windows(business: Business, world: World) -> None:
    """FACTS.md MEA-2, MEA-6: all assigned whose window ended; open windows are in the peek."""
    enroll(world, treated=70, holdout=30, come_back=(35, 3))
    late = world.enrollment(at=START + 150 * DAY)
    world.purchase(late, after=DAY)
    world.session.commit()

    campaign = only(reported(business))

    assert (campaign.effect.treated.assigned, campaign.effect.treated.converted) == (70, 35)
    assert (campaign.so_far.treated.assigned, campaign.so_far.treated.converted) == (71, 36)
    assert campaign.effect.verdict.finding is Finding.GAIN
    assert campaign.effect.verdict.is_interim
    assert campaign.still_measured == 1
    assert campaign.effect.difference is not None
    assert campaign.effect.difference.estimate == pytest.approx(0.4)


def test_canceled_by_an_operator_stays_and_left_out_leaves(
    business: Business, world: World
) -> None:
    """DESIGN.md section 5: only enrollments without a lapse leave the analysis, in both arms."""
    world.enrollment(state=EnrollmentState.CANCELED)
    world.enrollment(state=EnrollmentState.CANCELED, is_left_out=True)
    world.enrollment(Arm.HOLDOUT, state=EnrollmentState.CANCELED, is_left_out=True)
    world.session.commit()

    effect = only(reported(business)).effect

    assert (effect.treated.assigned, effect.holdout.assigned) == (1, 0)


def test_a_broken_split_hides_the_effect_and_calls_a_person(
    business: Business, world: World
) -> None:
    """FACTS.md MEA-5: a split that chance does not make hides the lift and shows why."""
    enroll(world, treated=195, holdout=5, come_back=(60, 0))

    report = reported(business)

    assert only(report).effect.difference is None
    assert report.needs_a_person[0].what == "broken_split"
    assert "brings back" not in render_html(report)


def test_net_value_is_margin_less_both_costs(business: Business, world: World) -> None:
    """FACTS.md MEA-11: vouchers of people who would have come anyway cost too."""
    for arm in (Arm.TREATED, Arm.TREATED, Arm.HOLDOUT, Arm.HOLDOUT):
        enrollment = world.enrollment(arm)
        purchase = world.purchase(enrollment, after=10 * DAY, amount="100")
        if arm is Arm.TREATED:
            world.message(enrollment, cost=Decimal("0.5"))
            world.voucher(enrollment, purchase_id=purchase.id)
    world.session.commit()

    money = only(reported(business)).money

    assert (money.message_cost, money.voucher_cost) == (1, 10)
    assert money.net is not None
    assert money.net.estimate == pytest.approx(-11)
    assert money.attributed == 200


def test_the_funnel_counts_by_step_and_variant(business: Business, world: World) -> None:
    """Each step and variant has its own line, in the campaign's order; reasons count as replies."""
    first, second = world.enrollment(), world.enrollment()
    world.message(first, "voucher", variant="b", state=MessageState.BOUNCED)
    message = world.message(first, "concern", opened_at=START, clicked_at=START)
    world.message(second, "concern", state=MessageState.SKIPPED, accepted_at=None)
    for number in range(2):
        world.session.add(
            Response(
                key=f"reason-{number}",
                customer_id=first.customer_id,
                enrollment_id=first.id,
                message_id=message.id,
                kind="reason",
                reason="price",
                action="go to voucher",
                at=START,
            )
        )
    world.session.commit()

    campaign = only(reported(business))

    concern, voucher = campaign.funnel
    assert (concern.step, concern.sent, concern.delivered, concern.skipped) == ("concern", 1, 1, 1)
    assert (concern.opened, concern.clicked, concern.replied) == (1, 1, 1)
    assert (voucher.step, voucher.variant, voucher.sent, voucher.bounced) == ("voucher", "b", 1, 1)
    assert campaign.reasons == {"price": 1}


def test_weeks_are_counted_by_arm_without_gaps(business: Business, world: World) -> None:
    """Every week between the first and the last stands there, empty ones too."""
    world.purchase(world.enrollment(Arm.HOLDOUT), after=15 * DAY)
    world.enrollment()
    world.session.commit()

    campaign = only(reported(business))

    assert [week.begins_on for week in campaign.weeks] == [
        date(2026, 1, 5),
        date(2026, 1, 12),
        date(2026, 1, 19),
    ]
    assert (campaign.weeks[0].treated, campaign.weeks[0].holdout) == (1, 1)
    assert campaign.weeks[2].holdout_converted == 1
    assert (campaign.returns[-1].holdout, campaign.returns[-1].treated) == (1, 0)


def test_other_currencies_are_said(business: Business, world: World) -> None:
    """FACTS.md MEA-14: what is not converted is not kept quiet."""
    world.purchase(world.enrollment(), after=DAY, currency="USD")
    world.session.commit()

    campaign = only(reported(business))

    assert campaign.money.other_currency == 1
    assert "does not convert currencies" in campaign.notes[0]


def test_what_needs_a_person_is_listed(business: Business, world: World) -> None:
    """Cases, doubts, dead events, pauses, low stock and rejected rows, each with what to do."""
    enrollment = world.enrollment()
    for _ in range(95):
        world.voucher(state=VoucherState.VOIDED)
    world.message(enrollment, state=MessageState.UNCONFIRMED, accepted_at=None, claimed_at=START)
    world.session.add_all(
        [
            Case(
                key="case",
                kind=CaseKind.REPLY,
                state=CaseState.OPEN,
                customer_id=enrollment.customer_id,
                opened_at=START,
            ),
            Event(
                key="event",
                origin="sendgrid.events",
                body={},
                received_at=START,
                state=EventState.DEAD,
            ),
            ChannelPause(
                channel=Channel.SMS,
                why="the account was refused",
                paused_at=START,
                try_again_at=END,
            ),
            RejectedRow(
                source="till",
                part="customers",
                place="customers.csv:2",
                row_hash="x",
                reason="no id",
                row={},
                rejected_at=START,
            ),
        ]
    )
    world.session.commit()

    report = reported(business)

    assert {need.what for need in report.needs_a_person} == {
        "cases",
        "unknown",
        "dead_events",
        "channel_paused",
        "rejected_rows",
        "low_stock",
    }
    assert report.cases == {"reply": 1, "call": 0, "letter": 0, "repair": 0}


@pytest.fixture
def full(business: Business, world: World) -> Report:
    """Give a report in which every part has something to show."""
    enroll(world, treated=70, holdout=30, come_back=(35, 3))
    enrollment = world.enrollment()
    message = world.message(enrollment)
    world.message(enrollment, "voucher", variant="b")
    world.voucher(enrollment)
    world.session.add(
        Response(
            key="reason",
            customer_id=enrollment.customer_id,
            enrollment_id=enrollment.id,
            message_id=message.id,
            kind="reason",
            reason="price",
            action="go to voucher",
            at=START,
        )
    )
    world.session.commit()
    return reported(business)


class _Page(HTMLParser):
    """Collects what the tests ask of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag, and that it waits for its end."""
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Note that the newest open tag ended; anything else is a broken page."""
        assert self.open.pop() == tag


def test_the_page_is_whole_and_carries_everything_with_it(full: Report) -> None:
    """One file: well formed, no script, no request to anywhere, every chart named for the blind."""
    html = render_html(full)
    page = _Page(html)
    charts = [attributes for tag, attributes in page.tags if tag == "svg"]

    assert page.open == []
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", html)
    assert len(charts) == 5
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    assert "@media print" in html
    assert "prefers-color-scheme: dark" in html
    assert "@" not in re.sub(r"@media|@page", "", html)


def test_the_page_says_the_sentence_and_its_interval(full: Report) -> None:
    """P8: the effect is never a bare percentage."""
    html = render_html(full)

    assert "Winback brings back 39.3 more of every 100" in html
    assert re.search(r"between \d+\.\d and \d+\.\d", html)
    assert "Attributed, not caused" in html


def test_names_from_outside_cannot_break_the_page(full: Report) -> None:
    """P11: what people write into settings and files stays text."""
    html = render_html(replace(full, business="<script>alert(1)</script>"))

    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_terminal_shows_the_same(full: Report) -> None:
    """The terminal begins with the sentence, and shows every table."""
    console = Console(file=StringIO(), width=160)

    print_report(full, console)

    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "winback brings back 39.3 more" in shown
    for title in ("Who came back", "The money", "From message", "Why they", "How it ended"):
        assert title in shown


def test_the_report_is_plain_json(full: Report) -> None:
    """Every value has a plain form, for machines that read it."""
    read = json.loads(json.dumps(full.plain(), default=str))

    assert read["campaigns"][0]["effect"]["difference"]["low"] > 0
    assert read["campaigns"][0]["effect"]["verdict"]["finding"] == "gain"


def test_the_same_data_give_the_same_report(business: Business, full: Report) -> None:
    """FACTS.md MEA-8: the bootstrap is seeded."""
    assert render_html(reported(business)) == render_html(full)
