"""Keeps secrets and people out of the log, whoever writes to it (FACTS.md SEC-22).

Our own lines carry ids and counts only; this filter is the net below, for the lines of others.
"""

import logging
import re
from typing import Final

_PASSWORD: Final = re.compile(r"(://[^\s:/@\"'<>]{0,128}):[^\s\"'<>]{0,256}@")
"""Up to the last @ of a word: one in a password is often not written as %40."""
_PATTERNS: Final = (
    (_PASSWORD, r"\1:***@"),
    (re.compile(r"SG\.[\w-]{8,}\.[\w-]{8,}"), "(key)"),
    (re.compile(r"\b(?:AC|SK)[0-9a-fA-F]{32}\b"), "(account)"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 (key)"),
    # From the beginning of a word on, or a long one takes minutes; a hidden password is none.
    (
        re.compile(
            r"(?<![\w.!#$%&'*+/=?^`{|}~-])(?!\*{3}@)"
            r"[\w.!#$%&'*+/=?^`{|}~-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+"
        ),
        "(address)",
    ),
    (re.compile(r"(?:\+|%2B)[1-9]\d{6,14}\b"), "(number)"),
)


def hide_passwords(line: str) -> str:
    """Give the line with the passwords in its URLs masked, as ``postgresql://bob:***@db``."""
    return _PASSWORD.sub(r"\1:***@", line)


def redact(line: str) -> str:
    """Give the line with keys, passwords, accounts, addresses and phone numbers taken out."""
    for pattern, shown in _PATTERNS:
        line = pattern.sub(shown, line)
    return line


class Redacting(logging.Filter):
    """Redacts each record that passes, message and traceback alike; stands on a handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record; it always passes."""
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        return True


def redact_logs(*names: str) -> None:
    """Put the filter on every handler of the root logger and of the named ones; may be repeated."""
    for logger in (logging.getLogger(), *map(logging.getLogger, names)):
        for handler in logger.handlers:
            if not any(isinstance(one, Redacting) for one in handler.filters):
                handler.addFilter(Redacting())
