"""Several real worker processes at one outbox: each message leaves once (P1, P2, P12, DS-9)."""

import asyncio
import subprocess
import sys
from pathlib import Path
from random import Random

from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.delivery.shop import HOME, Shop, make_business
from winback.clock import SystemClock
from winback.database.engine import make_engine
from winback.database.tables import ChannelDay, Worker
from winback.delivery.sending import send_due
from winback.providers.sendgrid import SendGridSender
from winback.sandbox.faults import FaultPlan
from winback.sandbox.stand_ins import stand_ins
from winback.states import Channel, MessageState

MESSAGES = 300


def work(database_url: str, url: str, api_key: str, in_flight: str) -> None:
    """Be a worker: send what is due, and say how much that was."""
    engine = make_engine(database_url)
    shop = Shop(make_business(engine))
    shop.limit(in_flight=int(in_flight))

    async def send() -> int:
        sender = SendGridSender(api_key, clock=SystemClock(), base_url=url)
        try:
            counts = await send_due(
                shop.business,
                {Channel.EMAIL: sender},
                now=shop.now,
                is_present=False,
                clock=SystemClock(),
                rng=Random(),  # noqa: S311 - each worker has chances of its own
            )
        finally:
            await sender.close()
        return counts.accepted

    print(asyncio.run(send()))  # noqa: T201 - what the test reads
    engine.dispose()


def test_three_processes_share_one_outbox(shop: Shop, database_url: str, tmp_path: Path) -> None:
    """No duplicate, nothing lost, and no worker hears that the database is locked."""
    for _ in range(MESSAGES):
        shop.enroll()
    code = "import sys; from tests.delivery.test_workers import work; work(*sys.argv[1:])"
    with stand_ins(tmp_path / "record.db", clock=SystemClock()) as stand:
        stand.faults = FaultPlan(latency_seconds=0.02)
        command = [database_url, stand.sendgrid_url, stand.credentials.api_key, "16"]
        workers = [
            subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", code, *command],
                cwd=HOME,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        said = [worker.communicate(timeout=300) for worker in workers]
        mails = stand.record.mails()

    assert [
        (worker.returncode, errors) for worker, (_, errors) in zip(workers, said, strict=True)
    ] == [(0, "")] * 3
    assert sum(int(accepted) for accepted, _ in said) == MESSAGES
    assert len({mail.to_address for mail in mails}) == len(mails) == MESSAGES
    assert {one.state for one in shop.messages()} == {MessageState.ACCEPTED}
    with Session(shop.engine) as session:
        assert session.scalars(select(ChannelDay.claimed)).all().count(MESSAGES) == 1
        assert None not in session.scalars(select(Worker.ended_at)).all()
