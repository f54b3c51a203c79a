"""What can be read in two ways is refused, never guessed."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.money import from_units
from winback.sources.values import (
    AmbiguousDate,
    TimeReader,
    read_amount,
    read_list,
    read_yes,
    to_text,
)

LONDON, BERLIN, NEW_YORK = (
    ZoneInfo(name) for name in ("Europe/London", "Europe/Berlin", "America/New_York")
)


def _reader(
    source: ZoneInfo = LONDON, business: ZoneInfo = LONDON, date_format: str | None = None
) -> TimeReader:
    return TimeReader(source_zone=source, business_zone=business, date_format=date_format)


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        pytest.param("12.5", "12.50", id="plain"),
        pytest.param("0", "0", id="zero"),
        pytest.param("1,234.50", "1234.50", id="thousands by comma"),
        pytest.param("1.234,50", "1234.50", id="thousands by point"),
        pytest.param("12,50", "12.50", id="decimal comma"),
        pytest.param("1 234,50", "1234.50", id="thousands by space"),
        pytest.param("1'234.50", "1234.50", id="thousands by apostrophe"),
        pytest.param("€ 12", "12", id="sign before"),
        pytest.param("12,50 EUR", "12.50", id="code after"),
        pytest.param("-€3.20", "-3.20", id="minus before sign"),
        pytest.param("€-3.20", "-3.20", id="minus after sign"),
        pytest.param("1,234,567", "1234567", id="only thousands"),
        pytest.param("0,125", "0.125", id="surely a fraction"),
    ],
)
def test_amounts_are_read_as_people_write_them(written: str, amount: str) -> None:
    """A till's export is taken as it is, where it can mean one thing only."""
    assert from_units(read_amount(written, "EUR")) == Decimal(amount)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        pytest.param("1,234", "thousand", id="a thousand or one"),
        pytest.param("£ 12", "not in EUR", id="another currency"),
        pytest.param("USD 12", "not in EUR", id="another code"),
        pytest.param("", "empty", id="nothing"),
        pytest.param("free", "no amount", id="a word"),
        pytest.param("1e5", "no amount", id="an exponent"),
        pytest.param("(12.00)", "no amount", id="brackets"),
        pytest.param("1,23,456", "no amount", id="odd groups"),
        pytest.param("99999999999999", "too large", id="too large"),
    ],
)
def test_amounts_that_may_mean_two_things_are_refused(written: str, reason: str) -> None:
    """A wrong amount is worse than a rejected row."""
    with pytest.raises(ValueError, match=reason):
        read_amount(written, "EUR")


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_every_plain_amount_is_exact(amount: Decimal) -> None:
    """Amounts never pass through binary fractions."""
    assert from_units(read_amount(str(amount), "GBP")) == amount


def test_naive_times_are_in_the_sources_zone_and_days_in_the_businesss() -> None:
    """DESIGN.md, section 6: a till in New York, a business that counts days in Berlin."""
    reader = _reader(NEW_YORK, BERLIN)

    assert reader.read("2026-01-31T20:15:30") == ("2026-02-01 01:15:30.000000", "2026-02-01", 0)
    assert reader.read("2026-01-31T20:15:30Z") == ("2026-01-31 20:15:30.000000", "2026-01-31", 0)
    assert reader.read("2026-01-31T20:15+01")[0] == "2026-01-31 19:15:00.000000"
    assert reader.read("2026-02-01") == ("2026-01-31 23:00:00.000000", "2026-02-01", 1)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001 - naive on purpose
    st.sampled_from(["Europe/London", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe"]),
    st.sampled_from(["Europe/London", "Pacific/Kiritimati", "America/St_Johns"]),
)
def test_the_fast_way_agrees_with_the_plain_one(
    naive: datetime, source: str, business: str
) -> None:
    """Asking the zones once a day only spares time: clock changes and half hours included."""
    zone, own = ZoneInfo(source), ZoneInfo(business)
    naive = naive.replace(microsecond=0)
    aware = naive.replace(tzinfo=zone)

    at, on, _ = _reader(zone, own).read(naive.isoformat())

    assert datetime.fromisoformat(at).replace(tzinfo=UTC) == aware.astimezone(UTC)
    assert on == aware.astimezone(own).date().isoformat()


def test_the_fast_way_holds_through_clock_changes() -> None:
    """The hours around both changes of a year, each quarter of an hour."""
    reader = _reader(LONDON, BERLIN)
    for change in (datetime(2026, 3, 29), datetime(2026, 10, 25)):  # noqa: DTZ001 - naive
        for quarter in range(-200, 200):
            naive = change + timedelta(minutes=15 * quarter)
            aware = naive.replace(tzinfo=LONDON)

            at, on, _ = reader.read(naive.isoformat())

            assert datetime.fromisoformat(at).replace(tzinfo=UTC) == aware.astimezone(UTC)
            assert on == aware.astimezone(BERLIN).date().isoformat()


@pytest.mark.parametrize("written", ["01/02/2026", "1.2.26", "13-02-2026", "01/02/2026 10:00"])
def test_a_date_that_may_be_two_days_is_ambiguous(written: str) -> None:
    """No guessing from other rows: the file's owner says how dates are written."""
    with pytest.raises(AmbiguousDate):
        _reader().read(written)


def test_a_date_format_settles_it() -> None:
    """With the key it is one day, with a time where the format has one."""
    assert _reader(date_format="%d/%m/%Y").read("01/02/2026")[1:] == ("2026-02-01", 1)
    assert _reader(date_format="%m/%d/%Y").read("01/02/2026")[1:] == ("2026-01-02", 1)
    with_time = _reader(date_format="%d.%m.%Y %H:%M").read("01.02.2026 09:30")
    assert with_time == ("2026-02-01 09:30:00.000000", "2026-02-01", 0)
    with pytest.raises(ValueError, match="is not written as"):
        _reader(date_format="%d/%m/%Y").read("2026-02-01")


@pytest.mark.parametrize("written", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_is_refused(written: str) -> None:
    """A bad row is one row, never the file."""
    with pytest.raises(ValueError, match="is"):
        _reader().read(written)


def test_yes_and_no_in_the_words_of_several_lands() -> None:
    """Consent is read only from words that surely mean it."""
    assert [read_yes(word) for word in ("Yes", "JA", "oui", "1", "true", "Y")] == [True] * 6
    assert [read_yes(word) for word in ("no", "Nein", "0", "F", "unsubscribed")] == [False] * 5
    assert read_yes(" ") is None
    with pytest.raises(ValueError, match="neither yes nor no"):
        read_yes("maybe")


def test_lists_are_json_or_parted_words() -> None:
    """Tags come as a database gives them or as people type them."""
    assert read_list("tea; coffee, tea") == ["tea", "coffee"]
    assert read_list('["dark, sweet", "oil"]') == ["dark, sweet", "oil"]
    assert read_list("") == []


def test_values_of_databases_are_read_like_those_of_files() -> None:
    """One way of understanding, whatever the source."""
    given_values = [None, True, 12.1, Decimal("3.20"), datetime(2026, 1, 2, tzinfo=UTC), ["a"], 7]

    texts = [to_text(value) for value in given_values]

    assert texts == ["", "yes", "12.1", "3.20", "2026-01-02T00:00:00+00:00", '["a"]', "7"]
