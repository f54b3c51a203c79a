"""Whether 100,000 messages cost a hundred times what 1,000 do: memory, time, a second worker.

- One worker, 256 calls in flight, a provider that answers at once: its memory at 10, 50 and 100 %
  of the messages lies within 50 MB, and the second half leaves as fast as the first.
- A provider that takes 80 ms and 32 calls in flight: two worker processes on one database against
  one. PostgreSQL is the one for several workers; SQLite, which has one writer at a time, is
  printed beside it.

    python benchmarks/scale.py --messages 2000 --shared 1000
"""

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from machine import KINDS, Databases, beside, conditions, databases, told
from outbox import Child, environ, fill_due, judge, make_home, measured, run_child

from winback.sandbox.faults import FaultPlan
from winback.sandbox.stand_ins import stand_ins_apart
from winback.states import Channel

LATENCY_SECONDS = 0.08
MANY_IN_FLIGHT = 256
FEW_IN_FLIGHT = 32
MEMORY_LIMIT_MB = 50
LINEAR_FLOOR = 0.9
"""The second half's messages a second, of the first's."""
TWO_FLOOR = 1.7
"""Times one worker, by two with 32 in flight each."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What all workers of one run came to."""

    rate: float
    stand: float
    """Processor seconds of the stand-in."""
    workers: list[dict[str, Any]]
    planned: float
    is_whole: bool

    def __str__(self) -> str:
        own = ", ".join(f"{one['own']:.1f}" for one in self.workers)
        accepted = ", ".join(f"{one['counts']['accepted']:,}" for one in self.workers)
        return (
            f"accepted {accepted}; processor {own} s, the stand-in's {self.stand:.1f} s, "
            f"queued in {self.planned:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """Where all runs take place."""

    folder: Path
    server: Databases

    def send(self, kind: str, count: int, *, workers: int, in_flight: int, latency: float) -> Sent:
        """Queue so many mails in a fresh database, and let so many workers send them."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder)))
            home = folder / "home"
            home.mkdir()
            make_home(home, in_flight)
            url = stack.enter_context(self.server.fresh(kind))
            fill_due(home, url, count, Channel.EMAIL)
            stand = stack.enter_context(stand_ins_apart(folder / "record.db"))
            stand.faults = FaultPlan(latency_seconds=latency)
            environment = environ(home, url, stand)
            planned = run_child("worker.py", "plan", environment=environment)
            children = [
                stack.enter_context(Child("worker.py", "send", environment=environment))
                for _ in range(workers)
            ]
            with measured(stand) as spent:
                began = perf_counter()
                for child in children:
                    child.go()
                found = [child.result() for child in children]
                rate = count / (perf_counter() - began)
            is_whole = judge(folder / "record.db", url).is_whole(count)
            is_whole = is_whole and sum(one["counts"]["accepted"] for one in found) == count
        return Sent(rate, spent[0], found, planned["seconds"], is_whole)


def measure_many(bench: Bench, kind: str, count: int) -> bool:
    """Send all with one worker; says whether memory is flat and time linear."""
    print(f"\n{bench.server.version(kind)}: {count:,} mails, one worker", flush=True)
    sent = bench.send(kind, count, workers=1, in_flight=MANY_IN_FLIGHT, latency=0)
    worker = sent.workers[0]
    marks = [worker["marks"][share] for share in ("0.1", "0.5", "1.0")]
    memory = [mark["mb"] for mark in marks]
    _, half, whole = (mark["seconds"] for mark in marks)
    _, half_own, whole_own = (mark["own"] for mark in marks)
    spread = max(memory) - min(memory)
    is_flat = spread <= MEMORY_LIMIT_MB
    shown = ", ".join(f"{one:.0f}" for one in memory)
    print(
        f"  memory at 10, 50, 100 %: {shown} MB; between them {spread:.0f} MB, limit "
        f"{MEMORY_LIMIT_MB}: {'kept' if is_flat else 'NOT KEPT'}   (peak {worker['peak_mb']:.0f})"
    )
    ratio = half / (whole - half)
    own = f"by the worker's processor seconds {half_own / (whole_own - half_own):.2f}"
    is_linear = told("second half's rate, of the first's", ratio, LINEAR_FLOOR, beside=own)
    beside("mails a second", f"{sent.rate:,.0f}/s   ({sent})")
    return sent.is_whole and is_flat and is_linear


def measure_two(bench: Bench, kind: str, count: int) -> bool:
    """Send the same with one worker and with two; says whether two are worth it."""
    print(
        f"\n{bench.server.version(kind)}: {count:,} mails at 80 ms, 32 in flight each", flush=True
    )
    one, two = (
        bench.send(kind, count, workers=many, in_flight=FEW_IN_FLIGHT, latency=LATENCY_SECONDS)
        for many in (1, 2)
    )
    beside("one worker", f"{one.rate:,.0f}/s   ({one})")
    beside("two workers", f"{two.rate:,.0f}/s   ({two})")
    ratio, is_whole = two.rate / one.rate, one.is_whole and two.is_whole
    if kind == "sqlite":
        beside("two, times one", f"{ratio:.2f}x   (no floor: one process writes at a time)")
        return is_whole
    return told("two, times one", ratio, TWO_FLOOR, unit="x") and is_whole


def main() -> int:
    """Measure both databases; 1 when a limit is missed."""
    options = _options()
    print(conditions())
    folder = Path(tempfile.mkdtemp())
    try:
        with databases(folder, options.databases) as server:
            bench = Bench(folder, server)
            kept = [measure_many(bench, kind, options.messages) for kind in options.databases]
            kept += [measure_two(bench, kind, options.shared) for kind in options.databases]
    finally:
        shutil.rmtree(folder)
    return 0 if all(kept) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--shared", type=int, default=10_000, help="messages for two workers")
    parser.add_argument("--databases", nargs="+", default=list(KINDS), choices=KINDS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
