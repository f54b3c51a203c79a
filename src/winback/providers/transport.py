"""One pooled HTTP client for both vendors: timeouts, kept connections, no redirects, no retries.

The vendors' own clients open a connection and load the certificate bundle per request (SendGrid)
or cap their pool at 100 (Twilio), and set no timeout (measured, November 2026); what they build is
posted from here. Nothing is retried here: the outbox decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

CONNECTIONS: Final = 256
"""Open connections per provider where nobody says how many calls are on their way at once."""

TIMEOUT: Final = aiohttp.ClientTimeout(total=60, connect=20, sock_connect=10, sock_read=30)
"""Seconds; waiting for a free connection counts as connecting, so nothing was written yet."""

ASKING_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=10, sock_connect=10, sock_read=20)
"""Seconds; shorter than for sending, since a question may be asked again."""

KEPT_ALIVE_SECONDS: Final = 15
"""Shorter than servers keep an idle connection: a post on a dying one would be unclear."""


class NotSent(Exception):
    """No byte of the request left: surely not sent, safe to try again (FACTS.md DS-3)."""


class ReplyLost(Exception):
    """The request may have arrived; nobody knows (FACTS.md DS-3)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider answered; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """A connection pool that is opened in the running loop at the first request."""

    def __init__(
        self, *, connections: int = CONNECTIONS, timeout: aiohttp.ClientTimeout = TIMEOUT
    ) -> None:
        self._connections = connections
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """Send one request, once; raises NotSent or ReplyLost, each with the kind of error only."""
        try:
            async with self._opened().request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                lowered = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, lowered, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # Connection refused, no such name, TLS refused, or no connection in time.
            raise NotSent(type(error).__name__) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise NotSent(type(error).__name__) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ReplyLost(type(error).__name__) from None

    async def close(self) -> None:
        """Close all connections; safe to repeat."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections, keepalive_timeout=KEPT_ALIVE_SECONDS
                ),
                timeout=self._timeout,
                auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session
