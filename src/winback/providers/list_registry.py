"""From settings to suppression lists: whose are read, and when there is anybody to read them from.

Mails only: Twilio keeps opt-outs by number and shows them nowhere but in its answers.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from winback.environment import Environment
from winback.providers.incoming import Origin
from winback.providers.sendgrid_lists import LISTS
from winback.providers.suppression_lists import Asked, NoPage, Page, SuppressionLists
from winback.states import Channel

_log = logging.getLogger(__name__)

Lent = Callable[[], Environment | None]
"""Gives the environment of the stand-ins while they are running, None before."""


class OnFirstPage:
    """SendGrid's lists, made when the first page is asked for.

    Stand-ins are asked while they run for another reason; nobody starts them for this.
    """

    name = "sendgrid"
    channel = Channel.EMAIL
    origin: str = Origin.SENDGRID_LISTS
    names = tuple(LISTS)

    def __init__(self, where: Lent) -> None:
        self._where = where
        self._made: SuppressionLists | None = None

    @property
    def is_ready(self) -> bool:
        """Say whether there is a key, and somebody to whom it is known."""
        environment = self._where()
        return environment is not None and environment.sendgrid_api_key is not None

    async def page(self, asked: Asked) -> Page | NoPage:
        """Ask for one page; what cannot be made gives none."""
        try:
            if self._made is None:
                self._made = _sendgrid(self._where())
            return await self._made.page(asked)
        except Exception as broken:  # noqa: BLE001 - a list that cannot be read stops no day
            # What the exception itself says may hold an address, so only its kind is told.
            kind = type(broken).__name__
            _log.error("%s: the list %s failed with %s", self.name, asked.name, kind)
            return NoPage(f"reading failed with {kind}")

    async def close(self) -> None:
        """Close the connections, if there ever were any."""
        if self._made is not None:
            await self._made.close()


def _sendgrid(environment: Environment | None) -> SuppressionLists:
    from winback.providers.sendgrid_listing import SendGridLists  # noqa: PLC0415 - loaded when used

    key = environment.sendgrid_api_key if environment is not None else None
    assert environment is not None  # noqa: S101 - it was ready
    assert key is not None  # noqa: S101 - it was ready
    return SendGridLists(key.get_secret_value(), base_url=environment.sendgrid_url)


@asynccontextmanager
async def open_lists(
    environment: Environment, *, lent: Lent | None = None
) -> AsyncIterator[SuppressionLists]:
    """Give the lists of the account that mails go through, and close them at the end.

    ``lent``, for mode ``sandbox``, stands for a URL that is not given.
    """
    lends = lent is not None and environment.sendgrid_url is None
    lists = OnFirstPage(lent if lends and lent is not None else lambda: environment)
    try:
        yield lists
    finally:
        await lists.close()
