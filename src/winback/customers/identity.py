"""What an e-mail address or a phone number is: normalized, checked, and hashed with a key.

Pure. Addresses are compared and stored normalized; suppressions are kept by keyed hash, so that
they survive erasure (FACTS.md LAW-4, LAW-39).
"""

import hmac
import re
from functools import lru_cache
from hashlib import sha256
from typing import Final

from winback.states import Channel

_PLAIN_LOCAL: Final = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*")
"""Local parts that the checker surely takes as they are; all others go through it."""
_LONGEST_LOCAL: Final = 64
_LONGEST_ADDRESS: Final = 254
_NO_TEXTS: Final = frozenset(
    {
        "FIXED_LINE",
        "TOLL_FREE",
        "PREMIUM_RATE",
        "SHARED_COST",
        "VOICEMAIL",
        "UAN",
        "PAGER",
    }
)
"""Kinds of numbers, as the phonenumbers library names them, that surely take no text."""


def normalize_email(text: str) -> str:
    """Give the address as it is compared and written to: checked, in lower case.

    Raises ValueError with the reason, which never repeats the address.
    """
    address = text.strip().lower()
    local, _, domain = address.rpartition("@")
    if (
        len(local) <= _LONGEST_LOCAL
        and len(address) <= _LONGEST_ADDRESS
        and _PLAIN_LOCAL.fullmatch(local)
    ):
        return f"{local}@{_domain(domain)}"
    return _checked(address)


def normalize_phone(text: str, country: str | None) -> str:
    """Give the number in E.164; one without a country code is read as of the given country.

    Raises ValueError with the reason, which never repeats the number.
    """
    return read_phone(text, country)[0]


def read_phone(text: str, country: str | None) -> tuple[str, Channel]:
    """Give the number in E.164 and what it can be reached by: texts, or only calls.

    A number that is surely a fixed line takes no texts. Raises ValueError with the reason.
    """
    # It holds the numbers of all countries, and most runs meet no new one.
    import phonenumbers  # noqa: PLC0415

    written = text.strip()
    if not written.startswith(("+", "00")) and country is None:
        raise ValueError("a phone number needs its country: write it as +44...")
    if written.startswith("00"):
        written = "+" + written[2:]
    try:
        number = phonenumbers.parse(written, country)
    except phonenumbers.NumberParseException:
        raise ValueError("not a phone number") from None
    kind = phonenumbers.number_type(number)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:
        raise ValueError(f"no such phone number in {country or 'that country'}")
    if number.extension:
        raise ValueError("a phone number with an extension cannot be written to")
    shown = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    takes_texts = phonenumbers.PhoneNumberType.to_string(kind) not in _NO_TEXTS
    return shown, Channel.SMS if takes_texts else Channel.CALL


def address_hash(secret: str, channel: Channel, address: str) -> str:
    """Give the keyed hash of a normalized address: HMAC-SHA256, in hex.

    Texts and calls share one kind, so that a number is one number whatever it is used for.
    """
    kind = "email" if channel is Channel.EMAIL else "phone"
    if channel is Channel.LETTER:
        kind = "letter"
    return hmac.digest(secret.encode(), f"{kind}:{address}".encode(), sha256).hex()


def _checked(address: str) -> str:
    # Its patterns take 50 ms to compile, and most runs meet no new address.
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415

    try:
        return validate_email(address, check_deliverability=False).normalized.lower()
    except EmailNotValidError as refused:
        raise ValueError(f"not an e-mail address: {_without_text(str(refused))}") from None


@lru_cache(maxsize=20_000)
def _domain(domain: str) -> str:
    """Check a domain once; a business's customers share few."""
    return _checked(f"a@{domain}").rpartition("@")[2]


def _without_text(reason: str) -> str:
    """Drop what the checker quotes of the address: reasons are shown and logged."""
    return re.split(r"[:(]|'", reason)[0].strip().rstrip(".")
