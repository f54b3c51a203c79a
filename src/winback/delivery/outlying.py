"""Parts of a country that lie apart from it, pure: where an address of them may be (LAW-23b).

Shops write them both ways: as a country of its own, and as a region of the country that they
belong to. The zones of a country hold none of them, nor those of the military's post.
"""

import unicodedata
from collections.abc import Mapping
from typing import Final

PARTS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "AU": {
        "CC": ("Cocos Islands", "Cocos (Keeling) Islands"),
        "CX": ("Christmas Island",),
        "NF": ("Norfolk Island",),
    },
    "CN": {"HK": ("Hong Kong",), "MO": ("Macao", "Macau"), "TW": ("Taiwan",)},
    "DK": {
        "FO": ("Faroe Islands", "Færøerne", "Føroyar"),
        "GL": ("Greenland", "Grønland", "Kalaallit Nunaat"),
    },
    "FR": {
        "BL": ("977", "Saint-Barthélemy"),
        "GF": ("973", "Guyane", "Guyane française", "French Guiana"),
        "GP": ("971", "Guadeloupe"),
        "MF": ("978", "Saint-Martin"),
        "MQ": ("972", "Martinique"),
        "NC": ("988", "Nouvelle-Calédonie", "New Caledonia"),
        "PF": ("987", "Polynésie française", "French Polynesia"),
        "PM": ("975", "Saint-Pierre-et-Miquelon", "Saint Pierre and Miquelon"),
        "RE": ("974", "La Réunion", "Réunion"),
        "TF": ("984", "Terres australes françaises"),
        "WF": ("986", "Wallis-et-Futuna", "Wallis and Futuna"),
        "YT": ("976", "Mayotte"),
    },
    "GB": {
        "GG": ("Guernsey",),
        "GI": ("Gibraltar",),
        "IM": ("Isle of Man",),
        "JE": ("Jersey",),
    },
    "NL": {
        "AW": ("Aruba",),
        "BQ": ("BQ1", "BQ2", "BQ3", "Bonaire", "Saba", "Sint Eustatius", "Caribisch Nederland"),
        "CW": ("Curaçao",),
        "SX": ("Sint Maarten",),
    },
    "NZ": {"CK": ("Cook Islands",), "NU": ("Niue",), "TK": ("Tokelau",)},
    "US": {
        "AS": ("American Samoa",),
        "FM": ("Micronesia", "Federated States of Micronesia"),
        "GU": ("Guam",),
        "MH": ("Marshall Islands",),
        "MP": ("Northern Mariana Islands", "Northern Marianas", "Saipan"),
        "PR": ("Puerto Rico",),
        "PW": ("Palau",),
        "UM": ("United States Minor Outlying Islands",),
        "VI": ("Virgin Islands", "US Virgin Islands", "Virgin Islands, US"),
        "AA": ("Armed Forces Americas",),
        "AE": (
            "Armed Forces Europe",
            "Armed Forces Africa",
            "Armed Forces Canada",
            "Armed Forces Middle East",
        ),
        "AP": ("Armed Forces Pacific",),
    },
}
"""By country: the ISO code of each part, and how else it is written as a region."""

MILITARY: Final[Mapping[str, frozenset[str]]] = {
    "AA": frozenset(
        {"America/Tegucigalpa", "America/Bogota", "America/Santiago", "America/Sao_Paulo"}
    ),
    # Pituffik and Guantánamo have addresses of AE, too.
    "AE": frozenset(
        {"America/Havana", "America/Toronto", "America/Thule", "Atlantic/Azores"}
        | {"Europe/London", "Europe/Berlin", "Europe/Athens", "Africa/Cairo"}
        | {"Africa/Djibouti", "Asia/Dubai", "Asia/Kabul"}
    ),
    # From embassies in the west and Diego Garcia to Kwajalein and what goes to Antarctica.
    "AP": frozenset(
        {"Asia/Kolkata", "Indian/Chagos", "Asia/Bangkok", "Asia/Manila", "Asia/Tokyo"}
        | {"Australia/Darwin", "Australia/Sydney", "Pacific/Guam", "Pacific/Kwajalein"}
        | {"Pacific/Auckland"}
    ),
}
"""Addresses of the American military's post: one may be in any zone of its area."""

AMERICAN: Final = frozenset(PARTS["US"])
"""What is written as a state and is none: no state's law holds there, the federal one does."""

OWN_COUNTRIES: Final = frozenset({"AS", "GU", "MP", "PR", "UM", "VI"})
"""Of these, the parts of the United States that are also written as countries."""

NEARER: Final = frozenset({"AS", "PR", "VI"})
"""Of these, the ones that share decent hours with every state."""


def plain(written: str) -> str:
    """Give a name without case, accents, blanks and signs, to compare it by."""
    parted = unicodedata.normalize("NFKD", written.casefold())
    return "".join(sign for sign in parted if sign.isalnum())


_BY_NAME: Final = {
    country: {plain(name): code for code, names in parts.items() for name in (code, *names)}
    for country, parts in PARTS.items()
}


def part_of(country: str, written: str) -> str | None:
    """Give the code of the part of a country that a region names; None where it names none."""
    return _BY_NAME.get(country, {}).get(plain(written))
