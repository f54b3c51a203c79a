"""The header fields of a mail that offer the way out (RFC 8058), and the guard of all of them."""

import re
from typing import Final

from winback.errors import TemplateError

_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def email_headers(unsubscribe_url: str, unsubscribe_mailto: str | None = None) -> dict[str, str]:
    """Give the two fields that every marketing mail carries (FACTS.md LAW-12).

    ``unsubscribe_url`` is the same address as the link in the mail; ``unsubscribe_mailto`` is an
    address without ``mailto:``.
    """
    ways = [f"<{one_line(unsubscribe_url, 'unsubscribe address')}>"]
    if unsubscribe_mailto:
        ways.append(f"<mailto:{one_line(unsubscribe_mailto, 'unsubscribe mailbox')}>")
    return {
        "List-Unsubscribe": ", ".join(ways),
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def one_line(value: str, what: str) -> str:
    """Give a value that may stand in a header field; raises TemplateError when it cannot.

    A line break would end the field and begin another one: a name from a source could add
    recipients (FACTS.md SEC-7). The value itself is kept out of the sentence.
    """
    if _BREAKS.search(value):
        raise TemplateError(f"the {what} holds a line break or a control character")
    return value
