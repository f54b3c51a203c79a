"""The peer: django-post-office in one process, its mails taken by a bare SMTP sink.

Measured in the same run where it is installed (``make bench`` does that), else quoted from an
earlier measurement. It renders, queues, sends and records the same mails; its wire is SMTP.
"""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import Databases, beside
from outbox import run_child

THREADS = (1, 5, 16)
"""Five is its default."""
QUOTED = {"sqlite": 494.0, "postgresql": 437.0}
"""Mails a second, the upper ends of what was measured in November 2026: 10,000 templated mails of
4.4 KB, one process, 2 cores, Python 3.11, SMTP on loopback."""
_ENOUGH = 500


@dataclass(slots=True)
class Peer:
    """What it reaches on each database, and where that is known from."""

    source: str
    rates: dict[str, float] = field(default_factory=dict)

    def rate(self, kind: str) -> float:
        """Give its mails a second."""
        return self.rates[kind]


def best_of_peer(server: Databases, kinds: list[str], payloads: Path, count: int) -> Peer:
    """Find what it reaches in its best number of threads, rendering at its better moment."""
    if importlib.util.find_spec("post_office") is None:
        print(
            "django-post-office is not installed (make install-bench): its figures are quoted, of "
            "10,000 mails of 4.4 KB on two cores, November 2026"
        )
        return Peer("quoted, over SMTP", dict(QUOTED))
    peer = Peer(f"version {version('django-post-office')}, in this run, over SMTP")
    for kind in kinds:
        ways = [(threads, when) for when in ("later", "now") for threads in THREADS]
        few = min(count, max(_ENOUGH, count // 5))
        tried = {way: _run(server, kind, payloads, count=few, way=way) for way in ways}
        best = max(tried, key=lambda way: tried[way]["rate"])
        found = _run(server, kind, payloads, count=count, way=best)
        # The best of all its runs, also of a short one: so noise speaks for it.
        peer.rates[kind] = max(one["rate"] for one in (found, *tried.values()))
        shown = ", ".join(f"{way[0]} {way[1]}: {one['rate']:,.0f}" for way, one in tried.items())
        beside(
            f"django-post-office, {kind}",
            f"{found['rate']:,.0f}/s   ({count:,} mails, of it queueing {found['queued']:.1f} of "
            f"{found['seconds']:.1f} s, processor {found['own']:.1f} s, its sink's "
            f"{found['sink']:.1f} s; tried with threads and rendering {shown})",
        )
    return peer


def _run(
    server: Databases, kind: str, payloads: Path, *, count: int, way: tuple[int, str]
) -> dict[str, Any]:
    threads, when = way
    sink: dict[str, Any] = {}
    with server.fresh(kind) as url, _sink(sink) as port:
        words = (url, str(payloads), str(count), str(port), str(threads), when)
        found = run_child("peer_worker.py", *words, environment=os.environ)
    assert sink["taken"] == count
    return found | {"rate": count / found["seconds"], "sink": sink["own"]}


@contextmanager
def _sink(found: dict[str, Any]) -> Iterator[int]:
    """Give the port of a sink; what it took stands in ``found`` after the block."""
    command = [sys.executable, str(Path(__file__).with_name("smtp_sink.py"))]
    with subprocess.Popen(  # noqa: S603 - our own script
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as sink:
        assert sink.stdout is not None
        yield int(json.loads(sink.stdout.readline())["port"])
        rest, _ = sink.communicate()
        found |= json.loads(rest)
