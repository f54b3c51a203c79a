"""No secret and no person passes the log filter."""

import io
import logging

import pytest

from winback.logs import Redacting, redact

SID = "AC" + "0a" * 16


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("key SG." + "a" * 22 + "." + "b" * 43, "key (key)"),
        (f"GET /Accounts/{SID}/Messages.json", "GET /Accounts/(account)/Messages.json"),
        ("Authorization: Bearer abcdefgh1234", "Authorization: Bearer (key)"),
        ("to mary.o'neil+x@mail.example.co.uk, ok", "to (address), ok"),
        ("to=mary%40example.com&x", "(address)&x"),
        ("To=%2B12015550123 and +447700900123.", "To=(number) and (number)."),
        ("at postgresql://bob:hunter2@db/shop", "at postgresql://bob:***@db/shop"),
        ("mysql://bob:hun$ter2@shop-db:3306/x", "mysql://bob:***@shop-db:3306/x"),
        (
            "postgresql+psycopg://b:p@ss/w:rd@db.shop.com/x",
            "postgresql+psycopg://b:***@db.shop.com/x",
        ),
        ("'redis://:hunter2@db:1' and on", "'redis://:***@db:1' and on"),
        ("GET http://127.0.0.1:8000/r/x", "GET http://127.0.0.1:8000/r/x"),
        ("message 12345678 of 2026-03-02", "message 12345678 of 2026-03-02"),
    ],
)
def test_a_line_is_redacted(line: str, shown: str) -> None:
    """SEC-22: keys, accounts, addresses and numbers go; ids, counts and dates stay."""
    assert redact(line) == shown


def test_arguments_and_tracebacks_are_redacted() -> None:
    """What a library puts into an exception is redacted, too."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(Redacting())
    logger = logging.getLogger("tests.redacting")
    logger.propagate = False
    logger.addHandler(handler)

    logger.warning("sending to %s", "mary@example.com")
    try:
        float("no such number: +12015550123")
    except ValueError:
        logger.exception("failed")

    assert "sending to (address)" in written.getvalue()
    assert "no such number: (number)" in written.getvalue()
    assert "mary" not in written.getvalue()
    assert "2015550123" not in written.getvalue()
