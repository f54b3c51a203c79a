"""``winback check`` of settings, facts and campaigns."""

import shutil
from pathlib import Path

import pytest

from winback.campaign.check import check_home, missing_templates, notices
from winback.campaign.loading import load_campaigns
from winback.settings import Settings, load_settings

HERE = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a copy of the shipped configuration."""
    for folder in ("config", "templates"):
        shutil.copytree(HERE / folder, tmp_path / folder)
    return tmp_path


def edit(home: Path, file: str, before: str, after: str) -> None:
    """Change one place of a file."""
    path = home / file
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def settings_with(**keys: object) -> Settings:
    """Give settings with the required keys and some more."""
    business = {"name": "Shop", "postal_address": "1 Street", "country": "GB"}
    business |= {"time_zone": "Europe/London", "currency": "GBP"}
    email = {"name": "Anna", "address": "anna@example.com"}
    return Settings.model_validate({"business": business, "sender": {"email": email}} | keys)


def test_what_is_shipped_has_no_mistake() -> None:
    """A newcomer's first check is clean."""
    assert check_home(HERE) == []


def test_mistakes_of_all_files_are_told_together(home: Path) -> None:
    """Settings, facts and the campaign: each with its file and line."""
    edit(home, "config/winback.yaml", "currency: GBP", "curency: GBP")
    edit(home, "config/facts.yaml", "by: Anna, since: 2026-03-01", "by: Anna")
    edit(home, "config/campaigns/six-month.yaml", "price: go to voucher", "price: go to vouchr")

    files = {mistake.file for mistake in check_home(home)}

    assert files == {
        "config/winback.yaml",
        "config/facts.yaml",
        "config/campaigns/six-month.yaml",
    }


def test_a_missing_template_is_told_at_the_step_that_names_it(home: Path) -> None:
    """Each channel needs its file; a variant alone is none."""
    folder = home / "templates" / "six-month"
    (folder / "reminder.sms").unlink()
    (folder / "concern.mjml").rename(folder / "concern.b.mjml")

    found = list(missing_templates(home))

    assert [mistake.what for mistake in found] == [
        "there is no templates/six-month/concern.mjml",
        "there is no templates/six-month/reminder.sms",
    ]
    lines = (home / "config/campaigns/six-month.yaml").read_text(encoding="utf-8").splitlines()
    assert [("concern" in lines[m.line - 1] or "reminder" in lines[m.line - 1]) for m in found]


def test_a_home_without_settings_is_told_not_raised(tmp_path: Path) -> None:
    """The other files are still looked at."""
    files = {mistake.file for mistake in check_home(tmp_path)}

    assert files == {"config/winback.yaml", "config/campaigns"}


@pytest.mark.parametrize(
    ("keys", "notice"),
    [
        ({}, "no reply_domain: replies go to the sender"),
        ({}, "no website"),
        ({}, "texts are planned and no sender.sms is set"),
        ({"mode": "test"}, "empty allow_list"),
        ({"mode": "live", "public_url": "http://example.com"}, "is not https"),
    ],
)
def test_what_is_left_open_is_noticed(keys: dict[str, object], notice: str) -> None:
    """No mistake, but the owner should know."""
    found = notices(settings_with(**keys), load_campaigns(HERE))

    assert any(notice in one for one in found)


def test_notices_of_a_campaign() -> None:
    """No holdout, no wait, an offer without its cost."""
    (campaign,) = load_campaigns(HERE)
    steps = list(campaign.steps)
    steps[1] = steps[1].model_copy(update={"wait": steps[0].wait})
    sorry = campaign.offers["sorry"].model_copy(update={"cost": None})
    edited = campaign.model_copy(
        update={"holdout": 0, "steps": tuple(steps), "offers": {"sorry": sorry}}
    )

    found = " ".join(notices(load_settings(HERE), [edited]))

    assert "holdout 0%" in found
    assert "the offer sorry has no cost" in found
    assert "the step check-in waits 0 days" in found
    assert notices(load_settings(HERE), [campaign]) == []
