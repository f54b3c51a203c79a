"""Keeps the vendors' packages from logging secrets and people.

SendGrid's HTTP package writes the API key and the whole payload at DEBUG, Twilio's writes URLs
and headers (read in sendgrid 6.12.5 and twilio 9.13.0, November 2026; FACTS.md SEC-22).
"""

import logging
from typing import Final

VENDOR_LOGGERS: Final = (
    "python_http_client",
    "python_http_client.client",
    "twilio",
    "twilio.http_client",
    "twilio.async_http_client",
)


def quiet_vendor_loggers() -> None:
    """Pin the vendors' loggers at WARNING, whatever level the root logger has."""
    for name in VENDOR_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
