"""Addresses are checked and compared normalized, and hashed with a key."""

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from winback.customers.identity import (
    address_hash,
    normalize_email,
    normalize_phone,
    read_phone,
)
from winback.states import Channel


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        pytest.param("Ada@Example.com", "ada@example.com", id="case"),
        pytest.param("  ada+shop@example.com ", "ada+shop@example.com", id="spaces and plus"),
        pytest.param("o'neill@example.com", "o'neill@example.com", id="apostrophe"),
        pytest.param("ada@bücher.example.com", "ada@bücher.example.com", id="international"),
    ],
)
def test_mail_addresses_are_compared_normalized(written: str, normal: str) -> None:
    """Sources are joined on equal normalized e-mail, so writing must not matter."""
    assert normalize_email(written) == normal


@pytest.mark.parametrize(
    "written",
    ["", "ada", "@example.com", "ada@", "ada@@example.com", "a..b@example.com", "a b@c.d"],
)
def test_a_bad_mail_address_is_refused_without_repeating_it(written: str) -> None:
    """A reason is shown and logged: it must not carry the address."""
    with pytest.raises(ValueError, match="not an e-mail address") as refused:
        normalize_email(written)

    assert len(written) < 2 or written not in str(refused.value)


@given(
    st.text("abcxyzABC019._+-@ '", min_size=0, max_size=70),
    st.sampled_from(["example.com", "-bad.com", "a..b", "test", "localhost", "x.invalid", "a.co"]),
)
def test_the_fast_way_agrees_with_the_checker(local: str, domain: str) -> None:
    """The plain pattern only spares time: it accepts and gives exactly what the checker does."""
    try:
        expected = validate_email(
            f"{local}@{domain}".strip().lower(), check_deliverability=False
        ).normalized.lower()
    except EmailNotValidError:
        expected = None

    try:
        found: str | None = normalize_email(f"{local}@{domain}")
    except ValueError:
        found = None

    assert found == expected


@pytest.mark.parametrize(
    ("written", "country", "normal"),
    [
        pytest.param("07400 123456", "GB", "+447400123456", id="national"),
        pytest.param("+44 7400 123456", None, "+447400123456", id="international"),
        pytest.param("0044 7400 123456", None, "+447400123456", id="double zero"),
        pytest.param("(202) 555-0125", "US", "+12025550125", id="fiction number"),
    ],
)
def test_phone_numbers_are_read_with_the_country(
    written: str, country: str | None, normal: str
) -> None:
    """A national number means what it means in the customer's own country."""
    assert normalize_phone(written, country) == normal


@pytest.mark.parametrize(
    ("written", "country"),
    [("07400 123456", None), ("12", "GB"), ("hello", "GB"), ("+999123", None)],
)
def test_a_bad_phone_number_is_refused(written: str, country: str | None) -> None:
    """What nobody can be reached by is no contact point."""
    with pytest.raises(ValueError, match="phone"):
        normalize_phone(written, country)


def test_a_fixed_line_takes_no_texts() -> None:
    """A number that is surely a fixed line may be called, and is never texted."""
    assert read_phone("020 7946 0018", "GB")[1] is Channel.CALL
    assert read_phone("07400 123456", "GB")[1] is Channel.SMS


def test_hashes_need_the_key_and_share_a_number_between_texts_and_calls() -> None:
    """FACTS.md LAW-4: suppressions are kept by keyed hash; a number is one number."""
    number = "+447400123456"

    assert address_hash("a", Channel.SMS, number) == address_hash("a", Channel.CALL, number)
    assert address_hash("a", Channel.SMS, number) != address_hash("b", Channel.SMS, number)
    assert address_hash("a", Channel.SMS, "x") != address_hash("a", Channel.EMAIL, "x")
