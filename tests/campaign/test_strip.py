"""The dated strip: what comes when, if nobody responds."""

from datetime import date
from pathlib import Path

from winback.campaign.loading import load_campaigns
from winback.campaign.strip import make_strip, mermaid

HERE = Path(__file__).parents[2]
MONDAY = date(2026, 3, 2)


def test_the_shipped_campaign_is_laid_out_on_days() -> None:
    """Waits add up; the reminder stands four days before the voucher's last day."""
    (campaign,) = load_campaigns(HERE)

    strip = make_strip(campaign, MONDAY)

    assert [(one.step, one.day) for one in strip.steps] == [
        ("concern", 0),
        ("check-in", 5),
        ("voucher", 12),
        ("reminder", 29),
        ("comeback", 39),
        ("call", 43),
        ("farewell", 57),
    ]
    assert strip.steps[3].earliest_on == date(2026, 3, 31)
    assert strip.exhausted_on == date(2026, 5, 12)
    assert strip.responses == {"price": "go to voucher"}


def test_a_reminder_that_would_come_too_late_is_passed() -> None:
    """A step before an expiry that is over before is shown as passed, and adds no wait."""
    (campaign,) = load_campaigns(HERE)
    voucher, reminder = campaign.step("voucher"), campaign.step("reminder")
    late = campaign.step("call").model_copy(update={"wait": reminder.fresh_for})
    twice = (late.model_copy(update={"step": f"call-{index}"}) for index in range(3))

    strip = make_strip(campaign.model_copy(update={"steps": (voucher, *twice, reminder)}), MONDAY)

    assert [one.day for one in strip.steps] == [7, 14, 21, 28, None]
    assert strip.exhausted_on == date(2026, 4, 13)


def test_mermaid_text_names_every_step_and_quotes_conditions() -> None:
    """One node per step and answer; quotes of conditions cannot end a label."""
    (campaign,) = load_campaigns(HERE)

    text = mermaid(campaign, MONDAY)

    assert text.startswith("flowchart TD\n")
    for name in campaign.message_names():
        assert f'"{name}' in text
    assert "if value == #quot;high#quot;" in text
    assert "-.-> s2\n" in text
