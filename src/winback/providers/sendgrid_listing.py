"""Asks SendGrid for its suppression lists, page after page; nothing is asked twice (SG-15, SG-40).

A key made for sending may not read them: the answer says so, and whoever asks tells the operator.
"""

from typing import Any, Final

import orjson

from winback.failpoints import calling
from winback.providers.incoming import Origin
from winback.providers.sendgrid_lists import LISTS, read_page, target
from winback.providers.suppression_lists import Asked, NoPage, Page
from winback.providers.transport import ASKING_TIMEOUT, Answer, NotSent, ReplyLost, Transport
from winback.states import Channel

BASE_URL: Final = "https://api.sendgrid.com"
_OK: Final = 200
_NOT_ALLOWED: Final = frozenset({401, 403})


class SendGridLists:
    """Reads the lists of one account, over connections that are kept."""

    name = "sendgrid"
    channel = Channel.EMAIL
    origin: str = Origin.SENDGRID_LISTS
    names = tuple(LISTS)
    is_ready = True

    def __init__(
        self, api_key: str, *, base_url: str | None = None, transport: Transport | None = None
    ) -> None:
        self._url = (base_url or BASE_URL).rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}", "Accept": "application/json"}
        self._transport = transport or Transport(connections=1, timeout=ASKING_TIMEOUT)

    async def page(self, asked: Asked) -> Page | NoPage:
        """Ask for one page."""
        try:
            with calling("sendgrid_lists"):
                answer = await self._transport.request(
                    "GET", self._url + target(asked), headers=self._headers
                )
        except (NotSent, ReplyLost) as lost:
            return NoPage(f"SendGrid cannot be reached: {lost}")
        return _read(answer, asked)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()


def _read(answer: Answer, asked: Asked) -> Page | NoPage:
    if answer.status in _NOT_ALLOWED:
        return NoPage(f"SendGrid answered {answer.status}", is_refused=True)
    if answer.status != _OK:
        # A 429 among them: how long it asks us to wait does not matter, for it is till tomorrow.
        return NoPage(f"SendGrid answered {answer.status}")
    try:
        entries: Any = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        entries = None
    if not isinstance(entries, list):
        return NoPage("SendGrid answered in another shape")
    return read_page(entries, asked)
