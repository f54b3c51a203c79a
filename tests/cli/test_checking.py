"""``winback check`` tells every mistake at once, and what is none and yet should not surprise."""

import json
from datetime import date
from pathlib import Path

import pytest

from tests.shop import make_shop, winback

CAMPAIGN = "config/campaigns/six-month.yaml"
TEMPLATES = "templates/six-month"


def test_the_warm_up_is_told_before_it_begins(tmp_path: Path) -> None:
    """Who goes live learns how many mails leave at first, and who comes first (LAW-21)."""
    shop = make_shop(tmp_path / "shop", customers=1, lapsed_on=date(2026, 3, 2))
    sandbox = winback(shop, "check").stdout
    settings = shop / "config" / "winback.yaml"
    text = settings.read_text(encoding="utf-8").replace("mode: sandbox", "mode: live")
    settings.write_text(text, encoding="utf-8")

    live = winback(shop, "check").stdout

    assert "warm up" not in sandbox
    assert "mails warm up: 50 on the first day" in live
    assert "2,000 after 10 such days" in live
    assert "no more enter than mails can leave" in live


def put(shop: Path, file: str, before: str, after: str) -> None:
    """Change one place of a file of the shop."""
    path = shop / file
    text = path.read_text(encoding="utf-8")
    assert before in text, file
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Give a shop without mistakes, whose till made the codes of its offer."""
    home = make_shop(tmp_path / "shop", customers=1, lapsed_on=date(2026, 3, 2))
    put(home, CAMPAIGN, "codes: 2000", "codes_from: pool.csv")
    (home / "pool.csv").write_text("code\nABC-1\n", encoding="utf-8")
    return home


def mistakes_of(shop: Path) -> list[dict[str, object]]:
    """Run the check once and give what it tells."""
    result = winback(shop, "check", "--json")
    assert result.returncode == (2 if json.loads(result.stdout)["mistakes"] else 0), result.stderr
    told: list[dict[str, object]] = json.loads(result.stdout)["mistakes"]
    return told


def test_a_mistake_in_every_kind_of_file_is_told_in_one_call(shop: Path) -> None:
    """DESIGN.md section 6: no file's mistake hides another's; each names its file."""
    assert mistakes_of(shop) == []
    put(shop, "config/winback.yaml", "currency: GBP", "curency: GBP")
    put(shop, "config/sources.yaml", "external_id: id", "externl_id: id")
    put(shop, "config/facts.yaml", "since: 2026-03-01", "since: soon")
    put(shop, CAMPAIGN, "cooldown: 12 months", "cooldown: 1 year\ncooldown: 12 moons")
    (shop / "config/campaigns/other.yaml").write_text("campaign: [", encoding="utf-8")
    (shop / "config/campaigns/third.yaml").write_text("campaign: third\n", encoding="utf-8")
    (shop / "pool.csv").write_text("code\nABC-1\nABC-1\n", encoding="utf-8")
    put(shop, f"{TEMPLATES}/concern.mjml", "</mj-text>", "{{ customer.nme }} 20% off</mj-text>")
    put(shop, f"{TEMPLATES}/voucher.mjml", "subject:", "subjct: x\nsubject:")
    put(shop, f"{TEMPLATES}/reminder.sms", "STOP", "END")
    put(shop, "templates/_layout/email.mjml", "{{ business.postal_address }}", "here")
    (shop / TEMPLATES / "check-in.sms").unlink()
    put(shop, "prefect.yaml", "deployments:", "deployments: daily\nothers:")

    told = mistakes_of(shop)

    says = "\n".join(f"{one['file']}:{one['what']}" for one in told)
    for file, what in (
        ("config/winback.yaml", "unknown key 'curency'"),
        ("config/sources.yaml", "unknown key 'externl_id'"),
        ("config/facts.yaml", "since"),
        (CAMPAIGN, "'cooldown' stands here twice"),
        (CAMPAIGN, "12 moons"),
        ("prefect.yaml", "deployments: no list stands here"),
        (CAMPAIGN, "there is no templates/six-month/check-in.sms"),
        ("config/campaigns/other.yaml", "not YAML"),
        ("config/campaigns/third.yaml", "'steps' is missing"),
        ("pool.csv", "this code stands here twice"),
        (f"{TEMPLATES}/concern.mjml", "unknown variable customer.nme"),
        (f"{TEMPLATES}/concern.mjml", "'20%' in a first touch"),
        (f"{TEMPLATES}/voucher.mjml", "unknown key 'subjct'"),
        (f"{TEMPLATES}/reminder.sms", "the text offers no way out"),
        ("templates/_layout/email.mjml", "no postal address in the mail"),
    ):
        assert any(one["file"] == file and what in str(one["what"]) for one in told), (what, says)
    # None of them is told of a file that is right, and no template is blamed for the facts.
    assert "better.mjml" not in says
    assert len(told) <= 17, says


@pytest.mark.parametrize(
    ("file", "text"),
    [("config/facts.yaml", "benefits: ["), (CAMPAIGN, "steps: [")],
)
def test_a_file_that_is_no_yaml_hides_no_mistake(shop: Path, file: str, text: str) -> None:
    """Without facts or campaign the rules that need none still hold, and none is made up."""
    put(shop, f"{TEMPLATES}/farewell.mjml", "</mj-text>", "{{ customer.nme }} Hurry!</mj-text>")
    (shop / file).write_text(text, encoding="utf-8")

    told = [(one["file"], one["what"]) for one in mistakes_of(shop)]

    assert sorted(told)[1:] == [
        (f"{TEMPLATES}/farewell.mjml", "'Hurry' without an expiry"),
        (f"{TEMPLATES}/farewell.mjml", "unknown variable customer.nme"),
    ]
    assert told[0][0] == file
