"""``config/winback.yaml`` and the environment."""

import subprocess
import sys
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from winback.errors import ConfigError, FileMistakes
from winback.policies import Cap, CustomHours, Hours, QuietHours
from winback.settings import load_settings
from winback.states import Mode

HERE = Path(__file__).parents[1]
REQUIRED: dict[str, Any] = {
    "business": {
        "name": "Shop",
        "postal_address": "1 Street",
        "country": "GB",
        "time_zone": "Europe/London",
        "currency": "GBP",
    },
    "sender": {"email": {"name": "Anna", "address": "anna@example.com"}},
}


def home_with(tmp_path: Path, **keys: Any) -> Path:
    """Give a home whose settings are the required ones and these."""
    (tmp_path / "config").mkdir(exist_ok=True)
    path = tmp_path / "config" / "winback.yaml"
    path.write_text(yaml.safe_dump(REQUIRED | keys, sort_keys=False), encoding="utf-8")
    return tmp_path


def test_the_shipped_settings_send_to_nobody() -> None:
    """Sending for real is never a default."""
    settings = load_settings(HERE)

    assert settings.mode is Mode.SANDBOX
    assert settings.business.zone.key == "Europe/London"
    assert settings.value.high == Decimal("0.2")


def test_the_required_keys_are_enough(tmp_path: Path) -> None:
    """All else has a default (DESIGN.md, section 7)."""
    settings = load_settings(home_with(tmp_path))

    assert settings.mode is Mode.SANDBOX
    assert settings.economics.margin == Decimal("0.4")
    assert settings.policies.caps.sms == Cap(1, 2)
    assert settings.policies.caps.email == Cap(None, 2)
    assert settings.policies.daily_limits.email == 2000


def test_each_missing_key_is_named(tmp_path: Path) -> None:
    """All of them at once."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "winback.yaml").write_text("business:\n  name: Shop\n", encoding="utf-8")

    with pytest.raises(FileMistakes) as found:
        load_settings(tmp_path)

    what = " ".join(mistake.what for mistake in found.value.mistakes)
    assert all(f"'{key}'" in what for key in ("postal_address", "time_zone", "currency", "sender"))


def test_a_home_without_settings_is_told(tmp_path: Path) -> None:
    """The sentence names WINBACK_HOME."""
    with pytest.raises(ConfigError, match="WINBACK_HOME"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"public_url": "win.example.com"}, "write https://win.example.com"),
        ({"allow_list": ["anna"]}, "no e-mail address"),
        ({"economics": {"email_cost": -1}}, "greater than or equal to 0"),
        ({"economics": {"margin": "140%"}}, "less than or equal to 1"),
        ({"value": {"high": "20%"}}, "write top 20%"),
        ({"policies": {"caps": {"sms": "two a day"}}}, "write 1 per day and 2 per week"),
        ({"policies": {"quiet_hours": {"mon": "20 to 9"}}}, "ends before it begins"),
        ({"policies": {"quiet_hours": {"email": {"tue": "9"}}}}, "write 09:00 to 20:00"),
        ({"policies": {"quiet_hours": {"sms": "any"}}}, "use one of|did you mean"),
        ({"policies": {"quiet_hours": "strickt"}}, "did you mean strict?"),
        ({"policies": {"warm_up": "fast"}}, "did you mean|use one of"),
        ({"policies": {"daily_limits": {"sms": 10**12}}}, "less than or equal to"),
        ({"policies": {"daily_limits": {"sms": False}}}, "no number; write how many"),
        ({"policies": {"in_flight": True}}, "no number; write how many"),
        ({"policies": {"caps": {"sms": "3 per day and 2 per day"}}}, "per day twice"),
        ({"economics": {"margin": "most%"}}, "write 40%"),
        ({"economics": {"email_cost": 1e30}}, "less than or equal to"),
        ({"value": {"high": "top 200%"}}, "less than or equal to 1"),
        ({"mode": "life"}, "did you mean live?"),
        ({"heartbeat_url": "ping"}, "no address"),
        ({"heartbeat_url": "http://[::1"}, "no address"),
        ({"heartbeat_url": "http://127.0.0.1:99999"}, "no address"),
        ({"public_url": "https://win.example.com:port"}, "no address"),
        ({"policies": {"pace": {"email": "long code"}}}, "write 12 per second"),
        ({"policies": {"pace": {"email": 20}}}, "write 12 per second"),
        ({"policies": {"pace": {"sms": 20}}}, "write long code, toll free, short code, 12 per"),
        ({"bussiness": 1}, "did you mean business?"),
        ({"sender": {"email": {"name": "A\nBcc: x@example.com", "address": "a@b.co"}}}, "one line"),
        ({"sender": {"email": {"name": "A", "address": "a@b"}}}, "no e-mail address"),
        (
            {"sender": {"email": {"name": "A", "address": "a@b.co", "reply_domain": "a@b.co"}}},
            "no domain",
        ),
    ],
)
def test_impossible_values_are_refused(tmp_path: Path, keys: dict[str, Any], sentence: str) -> None:
    """What is wrong, and what to write instead."""
    with pytest.raises(FileMistakes, match=sentence):
        load_settings(home_with(tmp_path, **keys))


@pytest.mark.parametrize(
    "pace",
    [
        *(0.0, -2.0, 1e-300, float("nan"), float("inf"), 5, True, None, ["off"], {"off": 1}),
        *("0 per second", "0.0000001 per second", f"{'9' * 400} per second", "-1 per second"),
    ],
    ids=lambda pace: repr(pace)[:20],
)
def test_an_impossible_pace_is_refused(tmp_path: Path, pace: object) -> None:
    """One at which nobody could ever be called, or that is no pace at all; a sentence says so."""
    for channel in ("sms", "email"):
        with pytest.raises(FileMistakes, match=r"is no pace. write .*12 per second") as found:
            load_settings(home_with(tmp_path, policies={"pace": {channel: pace}}))
        assert len(found.value.mistakes) == 1


@pytest.mark.parametrize(
    ("written", "pace"),
    [(0.5, 0.5), ("0.001 per second", 0.001), ("toll free", 3.0), (False, "off"), ("auto", "auto")],
)
def test_a_possible_pace_is_read(tmp_path: Path, written: object, pace: object) -> None:
    """In figures, by the kind of number, or in a word; YAML reads off as false."""
    home = home_with(tmp_path, policies={"pace": {"sms": written}})

    assert load_settings(home).policies.pace.sms == pace


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("country", "gb"),
        ("currency", "pounds"),
        ("time_zone", "London"),
        ("postal_address", " "),
        ("name", ""),
        ("website", "shop"),
        ("support_email", "help"),
    ],
)
def test_impossible_businesses_are_refused(tmp_path: Path, key: str, value: str) -> None:
    """A mail without a postal address is unlawful (FACTS.md LAW-8)."""
    with pytest.raises(FileMistakes, match=key):
        load_settings(home_with(tmp_path, business=REQUIRED["business"] | {key: value}))


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("country", "ZZ", "no country code; write one that is in use"),
        ("country", "EU", "no country code"),
        ("currency", "QQQ", "no currency code; write one that is in use"),
        ("currency", "GPB", "did you mean GBP"),
        ("currency", "DEM", "no currency code"),
    ],
)
def test_codes_that_nobody_uses_are_refused(
    tmp_path: Path, key: str, value: str, *, sentence: str
) -> None:
    """Two or three capitals are not enough: law and money follow from these codes."""
    with pytest.raises(FileMistakes, match=sentence):
        load_settings(home_with(tmp_path, business=REQUIRED["business"] | {key: value}))


def test_importing_the_settings_is_light() -> None:
    """The lists of codes are read when a file is checked, not when the module is imported."""
    script = "import sys, winback.settings; sys.exit('babel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0  # noqa: S603 - our own interpreter


def test_hours_per_weekday_and_bare_off_are_read(tmp_path: Path) -> None:
    """YAML reads off as false; a weekday that is left out has no hours."""
    home = home_with(
        tmp_path,
        policies={"quiet_hours": {"mon": "09:00 to 20:00", "tue": "9-17"}, "warm_up": False},
    )

    policies = load_settings(home).policies

    assert policies.warm_up == "off"
    texts = policies.quiet_hours.sms
    assert isinstance(texts, CustomHours)
    assert texts.mon == Hours(time(9), time(20))
    assert texts.tue == Hours(time(9), time(17))
    assert texts.wed is None
    assert policies.quiet_hours.email == "any"


def test_hours_may_be_written_for_each_channel(tmp_path: Path) -> None:
    """A channel has a profile, own hours, or both; hours without a channel are those of texts."""
    written = {"sms": {"profile": "strict", "holidays": False, "sun": None}, "email": "standard"}
    both, short = (
        load_settings(home_with(tmp_path, policies={"quiet_hours": hours})).policies
        for hours in (written, "strict")
    )

    texts = both.quiet_hours.sms
    assert isinstance(texts, CustomHours)
    assert (texts.profile, texts.holidays, texts.written_days) == ("strict", False, ("sun",))
    assert both.quiet_hours.email == "standard"
    assert short.quiet_hours == QuietHours(sms="strict")
