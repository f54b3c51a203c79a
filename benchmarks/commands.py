"""How long a person or a schedule waits: ``--help``, an unchanged run, the same as a flow.

Floors, measured in the same run: a bare interpreter start, and an empty async Prefect flow on the
same server. Prints medians of the seconds waited, and beside them those of the processor, which
other work on the machine disturbs less; run it on an otherwise idle machine all the same.
"""

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from winback.dashboard import dashboard

REPOSITORY = Path(__file__).parent.parent
CUSTOMERS = 200
EMPTY_FLOW = """
import asyncio, time
from prefect import flow

@flow(name="empty")
async def empty():
    return None

async def main():
    await empty()
    took = []
    for _ in range(5):
        began = time.perf_counter()
        await empty()
        took.append(time.perf_counter() - began)
    print(sorted(took)[2])

asyncio.run(main())
"""
OUR_FLOW = """
import asyncio, time
from winback.house import open_day

async def main():
    async with open_day(by="flow") as day:
        from winback.orchestration import run_reactivate

        await run_reactivate(day)
        took = []
        for _ in range(5):
            began = time.perf_counter()
            await run_reactivate(day)
            took.append(time.perf_counter() - began)
        print(sorted(took)[2])

asyncio.run(main())
"""


def make_project(home: Path) -> None:
    """Write a small project: two hundred customers with two purchases each."""
    for folder in ("config", "templates", "flows"):
        shutil.copytree(REPOSITORY / folder, home / folder)
    (home / "data").mkdir()
    customers = ["id,first,email,news"]
    orders = ["order_no,customer_id,date,total"]
    for number in range(CUSTOMERS):
        customers.append(f"{number},Ann,ann.{number}@example.com,yes")
        orders += [f"{number}-{n},{number},2025-0{n + 1}-03,20.00" for n in range(2)]
    (home / "data" / "customers.csv").write_text("\n".join(customers) + "\n", encoding="utf-8")
    (home / "data" / "orders.csv").write_text("\n".join(orders) + "\n", encoding="utf-8")
    (home / "config" / "sources.yaml").write_text(
        """\
sources:
  till:
    kind: files
    customers:
      path: data/customers.csv
      columns: {external_id: id, given_name: first, email: email, email_consent: news}
    purchases:
      path: data/orders.csv
      columns: {external_id: order_no, customer: customer_id, purchased_at: date, amount: total}
""",
        encoding="utf-8",
    )


@dataclass(frozen=True, slots=True)
class Took:
    """The medians of some calls, in seconds: waited, and of the processor in child processes."""

    waited: float
    processor: float


def median(times: int, work: Callable[[], object]) -> Took:
    """Time so many calls, each of which runs a child process."""
    waited, processor = [], []
    for _ in range(times):
        began, used = perf_counter(), _processor_seconds()
        work()
        waited.append(perf_counter() - began)
        processor.append(_processor_seconds() - used)
    return Took(statistics.median(waited), statistics.median(processor))


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "shop"
        home.mkdir()
        make_project(home)
        environment = {**os.environ, "WINBACK_HOME": str(home)}
        environment.pop("PREFECT_API_URL", None)

        def call(*words: str, **more: str) -> str:
            done = subprocess.run(  # noqa: S603 - our own interpreter
                [sys.executable, *words],
                env=environment | more,
                check=True,
                capture_output=True,
                text=True,
            )
            return done.stdout

        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        bare = median(5, lambda: call("-c", "pass"))
        helped = median(5, lambda: call("-m", "winback", "--help"))
        first = json.loads(call("-m", "winback", "run", "--json"))
        again = median(5, lambda: call("-m", "winback", "run", "--json"))
        with dashboard(Path(folder) / "prefect") as server:
            empty, ours = (
                float(call("-c", script, **server.environment).splitlines()[-1])
                for script in (EMPTY_FLOW, OUR_FLOW)
            )
        beside_help = f"processor {helped.processor:.2f}; bare Python {bare.waited:.2f}"
        beside_run = f"processor {again.processor:.2f}; {first['pull']['read']} rows known"
        within = [
            told("winback --help", helped.waited, 0.3, beside_help),
            told("winback run, unchanged", again.waited, 2.0, beside_run),
            told("the day as a flow, beyond", ours - empty, 1.0, f"an empty one takes {empty:.2f}"),
        ]
    if not all(within):
        sys.exit("a limit was not kept")


def told(what: str, seconds: float, limit: float, beside: str) -> bool:
    """Print one line, and say whether the limit was kept."""
    is_kept = seconds <= limit
    verdict = "kept" if is_kept else "NOT KEPT"
    print(f"{what:28}{seconds:6.2f} s   limit {limit:.1f}: {verdict}   ({beside})")
    return is_kept


if __name__ == "__main__":
    main()
