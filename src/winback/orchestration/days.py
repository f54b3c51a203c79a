"""The day that a flow works on: the one that is open already, or one of its own."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from prefect.blocks.system import Secret

from winback.day import Day
from winback.errors import tell_discreetly
from winback.house import open_day

_present: ContextVar[Day | None] = ContextVar("winback_day", default=None)

SECRET_BLOCKS = {
    "SENDGRID_API_KEY": "winback-sendgrid-api-key",
    "TWILIO_ACCOUNT_SID": "winback-twilio-account-sid",
    "TWILIO_AUTH_TOKEN": "winback-twilio-auth-token",
    "SENDGRID_WEBHOOK_KEYS": "winback-sendgrid-webhook-keys",
    "SENDGRID_PARSE_KEYS": "winback-sendgrid-parse-keys",
    "WINBACK_SECRET": "winback-secret",
    "WINBACK_DATABASE_URL": "winback-database-url",
}
"""Secrets that a flow takes from Prefect Secret blocks where the environment has none."""


@contextmanager
def within(day: Day) -> Iterator[None]:
    """Let flows that are called inside use this day, instead of opening one of their own."""
    token = _present.set(day)
    try:
        yield
    finally:
        _present.reset(token)


def present_day() -> Day | None:
    """Give the day that is open already; None where none is."""
    return _present.get()


@asynccontextmanager
async def opened_day(as_of: str | None) -> AsyncIterator[Day]:
    """Give the day that is open already, else open one for as long as the flow runs.

    The instant is asked for here, inside the run: a default argument would freeze at import.
    Raises ToldDiscreetly for any error: Prefect keeps its text and traceback (FACTS.md SEC-22).
    """
    try:
        if (day := _present.get()) is not None:
            yield day
            return
        await _fill_environment_from_blocks()
        async with open_day(as_of, by="flow") as day:
            with within(day):
                yield day
    except Exception as error:  # noqa: BLE001 - whatever it is, its text must not leave
        raise tell_discreetly(error) from None


async def _fill_environment_from_blocks() -> None:
    for name, block in SECRET_BLOCKS.items():
        if os.environ.get(name):
            continue
        try:
            secret: Any = await Secret.aload(block)
        except ValueError:
            # There is no such block: the setting stays as the environment has it.
            continue
        os.environ[name] = str(secret.get())
