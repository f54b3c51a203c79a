"""What a daily run costs in a large shop, beside what the providers take; on both databases.

A million customers with ten million purchases, of whom 5,000 have newly lapsed and 20,000 have a
step that is due; a tenth waits for a turn, cut by the daily limit, and a fifth has been through
the campaign. Then the same day once more, an hour later, when nothing has changed. The providers
accept at once, so that all the time is ours. Each run is a process of its own, so that its peak
memory is its own. PostgreSQL comes from WINBACK_TEST_POSTGRES_URL, else from a package.

    python benchmarks/day.py --customers 100000 --purchases 1000000 --new 500 --due 2000
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from random import Random
from time import perf_counter, process_time
from typing import Any

from machine import KINDS, databases, wait_for_the_disk
from stored import NOW, Shares, fill

from winback import failpoints
from winback.business import Business
from winback.campaign.loading import load_campaigns
from winback.clock import SystemClock
from winback.database.engine import open_database
from winback.day import STAGES, Day
from winback.house import open_business
from winback.providers.outgoing import Accepted, Outgoing, Result
from winback.states import Channel, Mode

LIMITS = {"day": 60.0, "unchanged": 5.0, "detect": 10.0, "quiet detect": 1.0}
"""Seconds."""
MEMORY_LIMIT_MB = 400
REPOSITORY = Path(__file__).parent.parent
SOURCES = """\
sources:
  till:
    kind: files
    customers: {path: customers.csv, columns: {external_id: id}}
"""


class Mailbox:
    """A provider that accepts everything at once, and notes the time that it took."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.name = f"bench-{channel}"
        self.sent = 0

    async def send(self, message: Outgoing) -> Result:
        """Accept."""
        self.sent += 1
        return Accepted(message.send_id)

    async def close(self) -> None:
        """Close nothing."""


def make_home(home: Path) -> None:
    """Write the shipped example, with limits that let so many through."""
    shutil.copytree(REPOSITORY / "templates", home / "templates")
    shutil.copytree(REPOSITORY / "config", home / "config")
    (home / "config" / "sources.yaml").write_text(SOURCES, encoding="utf-8")
    (home / "customers.csv").write_text("id\n", encoding="utf-8")
    campaign = home / "config" / "campaigns" / "six-month.yaml"
    written = campaign.read_text(encoding="utf-8")
    campaign.write_text(
        written.replace("daily_limit: 500 ", "daily_limit: 5000 "), encoding="utf-8"
    )
    settings = home / "config" / "winback.yaml"
    written = settings.read_text(encoding="utf-8")
    settings.write_text(
        written.replace("{email: 2000, sms: 500}", "{email: 100000, sms: 100000}"),
        encoding="utf-8",
    )


def environ(home: Path, url: str) -> dict[str, str]:
    """Give the environment of a run."""
    return {"WINBACK_HOME": str(home), "WINBACK_DATABASE_URL": url, "WINBACK_SECRET": "bench" * 8}


def run_day(home: Path, url: str, hours: int) -> dict[str, Any]:
    """Run the stages of one day, and give what each took and counted."""
    wait_for_the_disk()
    with open_business(writes=True, home=home, environ=environ(home, url)) as (business, _):
        return asyncio.run(_stages(business, hours))


async def _stages(business: Business, hours: int) -> dict[str, Any]:
    senders = {channel: Mailbox(channel) for channel in (Channel.EMAIL, Channel.SMS)}
    day = Day(
        business,
        NOW + timedelta(hours=hours),
        SystemClock(),
        senders,
        rng=Random(1),
    )
    parts = Parts()
    failpoints.watch(parts.reached)
    told: dict[str, Any] = {"stages": {}, "counts": {}}
    for stage, run in STAGES.items():
        parts.begin()
        wall, own = perf_counter(), process_time()
        told["counts"][stage] = await run(day)
        told["stages"][stage] = (perf_counter() - wall, process_time() - own)
    told["parts"] = parts.seconds
    told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return told


class Parts:
    """Where the time goes: what passes between two points counts for the one that is reached."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._since = perf_counter()

    def begin(self) -> None:
        """Begin to count."""
        self._since = perf_counter()

    def reached(self, point: str) -> None:
        """Count the time since the last point."""
        now = perf_counter()
        self.seconds[point.removesuffix(".before_commit").removesuffix(".after_commit")] += (
            now - self._since
        )
        self._since = now


def measure(kind: str, url: str, home: Path, shares: Shares) -> bool:
    """Fill a database, run the day and the quiet day, print; says whether all limits hold."""
    begin = perf_counter()
    engine = open_database(url, Mode.SANDBOX, NOW)
    fill(engine, load_campaigns(home)[0], shares)
    engine.dispose()
    print(f"\n{kind}: {shares.customers:,} customers, {shares.purchases:,} purchases")
    print(f"  written in {perf_counter() - begin:.0f} s")
    day, quiet = _run_apart(home, url, 0), _run_apart(home, url, 1)
    return all((_tell("day", day), _tell("unchanged", quiet)))


def _tell(name: str, told: dict[str, Any]) -> bool:
    stages: dict[str, tuple[float, float]] = told["stages"]
    whole, own = (sum(one[place] for one in stages.values()) for place in (0, 1))
    detect_limit = LIMITS["quiet detect" if name == "unchanged" else "detect"]
    is_good = (
        whole < LIMITS[name]
        and stages["detect"][0] < detect_limit
        and told["peak_mb"] < MEMORY_LIMIT_MB
    )
    print(
        f"  {name}: {whole:.2f} s, {own:.2f} s of them in our process (limit {LIMITS[name]:.0f}); "
        f"peak {told['peak_mb']:.0f} MB (limit {MEMORY_LIMIT_MB}) {'' if is_good else 'TOO MUCH'}"
    )
    for stage, (wall, in_process) in stages.items():
        counts = ", ".join(f"{key} {value:,}" for key, value in told["counts"][stage].items())
        print(f"    {stage:<8} {wall:7.2f} s ({in_process:6.2f})  {counts}")
    parts = sorted(told["parts"].items(), key=lambda one: -one[1])
    print("    of it   ", ", ".join(f"{point} {took:.2f}" for point, took in parts if took > 0.05))
    return is_good


def _run_apart(home: Path, url: str, hours: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--run", str(home), url, str(hours)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    told: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return told


def main() -> int:
    """Measure both databases; 1 when a limit is missed."""
    options = _options()
    if options.run:
        home, url, hours = options.run
        print(json.dumps(run_day(Path(home), url, int(hours))))
        return 0
    shares = Shares(options.customers, options.purchases, options.new, options.due)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; limits in seconds {LIMITS}")
    is_good = True
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        make_home(home)
        with databases(Path(folder), options.databases) as server:
            for kind in options.databases:
                with server.fresh(kind) as url:
                    is_good = measure(kind, url, home, shares) and is_good
    return 0 if is_good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--purchases", type=int, default=10_000_000)
    parser.add_argument("--new", type=int, default=5_000)
    parser.add_argument("--due", type=int, default=20_000)
    parser.add_argument("--databases", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
