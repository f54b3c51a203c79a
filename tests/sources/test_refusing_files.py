"""A bad row never stops a pull; a bad file is refused whole, with a sentence that helps."""

import bz2
import gzip
import lzma
import os
from pathlib import Path

import pytest

from tests.sources.shops import CUSTOMERS, PURCHASES, Shop
from winback.database.tables import ContactPoint, Customer, Purchase
from winback.errors import ConfigError, SourceError
from winback.sources.pulling import PullCounts

HEADER = "id,first,email,phone,news,texts"
ORDERS = "no,customer,date,total"


@pytest.fixture
def till(shop: Shop) -> Shop:
    """Give the shop with one known customer."""
    shop.write("customers.csv", HEADER, "c1,Ada,,,,")
    return shop


def test_bad_rows_are_kept_with_place_and_reason(till: Shop) -> None:
    """Each bad row is one row, with its line and why; it leaves when it is taken."""
    till.write(
        "orders.csv",
        ORDERS,
        "1,c1,2025-08-01,1",
        "2,c1,2025-08-01,",
        "3,c1,2025-08-01",
        ",c1,2025-08-01,4",
        '5,c1,2025-08-01,"4',
    )

    assert till.pull() == PullCounts(read=6, added=2, rejected=4)
    places = [place for place, _ in till.reasons()]
    assert places == ["orders.csv:3", "orders.csv:4", "orders.csv:5", "orders.csv:6"]
    assert till.reasons()[0][1] == "amount is empty"
    assert till.reasons()[1][1] == "has 3 values for 4 columns"

    till.write("orders.csv", ORDERS, "1,c1,2025-08-01,1", "2,c1,2025-08-01,9")
    assert till.pull() == PullCounts(read=2, added=1)
    assert till.reasons() == []


def test_a_missing_column_refuses_the_file_and_names_the_columns(till: Shop) -> None:
    """The sentence names the column that is missing and those that are there."""
    till.write("orders.csv", "no,customer,date,totals", "1,c1,2025-08-01,1")

    with pytest.raises(SourceError) as refused:
        till.pull()

    assert "no column 'total' (amount)" in str(refused.value)
    assert "it has no, customer, date, totals; did you mean 'totals'?" in str(refused.value)
    assert till.all(Purchase) == []
    assert len(till.all(Customer)) == 1


def test_ambiguous_dates_refuse_the_file_whole(till: Shop) -> None:
    """Not even the rows before are taken; the column and the value are shown."""
    till.write("orders.csv", ORDERS, "1,c1,2025-08-01,1", "2,c1,01/02/2025,1")

    with pytest.raises(
        SourceError, match=r"orders\.csv, line 3: purchased_at holds '01/02/2025'.*date_format"
    ):
        till.pull()

    assert till.all(Purchase) == []
    till.configure(
        till={
            "kind": "files",
            "date_format": "%d/%m/%Y",
            "customers": CUSTOMERS,
            "purchases": PURCHASES,
        }
    )
    till.write("orders.csv", ORDERS, "2,c1,01/02/2025,1")
    till.pull()
    assert [str(one.purchased_on) for one in till.all(Purchase)] == ["2025-02-01"]


@pytest.mark.parametrize(
    ("date", "formats"),
    [
        ("01/02/2025", "'%d/%m/%Y' or '%m/%d/%Y'"),
        ("13/02/2025", "'%d/%m/%Y'"),
        ("02-13-2025", "'%m-%d-%Y'"),
        ("13.2.2025 10:00", "'%d.%m.%Y %H:%M'"),
        ("31/31/2025", "'%d/%m/%Y' or '%m/%d/%Y'"),
    ],
)
def test_the_sentence_names_the_formats_that_read_the_date(
    till: Shop, date: str, formats: str
) -> None:
    """Only what is true of the value is said of it, and without it elsewhere."""
    till.write("orders.csv", ORDERS, f"1,c1,{date},1")

    with pytest.raises(SourceError) as refused:
        till.pull()

    assert f"write date_format: {formats} in the source" in str(refused.value)
    assert ("may be day-month" in str(refused.value)) == (date == "01/02/2025")
    assert f"write date_format: {formats} in the source" in refused.value.discreet
    assert date not in refused.value.discreet


def test_what_refuses_a_file_can_be_told_without_its_values(till: Shop) -> None:
    """SEC-22: the values of rows are for the terminal; a file without a header shows a row."""
    path = till.home / "customers.csv"
    path.write_bytes(f"{HEADER}\nc2,René,,,,\n".encode("cp1252"))
    till.write("orders.csv", "1,Ada Oakley,2025-08-01,1")

    with pytest.raises(SourceError) as refused:
        till.pull()

    assert "René" in str(refused.value)
    assert "Oakley" in str(refused.value)
    first, second = refused.value.discreet.splitlines()
    assert first.startswith("till: customers.csv is not UTF-8: line 2, column 'first'; save it")
    assert second == "till: orders.csv has no column 'no' (external_id)"


def test_a_currency_that_is_none_is_rejected(till: Shop) -> None:
    """ISO 4217 knows it, or the row waits for who mends it; old purchases keep their own."""
    columns = PURCHASES["columns"] | {"currency": "currency"}  # type: ignore[operator]
    till.configure(
        till={
            "kind": "files",
            "customers": CUSTOMERS,
            "purchases": PURCHASES | {"columns": columns},
        }
    )
    till.write(
        "orders.csv",
        f"{ORDERS},currency",
        "1,c1,2025-08-01,1,XXZ",
        "2,c1,2025-08-01,1,eur",
        "3,c1,2021-08-01,1,HRK",
    )

    assert till.pull() == PullCounts(read=4, added=3, rejected=1)
    assert till.reasons() == [
        ("orders.csv:2", "currency is no currency code of ISO 4217; write GBP or USD")
    ]


def test_a_refused_file_does_not_stop_the_others(till: Shop) -> None:
    """What other files gave is kept; the refused one is tried again by the next pull."""
    till.write("orders-a.csv", ORDERS, "1,c1,01/02/2025,1")
    till.write("orders-b.csv", ORDERS, "2,c1,2025-08-01,1")

    with pytest.raises(SourceError, match=r"line 2"):
        till.pull()

    assert [one.external_id for one in till.all(Purchase)] == ["2"]
    till.write("orders-a.csv", ORDERS, "1,c1,2025-02-01,1")
    assert till.pull() == PullCounts(read=1, added=1)


def test_another_encoding_is_refused_unless_it_is_named(till: Shop) -> None:
    """Names are never taken with broken letters: the column and the value are shown."""
    path = till.home / "customers.csv"
    path.write_bytes(f"{HEADER}\nc1,Ada,,,,\nc2,René,,,,\n".encode("cp1252"))

    with pytest.raises(SourceError, match=r"line 3, column 'first' holds 'René'.*encoding") as no:
        till.pull()
    assert "UTF-8" in str(no.value)

    till.configure(till={"kind": "files", "encoding": "cp1252", "customers": CUSTOMERS})
    till.pull()
    assert [one.given_name for one in till.all(Customer)] == ["Ada", "René"]


def test_a_byte_order_mark_and_other_delimiters_are_read(till: Shop) -> None:
    """What spreadsheets save is read as it is."""
    path = till.home / "orders.csv"
    path.write_bytes("\ufeffno;customer;date;total\r\n1;c1;2025-08-01;12,50\r\n".encode())

    assert till.pull() == PullCounts(read=2, added=2)


@pytest.mark.parametrize(
    ("name", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_files_are_read_whole_when_changed(
    till: Shop, name: str, pack: type[bytes]
) -> None:
    """A packed export is as good as a plain one, and skipped while unchanged."""
    purchases = PURCHASES | {"path": "orders*"}
    till.configure(till={"kind": "files", "customers": CUSTOMERS, "purchases": purchases})
    path = till.home / f"orders.csv.{name}"
    path.write_bytes(pack(f"{ORDERS}\n1,c1,2025-08-01,1\n".encode()))
    assert till.pull() == PullCounts(read=2, added=2)

    os.utime(path, (1, 1))
    assert till.pull() == PullCounts()

    path.write_bytes(pack(f"{ORDERS}\n1,c1,2025-08-01,1\n2,c1,2025-08-01,1\n".encode()))
    assert till.pull() == PullCounts(read=2, added=1)

    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(SourceError, match="cannot be unpacked"):
        till.pull()


def test_json_lines_are_read(till: Shop) -> None:
    """One object a line; numbers, flags and lists as JSON writes them."""
    till.configure(
        till={
            "kind": "files",
            "customers": CUSTOMERS,
            "purchases": PURCHASES | {"path": "orders.jsonl"},
        }
    )
    till.write(
        "orders.jsonl",
        '{"no": 1, "customer": "c1", "date": "2025-08-01T10:00:00Z", "total": 12.5, "x": 1}',
        "nonsense",
        '{"no": 2, "customer": "c1", "date": "2025-08-02"}',
    )

    assert till.pull() == PullCounts(read=4, added=2, rejected=2)
    assert [place for place, _ in till.reasons()] == ["orders.jsonl:2", "orders.jsonl:3"]


def test_parquet_is_read_by_the_extra(till: Shop) -> None:
    """A warehouse's export, with its own types."""
    duckdb = pytest.importorskip("duckdb")
    path = till.home / "orders.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 1 AS no, 'c1' AS customer, TIMESTAMP '2025-08-01 10:00:00' AS date, "
            f"12.50::DECIMAL(9,2) AS total) TO '{path}' (FORMAT parquet)"
        )
    purchases = PURCHASES | {"path": "orders.parquet"}
    till.configure(till={"kind": "files", "customers": CUSTOMERS, "purchases": purchases})

    assert till.pull() == PullCounts(read=2, added=2)
    assert till.pull() == PullCounts()


def test_a_bad_address_does_not_lose_the_customer(shop: Shop) -> None:
    """The customer is taken without it, and the defect is noted until the row is mended."""
    shop.configure(till={"kind": "files", "customers": CUSTOMERS})
    shop.write("customers.csv", HEADER, "c1,Ada,nobody@,07400 123456,yes,", "c2,Bob,,123,maybe,")

    assert shop.pull() == PullCounts(read=2, added=2, rejected=3)
    assert [one.address for one in shop.all(ContactPoint)] == ["+447400123456"]
    assert "nobody" not in str(shop.reasons())

    shop.append("customers.csv", "c3,Cy,,,,")
    assert shop.pull() == PullCounts(read=1, added=1)
    assert len(shop.reasons()) == 3

    shop.write("customers.csv", HEADER, "c1,Ada,ada@example.com,,yes,", "c2,Bob,,123,maybe,")
    assert shop.pull() == PullCounts(read=2, changed=1)
    assert [place for place, _ in shop.reasons()] == ["customers.csv:3", "customers.csv:3"]


def test_an_unknown_source_is_wrong_use(till: Shop) -> None:
    """The sentence names the sources that there are."""
    with pytest.raises(ConfigError, match="there is till"):
        till.pull(only="shop")


def test_a_file_that_is_missing_stops_the_day(till: Shop) -> None:
    """Nobody is written to on half the facts."""
    Path(till.home / "customers.csv").unlink()

    with pytest.raises(SourceError, match=r"there is no file customers\.csv"):
        till.pull()
