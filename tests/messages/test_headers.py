"""The way out stands in the header fields, and nothing else can get in there."""

import pytest

from winback.errors import TemplateError
from winback.messages.headers import email_headers, one_line


def test_one_click_fields() -> None:
    """FACTS.md LAW-12: exactly these two fields, with one HTTPS address."""
    assert email_headers("https://w.example/u/abc", "unsub@w.example") == {
        "List-Unsubscribe": "<https://w.example/u/abc>, <mailto:unsub@w.example>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


@pytest.mark.parametrize("bad", ["a\r\nBcc: x@y.example", "a\nb", "a\x00", "a\u2028b", "a\x85b"])
def test_line_breaks_are_refused(bad: str) -> None:
    """FACTS.md SEC-7: a name or an address cannot begin another field, nor is it repeated."""
    with pytest.raises(TemplateError) as refused:
        one_line(bad, "subject")

    assert "Bcc" not in str(refused.value)
