"""Conditions: a small language, and nothing beyond it."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.campaign.conditions import FIELDS, LONGEST, compile_condition

CUSTOMER: dict[str, object] = {
    "purchases": 3,
    "spent": Decimal("120.50"),
    "days_since_last_purchase": 200,
    "country": None,
    "locale": "en-GB",
    "value": "high",
    "tags": ["vip", "local"],
    "interests": [],
    "reason": None,
    "last_product": "a jar of honey",
}

ATTACKS = [
    "''.__class__.__mro__",
    "''['__class__']",
    "cycler.__init__.__globals__",
    "lipsum.__globals__",
    "self._TemplateReference__context",
    "tags|attr('append')",
    "tags|map('upper')",
    "tags|tojson",
    "tags.append('x')",
    "spent.__class__",
    "'a' * 1000000000",
    "10 ** 1000000000",
    "tags * 1000000000",
    "range(1000000000)",
    "'%s' % tags",
    "'a' ~ tags",
    "purchases // 0",
    "{'a': 1}",
    "tags[0]",
    "1 if purchases else 2",
    "purchases }}{% include 'settings.toml' %}{{ purchases",
    "purchases }}{% for x in tags %}{{ x }}{% endfor %}{{ purchases",
    "purchases }} and {{ purchases",
    "purchases #",
    "",
    "   ",
    "(" * 200 + "purchases" + ")" * 200,
    "purchases > 1" + " or purchases > 1" * 100,
]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("purchases >= 1", True),
        ("purchases > 3", False),
        ("1 < purchases <= 3", True),
        ("spent > 120.25 and spent < 121", True),
        ("spent / purchases > 40", True),
        ("spent - 20 > 100", True),
        ('value == "high"', True),
        ('"vip" in tags and "honey" not in interests', True),
        ("tags|length > 1", True),
        ('country == "GB" or country is none', True),
        ('country in ("GB", "IE")', False),
        ('last_product|lower == "a jar of honey"', True),
        ('reason == "price"', False),
        ("not (days_since_last_purchase > 365)", True),
    ],
)
def test_a_condition_says_whether_it_holds(text: str, *, holds: bool) -> None:
    """The fields of DESIGN.md section 7 can be compared and joined."""
    assert compile_condition(text).holds(CUSTOMER) is holds


@pytest.mark.parametrize("text", ATTACKS)
def test_what_is_beyond_the_language_is_refused(text: str) -> None:
    """Each of the attacks is refused before it runs (FACTS.md SEC-4, SEC-6)."""
    with pytest.raises(ValueError):
        compile_condition(text)


@given(st.text(max_size=60))
def test_any_text_is_a_condition_or_a_mistake(text: str) -> None:
    """Whatever a file says, the answer is a condition or a sentence."""
    try:
        condition = compile_condition(text)
    except ValueError:
        return

    assert condition.fields <= FIELDS.keys()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("purchase >= 1", "'purchase' is no field: did you mean purchases?"),
        ('value == "hihg"', "value is never 'hihg': did you mean high?"),
        ('reason in ("price", "servise")', "reason is never 'servise': did you mean service?"),
        ('value = "high"', "write == to compare"),
        ("purchases|lenght", "the filter 'lenght' is not known: did you mean length?"),
        ('purchases > "3"', "compare numbers with numbers"),
        ("purchases > 1 and", "is no condition"),
        ("spent / 0 > 1", "divides by zero"),
        ("x" * (LONGEST + 1), "longer than"),
    ],
)
def test_a_mistake_names_the_nearest_right_word(text: str, sentence: str) -> None:
    """The sentence says what is wrong and what to write instead."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        compile_condition(text)


def test_what_cannot_be_compared_does_not_hold() -> None:
    """An unknown country is neither below nor above a letter: the step is passed, no run stops."""
    assert not compile_condition('country > "F"').holds(CUSTOMER)
    assert not compile_condition("spent / purchases > 1").holds(CUSTOMER | {"purchases": 0})


def test_a_condition_names_its_fields() -> None:
    """Who evaluates needs to look up only these."""
    condition = compile_condition('purchases > 1 and value == "high"')

    assert condition.fields == {"purchases", "value"}
    assert condition.holds({"purchases": 2, "value": "high"})


def test_a_missing_fact_is_a_bug() -> None:
    """The caller forgot a field: that is told, not taken for no."""
    with pytest.raises(KeyError):
        compile_condition("purchases > 1").holds({})
