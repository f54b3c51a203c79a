"""A provider for the tests: keeps a record of all it was called with, and answers as told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from winback.providers.outgoing import Accepted, Outgoing, Result
from winback.states import Channel

Answer = Callable[[Outgoing], Result]


@dataclass(slots=True)
class FakeSender:
    """A sender that accepts everything, or answers what ``answer`` says."""

    channel: Channel
    answer: Answer | None = None
    sent: list[Outgoing] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    """The loop's time of each call."""
    takes: Callable[[Outgoing], float] = lambda _: 0.0
    """Seconds that a call takes."""
    most_at_once: int = 0
    _now: int = 0

    @property
    def name(self) -> str:
        """Name the provider."""
        return f"fake-{self.channel}"

    async def send(self, message: Outgoing) -> Result:
        """Keep the message and answer."""
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        self.sent_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes(message))
        self._now -= 1
        self.sent.append(message)
        if self.answer is not None:
            return self.answer(message)
        return Accepted(f"{self.channel}-{message.send_id[:12]}", segments=None)

    async def close(self) -> None:
        """Close nothing."""
