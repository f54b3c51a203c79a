"""The people of the town as the shop knows them: made up, and reaching nobody.

Addresses end in ``example.com``; the telephone numbers are of the exchange 555, which belongs to
no one. Most agree to mails, many to texts; some have only one of the two, a few agree to nothing.
"""

from typing import Final

from winback.town.people import draw, pick

_GIVEN: Final = (
    "Ada Alan Alice Amos Anna Ben Carl Clara Cora Dan Della Edna Eli Emma Ezra Flora Frank "
    "George Grace Hank Hazel Henry Ida Iris Jack Jane Joan Joe June Karl Laura Leo Lily "
    "Mabel Mary Max Nell Olive Otto Paul Pearl Ralph Rosa Ruth Sam Sara Stella Theo Vera "
    "Walt"
)
_FAMILY: Final = (
    "Abbott Baker Barnes Bell Brooks Carter Clark Cole Cook Cooper Cross Dale Dean Ellis "
    "Fisher Ford Foster Fox Gray Green Hall Harper Hayes Hill Hunt James King Lane Long "
    "Marsh Mason Mills Moore North Page Parker Perry Poole Porter Reed Rice Rose Shaw Stone "
    "Turner Wade Ward Webb West Woods"
)
_ZONES: Final = (
    ("America/New_York", 0.62),
    ("America/Chicago", 0.22),
    ("America/Los_Angeles", 0.16),
)
_HAS_MAIL: Final = 0.98
_HAS_PHONE: Final = 0.85
_AGREES_TO_MAIL: Final = 0.95
_AGREES_TO_TEXTS: Final = 0.60
CUSTOMER_COLUMNS: Final = (
    "id",
    "first",
    "last",
    "email",
    "phone",
    "country",
    "tz",
    "lang",
    "news",
    "texts",
)


def made_up_person(seed: int, customer: str) -> tuple[str, ...]:
    """Make up one row of the customers' export: a person whose addresses reach nobody."""

    def rolled(question: str) -> float:
        return draw(seed, customer, question)

    given = _one_of(_GIVEN, rolled("given name"))
    family = _one_of(_FAMILY, rolled("family name"))
    agrees = rolled("consent")
    has_mail, has_phone = rolled("mail") < _HAS_MAIL, rolled("phone") < _HAS_PHONE
    zone = _ZONES[pick(_ZONES, rolled("zone"))][0]
    return (
        customer,
        given,
        family,
        f"{given.lower()}.{customer}@example.com" if has_mail else "",
        f"+1202555{customer}" if has_phone else "",
        "US",
        zone,
        "en-US",
        "yes" if has_mail and agrees < _AGREES_TO_MAIL else "no",
        "yes" if has_phone and agrees < _AGREES_TO_TEXTS else "no",
    )


def _one_of(names: str, drawn: float) -> str:
    words = names.split()
    return words[int(drawn * len(words))]
