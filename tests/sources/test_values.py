"""What can be read in two ways is refused, never guessed."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from winback.sources.values import read_list, read_yes, to_text


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
