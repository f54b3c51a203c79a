"""The table of reasons, and what a campaign may change in it."""

from datetime import UTC, date, datetime, timedelta

import pytest

from winback.campaign.schema import Campaign
from winback.responses.clicks import is_our_page, why_no_human_click
from winback.responses.months import MONTHS_AHEAD, months_to_choose, read_month
from winback.responses.results import CONSEQUENCES, Result
from winback.responses.table import ROWS, action_of, row_of
from winback.states import Reason

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


def _campaign(**changes: object) -> Campaign:
    written = {
        "campaign": "six-month",
        "steps": [
            {"step": "concern", "wait": "0 days", "channel": "email", "template": "t"},
            {
                "step": "gift",
                "wait": "5 days",
                "channel": "email",
                "template": "t",
                "offer": "present",
            },
        ],
        "offers": {"present": {"percent": 10, "valid_for": "9 days"}},
    }
    return Campaign.model_validate(written | changes)


@pytest.mark.parametrize(
    ("reason", "action"),
    [
        (Reason.FORGOT, "continue"),
        (Reason.NOT_NOW, "sleep None months"),
        (Reason.HARD_TIME, "sleep 3 months"),
        (Reason.HOURS, "continue"),
        (Reason.PRICE, "go to gift"),
        (Reason.SERVICE, "hand over"),
        (Reason.ANOTHER, "continue"),
        (Reason.MOVED, "part"),
    ],
)
def test_each_reason_has_its_default(reason: Reason, action: str) -> None:
    """DESIGN.md, section 5: one row for each reason of the page."""
    assert str(action_of(row_of(reason, _campaign()))) == action


def test_every_reason_has_a_row() -> None:
    """A new reason cannot be forgotten here."""
    assert set(ROWS) == set(Reason)
    assert set(CONSEQUENCES) == set(Result)


def test_a_campaign_changes_rows_and_its_word_wins_over_an_answers_then() -> None:
    """``responses`` wins over ``then``, and that over the default."""
    answers = {"another": {"template": "t", "then": "hand over"}}
    assert str(action_of(row_of(Reason.ANOTHER, _campaign(answers=answers)))) == "hand over"
    both = _campaign(answers=answers, responses={"another": "part"})
    assert str(action_of(row_of(Reason.ANOTHER, both))) == "part"


def test_a_hard_time_stays_gentle_whatever_the_campaign_says() -> None:
    """No offer comes first, also after another length of rest."""
    row = row_of(Reason.HARD_TIME, _campaign(responses={"hard_time": "sleep 6 months"}))
    assert (row.months, row.is_gentle) == (6, True)


def test_price_without_any_offer_goes_on() -> None:
    """There is no voucher to go to: an impossible target means continue."""
    steps = [{"step": "concern", "wait": "0 days", "channel": "email", "template": "t"}]
    row = row_of(Reason.PRICE, _campaign(steps=steps, offers={}))
    assert str(action_of(row)) == "continue"


def test_a_month_is_one_of_those_that_the_page_offers() -> None:
    """Twelve months, the next one first; anything else is none."""
    today = date(2026, 12, 31)
    offered = months_to_choose(today)
    assert offered[0] == date(2027, 1, 1)
    assert len(offered) == MONTHS_AHEAD
    assert read_month("2027-03", today) == date(2027, 3, 1)
    for written in ("2026-12", "2028-01", "2027-13", "soon", "", "0000-01", "\uff12027-03"):
        assert read_month(written, today) is None


@pytest.mark.parametrize(
    ("agent", "seconds", "is_human"),
    [
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)", 60, True),
        (None, 60, True),
        ("", 60, False),
        ("python-requests/2.31", 60, False),
        ("Mozilla/5.0 (compatible; Barracuda Sentinel)", 60, False),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120", 60, False),
        ("Mozilla/5.0 (Windows NT 10.0)", 3, False),
        ("Mozilla/5.0 (Windows NT 10.0)", 0, True),
    ],
)
def test_scanners_do_not_click(agent: str | None, seconds: int, is_human: bool) -> None:  # noqa: FBT001
    """FACTS.md SEC-11: programs, and whoever clicks seconds after sending, are no persons."""
    why = why_no_human_click(
        user_agent=agent, clicked_at=NOW + timedelta(seconds=seconds), sent_at=NOW
    )
    assert (why is None) is is_human


def test_clicks_on_our_own_pages_do_not_count() -> None:
    """DESIGN.md, section 5: clicks on /u and /why speed nothing up; /l reports its own."""
    base = "https://win.example.com"
    assert is_our_page(f"{base}/u/token", base)
    assert is_our_page(f"{base}/why/token?reason=price", base)
    assert not is_our_page(f"{base}/v/token", base)
    assert not is_our_page("https://shop.example.com/u/1", base)
    assert not is_our_page(None, base)
