"""``winback check`` tells the owner what is no mistake and yet no surprise they should have."""

from datetime import date
from pathlib import Path

from tests.shop import make_shop, winback


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
