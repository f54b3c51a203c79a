"""Two customers turn out to be one while one of them is being called (P1, P2)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tests.simulation.provider import Provider
from tests.simulation.test_year import play
from tests.simulation.town import Person, Town
from winback.database.tables import Customer, Enrollment, Message, SourceCustomer, StepPassage
from winback.enrollment.merging import merge_customers
from winback.providers.outgoing import Outgoing, Result

SURELY_NOT_SENT = (0, 0, 2, 2, 1, 0, 0)
"""Weights of the faults (``provider.FAULTS``) that leave nobody in doubt, nor a channel closed."""


class Interrupted(Provider):
    """A provider that is slow enough for something to happen before its answer is heard."""

    meanwhile: Callable[[Outgoing], None]

    async def send(self, message: Outgoing) -> Result:
        """Take the message or not; what happens meanwhile happens before anybody knows."""
        result = await super().send(message)
        self.meanwhile(message)
        return result


def known(session: Session, person: Person) -> int | None:
    """Give the customer that a source's person is, once it was pulled."""
    return session.scalar(
        select(SourceCustomer.customer_id).where(
            SourceCustomer.source == person.source,
            SourceCustomer.external_id == str(person.number),
        )
    )


def person(session: Session, customer_id: int) -> int:
    """Give whom a customer was made one with."""
    into = session.scalar(select(Customer.merged_into).where(Customer.id == customer_id))
    return customer_id if into is None else person(session, into)


def meet(town: Town, message: Outgoing) -> bool:
    """Let a pull of another process find that who is called for has an account elsewhere."""
    with Session(town.engine) as session, session.begin():
        called = session.scalar(
            select(Message.customer_id).where(Message.send_id == message.send_id)
        )
        for account in town.persons:
            one, other = known(session, account.same_as or account), known(session, account)
            if one is None or other is None or one == other or called not in (one, other):
                continue
            town.merge(account)
            settings = town.business.settings.business
            zone, currency = settings.zone, settings.currency
            merge_customers(session, one, other, now=town.now, zone=zone, currency=currency)
            return True
    return False


@pytest.mark.parametrize("seed", [9])
def test_what_was_being_called_is_neither_sent_twice_nor_lost(
    seed: int, tmp_path: Path, sqlite_engine: Engine
) -> None:
    """P1, P2: half of these calls surely come to nothing, and nobody is said to have had those."""
    town = Town(seed, tmp_path / "home", sqlite_engine, people=8, accounts=4, lapses_within=5)
    met: list[Outgoing] = []
    for channel, usual in town.providers.items():
        provider = Interrupted(
            usual.channel, usual.rng, usual.now, usual.ask, faults=0.5, weights=SURELY_NOT_SENT
        )
        provider.meanwhile = lambda message: met.append(message) if meet(town, message) else None
        town.providers[channel] = provider

    promises = play(town, days=32)

    assert met
    taken = {one.send_id for provider in town.providers.values() for one in provider.taken}
    with Session(sqlite_engine) as session:
        got = {
            (person(session, promises.calls[send_id].customer_id), promises.calls[send_id].step)
            for send_id in taken
        }
        told = session.execute(
            select(Enrollment.customer_id, StepPassage.step)
            .join(Enrollment, Enrollment.id == StepPassage.enrollment_id)
            .where(StepPassage.why.startswith("sent before"))
        )
        assert {(person(session, customer_id), step) for customer_id, step in told} <= got
