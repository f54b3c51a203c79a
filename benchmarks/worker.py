"""A process that plans or sends what is due, as ``winback send`` does, and says what that took.

    python benchmarks/worker.py plan|send|capture [FILE]

``plan`` queues what is due and calls nobody; ``send`` is the whole stage; ``capture`` writes the
payloads that would leave into a file, one a line, and accepts them. The environment is that of
``winback`` itself.
"""

import asyncio
import gc
import json
import resource
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import orjson
from machine import wait_for_the_disk
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from stored import NOW

from winback import failpoints
from winback.database.engine import salt_of
from winback.database.tables import Message
from winback.day import Day, send
from winback.delivery.queueing import queue_due
from winback.delivery.run import Run
from winback.house import open_day
from winback.providers.outgoing import Accepted, Outgoing, OutgoingEmail, Result
from winback.providers.sendgrid import write_mail
from winback.states import Channel, MessageState

MARKS = (0.1, 0.5, 1.0)
"""At these shares of the messages the memory is looked at."""
_PAGE_BYTES = resource.getpagesize()


class Marks:
    """Time, processor seconds and memory when so many of the calls were answered."""

    def __init__(self, count: int) -> None:
        self._at = {max(1, int(count * share)): share for share in MARKS}
        self._calls = 0
        self._began = perf_counter(), process_time()
        self.found: dict[str, dict[str, float]] = {}

    def reached(self, point: str) -> None:
        """Count one answer."""
        if not point.endswith(".after_call"):
            return
        self._calls += 1
        if (share := self._at.get(self._calls)) is not None:
            wall, own = self._began
            self.found[str(share)] = {
                "seconds": perf_counter() - wall,
                "own": process_time() - own,
                "mb": resident_mb(),
            }


def resident_mb() -> float:
    """Give the memory that this process holds right now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * _PAGE_BYTES / 1024**2


class Capturing:
    """A provider that accepts everything and keeps what it was given."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.name = f"bench-{channel}"
        self.kept: list[bytes] = []

    async def send(self, message: Outgoing) -> Result:
        """Keep and accept."""
        if isinstance(message, OutgoingEmail):
            self.kept.append(write_mail(message))
        else:
            self.kept.append(orjson.dumps(asdict(message)))
        return Accepted(message.send_id)

    async def close(self) -> None:
        """Close nothing."""


async def _plan(day: Day) -> dict[str, Any]:
    with Session(day.business.engine) as session:
        salt = salt_of(session)
    providers = {channel: sender.name for channel, sender in day.senders.items()}
    return asdict(queue_due(Run(day.business, day.now(), day.rng, providers, salt)))


async def _capture(day: Day, file: Path) -> dict[str, Any]:
    senders = {channel: Capturing(channel) for channel in day.senders}
    counts = await send(replace(day, senders=senders))
    kept = [line for sender in senders.values() for line in sender.kept]
    await asyncio.to_thread(file.write_bytes, b"\n".join(kept))
    return counts


async def _timed(work: Callable[[], Awaitable[Mapping[str, Any]]]) -> dict[str, Any]:
    wall, own = perf_counter(), process_time()
    counts = await work()
    return {
        "seconds": perf_counter() - wall,
        "own": process_time() - own,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "counts": counts,
    }


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


async def _main() -> None:
    what, *words = sys.argv[1:]
    wait_for_the_disk()
    async with open_day(NOW.isoformat()) as day:
        with Session(day.business.engine) as session:
            queued = session.scalar(
                select(func.count()).where(Message.state == MessageState.QUEUED)
            )
        _say({"queued": queued})
        sys.stdin.readline()
        marks = Marks(queued or 0)
        if what == "plan":
            found = await _timed(lambda: _plan(day))
        elif what == "capture":
            found = await _timed(lambda: _capture(day, Path(words[0])))
        else:
            failpoints.watch(marks.reached)
            found = await _timed(lambda: send(day))
            failpoints.watch(None)
        _say(found | {"marks": marks.found})


if __name__ == "__main__":
    gc.set_threshold(50_000, 10, 10)  # As the command line does.
    asyncio.run(_main())
