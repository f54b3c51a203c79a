"""The stock: made up to the limit, imported, exported, told when low."""

import csv
import io
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.vouchers.shop import WELCOME, a_campaign, enroll, seeded
from winback.campaign.schema import Campaign
from winback.database.tables import Voucher
from winback.errors import FileMistakes
from winback.vouchers.exporting import HEADER, export_codes, safe_cell
from winback.vouchers.making import KEPT_WITHOUT_LIMIT
from winback.vouchers.reserving import reserve_many
from winback.vouchers.stock import StockLine, fill, read_pool, stock

POOL = {"amount": 5, "valid_for": "30 days", "codes_from": "config/pool.csv"}


def line_of(session: Session, campaign: Campaign, now: datetime) -> StockLine:
    """Give the only line of the stock."""
    (line,) = stock(session, [campaign], now=now, must_be_exported=False)
    return line


def give(session: Session, campaign: Campaign, count: int, now: datetime) -> None:
    """Reserve so many codes."""
    pairs = [(one, "welcome") for one in enroll(session, campaign, now, count=count)]
    reserve_many(session, pairs, campaign=campaign, now=now, must_be_exported=False)


def exported(session: Session, campaign: Campaign, now: datetime, *, only_new: bool) -> list[str]:
    """Export and give the codes that were written."""
    file = io.StringIO()
    export_codes(session, file, campaigns=[campaign], currency="GBP", now=now, only_new=only_new)
    file.seek(0)
    return [row["code"] for row in csv.DictReader(file)]


def test_the_stock_is_filled_to_the_limit_once(session: Session, now: datetime) -> None:
    """Filling again makes nothing; what was given counts against the limit."""
    campaign = a_campaign()

    assert fill(session, campaign, now=now, rng=seeded(), home=Path()) == 10
    give(session, campaign, 4, now)
    assert fill(session, campaign, now=now, rng=seeded(), home=Path()) == 0

    line = line_of(session, campaign, now)
    assert (line.free, line.reserved) == (6, 4)


def test_an_offer_without_a_limit_is_kept_in_stock(session: Session, now: datetime) -> None:
    """Codes that the shop must know first are made ahead."""
    campaign = a_campaign(welcome={"gift": "honey", "cost": 3, "valid_for": "9 days"})

    fill(session, campaign, now=now, rng=seeded(), home=Path())
    give(session, campaign, 20, now)

    assert fill(session, campaign, now=now, rng=seeded(), home=Path()) == 20
    assert line_of(session, campaign, now).free == KEPT_WITHOUT_LIMIT


def test_a_code_that_was_drawn_twice_is_drawn_again(session: Session, now: datetime) -> None:
    """The same seed draws the same codes; the stock is full all the same."""
    fill(session, a_campaign(), now=now, rng=seeded(), home=Path())

    more = a_campaign(welcome=WELCOME | {"codes": 25})
    fill(session, more, now=now, rng=seeded(), home=Path())

    assert session.scalar(select(func.count(Voucher.code_key.distinct()))) == 25


def test_a_pool_of_the_shop_is_taken_as_it_is(
    session: Session, now: datetime, tmp_path: Path
) -> None:
    """A pool is printed as the shop wrote it, needs no export, and is read once."""
    pool = tmp_path / "config" / "pool.csv"
    pool.parent.mkdir()
    pool.write_text("code,note\nOil-10,a\nOLIVE-22,b\n", encoding="utf-8")
    campaign = a_campaign(welcome=POOL)

    assert fill(session, campaign, now=now, rng=seeded(), home=tmp_path) == 2
    assert fill(session, campaign, now=now, rng=seeded(), home=tmp_path) == 0
    pool.write_text("code,note\nOil-10,a\nOLIVE-22,b\nNEW-1,c\n", encoding="utf-8")
    assert fill(session, campaign, now=now, rng=seeded(), home=tmp_path) == 1

    assert set(session.scalars(select(Voucher.code))) == {"Oil-10", "OLIVE-22", "NEW-1"}
    assert exported(session, campaign, now, only_new=False) == []
    (line,) = stock(session, [campaign], now=now, must_be_exported=True)
    assert line.usable == 3


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"A-1\na1\n", "pool.csv:2: this code stands here twice"),
        (b"x" * 65, "pool.csv:1: no code"),
        (b"\xff\xfe\x00", "pool.csv:1: not a text file"),
        (None, "pool.csv:1: this file is missing"),
    ],
    ids=["twice", "too long", "not text", "missing"],
)
def test_a_bad_pool_is_refused_whole(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    """Each bad line is told; nothing of the file is taken."""
    path = tmp_path / "pool.csv"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(FileMistakes, match=sentence):
        read_pool(path, shown_as="pool.csv")


def test_an_export_is_repeated_whole_or_only_new(session: Session, now: datetime) -> None:
    """All codes again, or those that no file has held yet; marked either way."""
    campaign = a_campaign()
    fill(session, campaign, now=now, rng=seeded(), home=Path())

    first = exported(session, campaign, now, only_new=True)
    more = a_campaign(welcome=WELCOME | {"codes": 12})
    fill(session, more, now=now, rng=seeded(), home=Path())

    assert len(first) == 10
    assert len(exported(session, more, now, only_new=True)) == 2
    assert len(exported(session, more, now, only_new=True)) == 0
    assert len(exported(session, more, now, only_new=False)) == 12


def test_the_till_is_told_what_a_code_gives(session: Session, now: datetime) -> None:
    """The words are those of the terms that the code was made for, also after an edit."""
    before, after = a_campaign(), a_campaign(welcome=WELCOME | {"percent": 20})
    fill(session, before, now=now, rng=seeded(), home=Path())
    file = io.StringIO()

    export_codes(session, file, campaigns=[after], currency="GBP", now=now)

    file.seek(0)
    rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HEADER
    assert rows[0]["gives"] == "15% off from £30"
    assert rows[0]["at_the_till"] == "take 15% off the order"
    assert rows[0]["minimum_spend"] == "30"


@given(st.text(alphabet="=+-@\t\r ab1", max_size=8))
def test_no_cell_is_a_formula(text: str) -> None:
    """A cell that a spreadsheet would run is made text; others stay (FACTS.md SEC-19)."""
    cell = safe_cell(text)

    assert not cell.strip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell in (text, f"'{text}")


def test_low_stock_is_told(session: Session, now: datetime) -> None:
    """Low is under a tenth of the limit, or less than what a week needed."""
    campaign = a_campaign(welcome=WELCOME | {"codes": 100})
    fill(session, campaign, now=now, rng=seeded(), home=Path())
    assert not line_of(session, campaign, now).is_low

    give(session, campaign, 60, now)
    assert line_of(session, campaign, now).is_low
    assert not line_of(session, campaign, now + timedelta(days=8)).is_low

    give(session, campaign, 31, now)
    assert line_of(session, campaign, now + timedelta(days=8)).is_low


def test_unknown_codes_are_low_outside_the_sandbox(session: Session, now: datetime) -> None:
    """Codes that the shop does not know are no stock where it must."""
    campaign = a_campaign()
    fill(session, campaign, now=now, rng=seeded(), home=Path())

    (line,) = stock(session, [campaign], now=now, must_be_exported=True)

    assert (line.free, line.usable, line.is_low) == (10, 0, True)


def test_an_offer_without_any_code_is_listed(session: Session, now: datetime) -> None:
    """Every offer has its line, zeros too; a removed offer keeps the line of its codes."""
    campaign = a_campaign()
    (empty,) = stock(session, [campaign], now=now, must_be_exported=False)
    fill(session, campaign, now=now, rng=seeded(), home=Path())
    (orphan,) = stock(session, [], now=now, must_be_exported=False)

    assert (empty.offer, empty.free, empty.is_low) == ("welcome", 0, False)
    assert (orphan.free, orphan.is_low) == (10, False)
