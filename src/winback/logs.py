"""Keeps secrets and people out of the log, whoever writes to it (FACTS.md SEC-22).

Our own lines carry ids and counts only; this filter is the net below, for the lines of others.
"""

import logging
import re
from typing import Final

_PATTERNS: Final = (
    (re.compile(r"SG\.[\w-]{8,}\.[\w-]{8,}"), "(key)"),
    (re.compile(r"\b(?:AC|SK)[0-9a-fA-F]{32}\b"), "(account)"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 (key)"),
    (re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+"), "(address)"),
    (re.compile(r"(?:\+|%2B)[1-9]\d{6,14}\b"), "(number)"),
)


def redact(line: str) -> str:
    """Give the line with keys, accounts, addresses and phone numbers (E.164) taken out."""
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
