"""Posts to the receiver over kept connections; loaded with the first webhook.

aiohttp takes three quarters of the time in which stand-ins start, and many of them never report.
"""

from collections.abc import Mapping
from typing import Final

import aiohttp

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)


class Poster:
    """A client of the receiver; made in the running loop."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Post once; says whether it was taken. A redirect is not followed (SG-25)."""
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                await response.read()
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
