"""The forms in which an address may stand in what others wrote."""

import pytest

from winback.customers.spelling import spellings, spellings_in_json


@pytest.mark.parametrize(
    ("address", "forms"),
    [
        ("ann@example.com", ["ann@example.com"]),
        ("+447911100001", ["+447911100001"]),
        (
            "jürgen.öst@example.com",
            ["jürgen.öst@example.com", "jÜrgen.Öst@example.com", "jürgen.Öst@example.com"],
        ),
        ("ann@bücher.example", ["ann@bücher.example", "ann@xn--bcher-kva.example"]),
        ("groß@example.com", ["groß@example.com"]),
    ],
)
def test_an_address_is_looked_for_in_each_form(address: str, forms: list[str]) -> None:
    """In any case, and its domain as the net knows it; never in a form that is another's."""
    assert set(forms) <= set(spellings(address))
    assert all(form.isascii() or form.lower() == address for form in spellings(address))
    assert "gross@example.com" not in spellings(address)


def test_in_a_document_letters_may_be_escaped() -> None:
    """One database keeps them as they are, the other as numbers."""
    assert spellings_in_json("ann@example.com") == ["ann@example.com"]
    assert {"ü@example.com", r"\u00fc@example.com", r"\u00dc@example.com"} <= {
        *spellings_in_json("ü@example.com")
    }
