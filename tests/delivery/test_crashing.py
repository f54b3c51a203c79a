"""A process that dies hard around a call: nothing goes twice, nothing is lost (P1, P2)."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import Engine

from tests.conftest import NOW
from tests.delivery.shop import Shop, make_business
from winback.database.engine import make_engine
from winback.providers.outgoing import Outgoing, Result
from winback.states import MessageState

ROOT = Path(__file__).parent.parent.parent


def die_at(database_url: str, record: str, when: str) -> None:
    """Send as a worker process does, and die in the call: before or after it was accepted."""
    engine: Engine = make_engine(database_url)
    shop = Shop(make_business(engine))

    def answer(message: Outgoing) -> NoReturn:
        if when == "after":
            with Path(record).open("a", encoding="ascii") as kept:
                kept.write(f"{message.send_id}\n")
        os._exit(9)

    shop.mail.answer = answer
    shop.send()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_dies_in_the_call_sends_nothing_twice(
    shop: Shop, database_url: str, tmp_path: Path, when: str
) -> None:
    """The row is listed as in doubt, the step is never sent again, and the others go out."""
    record = tmp_path / "accepted"
    ids = [shop.enroll() for _ in range(3)]
    code = "import sys; from tests.delivery.test_crashing import die_at; die_at(*sys.argv[1:])"
    command = [sys.executable, "-c", code, database_url, str(record), when]
    worker = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - our own interpreter
    assert worker.returncode == 9

    at_once = shop.send()
    looked_for = {one.look_at for one in shop.messages()}
    shop.now = NOW + timedelta(hours=24)
    later = shop.send()

    # The dead worker had claimed all three; each is in doubt, for nobody knows, and is listed by
    # the very next run (FACTS.md DS-10).
    assert (at_once.accepted, at_once.unconfirmed) == (0, 3)
    assert (later.accepted, later.unconfirmed) == (0, 0)
    assert looked_for == {NOW + timedelta(minutes=1)}
    assert shop.mail.sent == []
    assert {one.state for one in shop.messages()} == {MessageState.UNCONFIRMED}
    assert all(shop.passages(one) == {"concern": "unconfirmed"} for one in ids)


def test_an_interrupted_run_gives_back_what_was_not_called(shop: Shop) -> None:
    """Ctrl-C in the middle: calls on their way are in doubt, the others are owed again (P2)."""

    def answer(_: Outgoing) -> Result:
        raise KeyboardInterrupt

    for _ in range(3):
        shop.enroll()
    shop.mail.answer = answer
    with pytest.raises(KeyboardInterrupt):
        shop.send()

    states = sorted(one.state for one in shop.messages())
    assert MessageState.SENDING not in states
    shop.mail.answer = None
    shop.now += timedelta(minutes=15)
    shop.send()
    assert all(
        one.state in (MessageState.ACCEPTED, MessageState.UNCONFIRMED) for one in shop.messages()
    )
