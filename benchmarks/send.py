"""How fast messages leave: one worker process, the stand-ins in a process apart, both databases.

- A provider that takes 80 ms, 256 calls in flight: mails of the shipped templates claimed,
  rendered, sent and recorded, against SendGrid's own client in its best pool of threads, over
  plain HTTP and with the same payloads ready; texts against Twilio's own.
- A provider that answers at once: mails queued, sent and recorded, against django-post-office in
  one process. Its wire is SMTP, ours HTTP with JSON.
- Beside these: the share of what bare kept connections reach (same payloads, nothing rendered,
  claimed or recorded), and the ratio to SendGrid's client over TLS.

Every run is judged by the stand-in's record: as many mails as messages, and each row accepted.

    python benchmarks/send.py --messages 500 --official 200
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from certificate import make_bundle, make_certificate
from machine import KINDS, Databases, beside, conditions, databases, told
from outbox import environ, fill_due, judge, make_home, measured, run_child
from peer import Peer, best_of_peer

from winback.sandbox.faults import FaultPlan
from winback.sandbox.stand_ins import Sandbox, stand_ins_apart
from winback.states import Channel

LATENCY_SECONDS = 0.08
IN_FLIGHT = 256
POOLS = (32, 64, 128, 256)
RATE_FLOOR = 1_000
"""Mails a second at 80 ms, on two cores."""
CLIENT_FLOOR = 2.0
"""Times SendGrid's own client, at 80 ms."""
PEER_FLOOR = 4.0
"""Times django-post-office, at 0 ms."""
PAYLOADS = 500
"""So many payloads are taken in turn where nothing is rendered."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one run came to."""

    count: int
    seconds: float
    own: float
    """Processor seconds of the process that sends."""
    stand: float
    """Processor seconds of the stand-in."""
    planned: float = 0.0
    """Seconds that queueing took, before."""
    is_whole: bool = True

    @property
    def rate(self) -> float:
        """Messages a second, sent and recorded."""
        return self.count / self.seconds

    @property
    def whole_rate(self) -> float:
        """Messages a second with queueing."""
        return self.count / (self.seconds + self.planned)

    def __str__(self) -> str:
        return (
            f"{self.count:,} in {self.seconds:.1f} s; processor {self.own:.1f} s, "
            f"the stand-in's {self.stand:.1f} s"
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """Where all runs take place."""

    folder: Path
    home: Path
    server: Databases
    count: int
    official: int
    pools: Sequence[int]

    @contextmanager
    def stand(self, latency: float, certificate: Path | None = None) -> Iterator[Sandbox]:
        """Start stand-ins with a record of their own."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            record = Path(folder) / "record.db"
            with stand_ins_apart(record, certificate=certificate) as stand:
                stand.faults = FaultPlan(latency_seconds=latency)
                yield stand

    def send(
        self, kind: str, channel: Channel, latency: float, tls: tuple[Path, Path] | None = None
    ) -> Found:
        """Queue and send all that is due in a fresh database."""
        certificate, bundle = tls or (None, None)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder, self.server.fresh(kind) as url:
            fill_due(self.home, url, self.count, channel)
            record = Path(folder) / "record.db"
            with stand_ins_apart(record, certificate=certificate) as stand:
                stand.faults = FaultPlan(latency_seconds=latency)
                environment = environ(self.home, url, stand) | _trusting(bundle)
                planned = run_child("worker.py", "plan", environment=environment)
                with measured(stand) as spent:
                    sent = run_child("worker.py", "send", environment=environment)
                judged = judge(record, url)
        return Found(
            self.count,
            sent["seconds"],
            sent["own"],
            spent[0],
            planned["seconds"],
            is_whole=judged.is_whole(self.count),
        )

    def capture(self, channel: Channel) -> Path:
        """Write some of the payloads that winback sends into a file."""
        file = self.folder / f"{channel}.payloads"
        with self.server.fresh("sqlite") as url, self.stand(0) as stand:
            fill_due(self.home, url, min(self.count, PAYLOADS), channel)
            environment = environ(self.home, url, stand)
            run_child("worker.py", "capture", str(file), environment=environment)
        return file

    def post(
        self,
        what: str,
        payloads: Path,
        at_once: int,
        *,
        latency: float,
        count: int,
        tls: tuple[Path, Path] | None = None,
    ) -> Found:
        """Post ready payloads by the bare floor or a vendor's own client."""
        certificate, bundle = tls or (None, None)
        with self.stand(latency, certificate) as stand, measured(stand) as spent:
            environment = environ(self.home, "sqlite://", stand) | _trusting(bundle)
            words = (what, str(payloads), str(count), str(at_once))
            found = run_child("posting.py", *words, environment=environment)
            assert found["accepted"] == count == stand.calls
        return Found(count, found["seconds"], found["own"], spent[0])

    def best(self, what: str, payloads: Path) -> "Client":
        """Find the pool of threads in which a vendor's client is quickest."""
        found = {pool: self.client(what, payloads, pool) for pool in self.pools}
        shown = ", ".join(f"{pool}: {one.rate:,.0f}/s" for pool, one in found.items())
        beside(f"{what}'s own client, threads", shown)
        pool = max(found, key=lambda one: found[one].rate)
        return Client(what, payloads, pool, found[pool].rate)

    def client(self, what: str, payloads: Path, pool: int) -> Found:
        """Let a vendor's client send in so many threads."""
        return self.post(what, payloads, pool, latency=LATENCY_SECONDS, count=self.official)


@dataclass(frozen=True, slots=True)
class Client:
    """A vendor's own client in its best pool of threads."""

    what: str
    payloads: Path
    pool: int
    rate: float

    def rate_now(self, bench: Bench) -> float:
        """Measure it again, right beside ours; gives the better of both times."""
        return max(self.rate, bench.client(self.what, self.payloads, self.pool).rate)


@dataclass(frozen=True, slots=True)
class Against:
    """What both databases are held against, measured once."""

    sendgrid: Client
    twilio: Client
    tls: Found
    bare: Mapping[float, Found]
    keys: tuple[Path, Path]


def measure_others(bench: Bench, certificate: Path, bundle: Path) -> Against:
    """Measure the bare floor and the vendors' own clients."""
    mails, texts = bench.capture(Channel.EMAIL), bench.capture(Channel.SMS)
    lines = mails.read_bytes().split(b"\n")
    print(f"payloads: {sum(map(len, lines)) / len(lines) / 1024:.1f} KB a mail, the mean")
    bare = {
        latency: bench.post("floor", mails, IN_FLIGHT, latency=latency, count=bench.count)
        for latency in (LATENCY_SECONDS, 0.0)
    }
    for latency, one in bare.items():
        beside(f"bare posts at {latency * 1000:.0f} ms", f"{one.rate:,.0f}/s   ({one})")
    sendgrid, twilio = bench.best("sendgrid", mails), bench.best("twilio", texts)
    keys = (certificate, bundle)
    tls = max(
        (
            bench.post(
                "sendgrid",
                mails,
                threads,
                latency=LATENCY_SECONDS,
                count=max(20, bench.official // 20),
                tls=keys,
            )
            for threads in (16, 64)
        ),
        key=lambda one: one.rate,
    )
    beside("sendgrid's own client over TLS", f"{tls.rate:,.0f}/s   ({tls})")
    return Against(sendgrid, twilio, tls, bare, keys)


def measure(bench: Bench, kind: str, against: Against, peer: Peer) -> bool:
    """Measure one database, print, and say whether all floors hold."""
    print(f"\n{bench.server.version(kind)}", flush=True)
    slow = bench.send(kind, Channel.EMAIL, LATENCY_SECONDS)
    client = against.sendgrid.rate_now(bench)
    kept = [
        slow.is_whole,
        told("mails a second at 80 ms", slow.rate, RATE_FLOOR, unit="/s", beside=str(slow)),
        told(
            "times sendgrid's own client",
            slow.rate / client,
            CLIENT_FLOOR,
            unit="x",
            beside=f"theirs {client:,.0f}/s in {against.sendgrid.pool} threads",
        ),
    ]
    beside("of the bare posts at 80 ms", f"{slow.rate / against.bare[LATENCY_SECONDS].rate:.0%}")
    quick = bench.send(kind, Channel.EMAIL, 0)
    theirs = peer.rate(kind)
    kept += [
        quick.is_whole,
        told(
            "times django-post-office, 0 ms",
            quick.whole_rate / theirs,
            PEER_FLOOR,
            unit="x",
            beside=f"{quick.whole_rate:,.0f}/s, theirs {theirs:,.0f}/s; {peer.source}",
        ),
    ]
    beside("of it queueing", f"{quick.planned:.1f} s; then {quick}; {quick.rate:,.0f}/s")
    beside("of the bare posts at 0 ms", f"{quick.rate / against.bare[0.0].rate:.0%}")
    kept += _measure_beside(bench, kind, against)
    return all(kept)


def _measure_beside(bench: Bench, kind: str, against: Against) -> list[bool]:
    """Measure what has no floor; says whether each run was whole."""
    over_tls = bench.send(kind, Channel.EMAIL, LATENCY_SECONDS, against.keys)
    ratio = over_tls.rate / against.tls.rate
    beside("times that client over TLS", f"{ratio:.1f}x   ({over_tls.rate:,.0f}/s; {over_tls})")
    texts = bench.send(kind, Channel.SMS, LATENCY_SECONDS)
    ratio = texts.rate / against.twilio.rate_now(bench)
    beside("texts, times twilio's own client", f"{ratio:.1f}x   ({texts.rate:,.0f}/s; {texts})")
    return [over_tls.is_whole, texts.is_whole]


def _trusting(bundle: Path | None) -> dict[str, str]:
    return {} if bundle is None else {"SSL_CERT_FILE": str(bundle)}


def main() -> int:
    """Measure everything; 1 when a floor is not kept."""
    options = _options()
    print(conditions())
    folder = Path(tempfile.mkdtemp())
    try:
        home = folder / "home"
        home.mkdir()
        make_home(home, IN_FLIGHT)
        with databases(folder, options.databases) as server:
            bench = Bench(folder, home, server, options.messages, options.official, options.pools)
            certificate = make_certificate(folder)
            against = measure_others(bench, certificate, make_bundle(folder, certificate))
            mails = folder / f"{Channel.EMAIL}.payloads"
            peer = best_of_peer(server, options.databases, mails, options.peer)
            kept = [measure(bench, kind, against, peer) for kind in options.databases]
    finally:
        shutil.rmtree(folder)
    return 0 if all(kept) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--official", type=int, default=3_000, help="messages by vendors' clients")
    parser.add_argument("--peer", type=int, default=10_000, help="mails by django-post-office")
    parser.add_argument("--pools", type=int, nargs="+", default=list(POOLS))
    parser.add_argument("--databases", nargs="+", default=list(KINDS), choices=KINDS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
