"""Two customers become one while a message to one of them is on its way (P1, P2)."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from tests.delivery.fakes import FakeSender
from tests.delivery.shop import DAY, Shop, make_business
from tests.enrollment.test_merging import accepted, codes_of, days_pass, merge
from tests.locks import behind
from winback.database.tables import Customer, Enrollment
from winback.delivery.answers import queue_answer
from winback.delivery.claiming import claim
from winback.delivery.composing import Claimed
from winback.delivery.leases import begin_worker
from winback.delivery.queueing import _plan, queue_due
from winback.delivery.recording import record_results
from winback.delivery.results import Called
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.merging import merge_customers
from winback.enrollment.moving import move
from winback.providers.outgoing import Accepted, Busy, Outgoing, Refused, Result, Unclear
from winback.states import Channel, EnrollmentState, MessageState, VoucherState

S = MessageState
SMS, EMAIL = Channel.SMS, Channel.EMAIL
BUSY = Busy(None, "429 busy")
NO_MOBILE = Refused("21614", "not a mobile number", "address_invalid")


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """Give the shipped example on a test's database."""
    return Shop(make_business(engine))


def send_meanwhile(
    shop: Shop, sender: FakeSender, meanwhile: Callable[[], object], result: Result
) -> None:
    """Send; something happens while the first message is being called."""

    def answer(_: Outgoing) -> Result:
        sender.answer = None
        meanwhile()
        return result

    sender.answer = answer
    shop.send()


@pytest.mark.parametrize("result", [BUSY, NO_MOBILE])
def test_what_goes_back_is_not_sent_to_who_has_it(shop: Shop, result: Result) -> None:
    """P1: the older one's text surely was not sent, and the younger one had it yesterday."""
    younger = shop.enroll(next_step="check-in")
    shop.send()
    shop.now += DAY
    older = shop.enroll(next_step="check-in", enrolled_at=shop.now - 3 * DAY)

    send_meanwhile(shop, shop.texts, lambda: merge(shop, older, younger), result)
    days_pass(shop, 3)

    assert accepted(shop) == ["check-in"]
    assert shop.states(older) == [
        ("check-in", SMS, S.CANCELED if result is BUSY else S.FAILED),
    ]
    assert shop.enrollment(older).next_step == "voucher"


def two_at(shop: Shop, step: str) -> tuple[int, int]:
    """Give an older one whose day is not come, and a younger one whose step is due."""
    later = shop.now.date() + 2 * DAY
    older = shop.enroll(next_step=step, enrolled_at=shop.now - DAY, due_on=later)
    return older, shop.enroll(next_step=step)


def test_what_surely_was_not_sent_is_sent_by_who_goes_on(shop: Shop) -> None:
    """P2: the younger one's call came back, and nobody had said that she got it."""
    older, younger = two_at(shop, "concern")

    send_meanwhile(shop, shop.mail, lambda: merge(shop, older, younger), BUSY)

    assert [one.state for one in shop.messages()] == [S.QUEUED]
    assert shop.enrollment(older).next_step == "concern"
    days_pass(shop, 1)
    assert accepted(shop) == ["concern"]
    assert shop.passages(older) == {"concern": "accepted"}
    assert shop.enrollment(older).due_on == shop.now.date() + 5 * DAY


def test_what_was_accepted_is_not_sent_again(shop: Shop) -> None:
    """P1, P10: the call that was under way went through: the next step waits from then."""
    older, younger = two_at(shop, "concern")

    send_meanwhile(shop, shop.mail, lambda: merge(shop, older, younger), Accepted("m-1"))
    days_pass(shop, 4)

    assert accepted(shop) == ["concern"]
    assert shop.passages(older) == {"concern": "accepted"}
    days_pass(shop, 1)
    assert accepted(shop) == ["concern", "check-in"]


def test_what_was_refused_takes_the_other_channel_of_who_goes_on(shop: Shop) -> None:
    """P2: the text was refused, so the mail goes: once, and to the person that they are now."""
    older, younger = two_at(shop, "check-in")

    send_meanwhile(shop, shop.texts, lambda: merge(shop, older, younger), NO_MOBILE)
    days_pass(shop, 3)

    assert shop.states(older) == [("check-in", SMS, S.FAILED), ("check-in", EMAIL, S.ACCEPTED)]
    assert {one.customer_id for one in shop.messages()} == {shop.enrollment(older).customer_id}


def test_what_is_finally_refused_says_so(shop: Shop) -> None:
    """P2: a step that nobody will get is passed by its true reason."""
    older, younger = two_at(shop, "concern")
    bad = Refused("400", "bad", "message")

    send_meanwhile(shop, shop.mail, lambda: merge(shop, older, younger), bad)

    assert shop.passages(older) == {"concern": "failed"}
    assert any("400 bad" in why for _, why in shop.decisions(older))


def test_what_is_in_doubt_is_never_sent_again(shop: Shop) -> None:
    """P1: nobody knows whether it went: after its day of doubt the timeline goes on."""
    older, younger = two_at(shop, "concern")

    send_meanwhile(shop, shop.mail, lambda: merge(shop, older, younger), Unclear("a timeout"))
    days_pass(shop, 2)

    assert [one.state for one in shop.messages()] == [S.UNCONFIRMED]
    assert shop.passages(older) == {"concern": "unconfirmed"}


def test_who_is_ahead_draws_the_other_one_along(shop: Shop) -> None:
    """P1: the younger one had the step before; what she was about to get is still sent, once."""
    older = shop.enroll(due_on=shop.now.date() + 9 * DAY)
    younger = shop.enroll()
    shop.send()
    shop.now += 5 * DAY

    send_meanwhile(shop, shop.texts, lambda: merge(shop, older, younger), BUSY)
    days_pass(shop, 3)

    assert accepted(shop) == ["concern", "check-in"]
    assert shop.passages(older) == {"concern": "passed", "check-in": "accepted"}


def test_what_lies_behind_comes_not_back(shop: Shop) -> None:
    """P1: the older one had it long ago, so the younger one's ends where it was."""
    older = shop.enroll()
    shop.send()
    shop.now += DAY
    younger = shop.enroll()

    send_meanwhile(shop, shop.mail, lambda: merge(shop, older, younger), BUSY)
    days_pass(shop, 3)

    assert accepted(shop) == ["concern"]
    assert shop.states(younger) == [("concern", EMAIL, S.CANCELED)]


@pytest.mark.parametrize("result", [BUSY, Accepted("m-1")])
def test_its_code_goes_along(shop: Shop, result: Result) -> None:
    """P6: one code, of the enrollment that goes on, whether the first call came back or not."""
    older, younger = two_at(shop, "voucher")

    send_meanwhile(shop, shop.mail, lambda: merge(shop, older, younger), result)
    days_pass(shop, 1)

    assert accepted(shop) == ["voucher"]
    assert codes_of(shop) == [("welcome-back", VoucherState.ISSUED, older)]


def test_who_waits_for_an_associate_is_not_sent_what_came_back(shop: Shop) -> None:
    """P7: the reply came while the text was called; its step stands for whoever resumes."""
    older, younger = two_at(shop, "check-in")

    def replied() -> None:
        with Session(shop.engine) as session, session.begin():
            move(session, younger, EnrollmentEvent.HANDED_OVER, now=shop.now, why="a reply")
        merge(shop, older, younger)

    send_meanwhile(shop, shop.texts, replied, BUSY)
    days_pass(shop, 2)

    goes_on = shop.enrollment(older)
    assert (goes_on.state, goes_on.next_step) == (EnrollmentState.HANDED_OVER, "check-in")
    assert accepted(shop) == []
    assert shop.states(older) == [("check-in", SMS, S.CANCELED)]


on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def claimed(shop: Shop, session: Session, worker_id: int) -> list[Claimed]:
    """Claim all that is queued."""
    ids = [one.id for one in shop.messages() if one.state is S.QUEUED]
    done = claim(session, shop.run(), ids, resting={}, worker_id=worker_id)
    assert len(done.claimed) == len(ids)
    return done.claimed


def worker(shop: Shop) -> int:
    """Begin to work."""
    with Session(shop.engine) as session, session.begin():
        return begin_worker(session, shop.now)


@on_postgresql
def test_who_plans_meanwhile_is_waited_for(shop: Shop) -> None:
    """P1: the older one's step is queued and not committed when the two become one."""
    younger = shop.enroll()
    shop.send()
    older = shop.enroll(enrolled_at=shop.now - DAY)

    behind(
        shop.engine,
        lambda session: _plan(session, shop.run(), [older]),
        lambda: merge(shop, older, younger),
    )

    assert shop.states(older) == [("concern", EMAIL, S.CANCELED)]
    days_pass(shop, 1)
    assert accepted(shop) == ["concern"]


@on_postgresql
@pytest.mark.parametrize("result", [NO_MOBILE, Accepted("m-1"), BUSY])
def test_whose_result_is_written_down_meanwhile_is_waited_for(shop: Shop, result: Result) -> None:
    """P1: what the result brings about, not committed yet, is counted or taken back."""
    younger = shop.enroll(next_step="check-in")
    shop.send()
    older = shop.enroll(next_step="check-in", enrolled_at=shop.now - DAY)
    queue_due(shop.run())
    with Session(shop.engine) as session, session.begin():
        (text,) = claimed(shop, session, worker(shop))

    behind(
        shop.engine,
        lambda session: record_results(session, shop.run(), [Called(text, result)]),
        lambda: merge(shop, older, younger),
    )

    days_pass(shop, 3)
    assert accepted(shop) == ["check-in"] * (2 if isinstance(result, Accepted) else 1)
    assert shop.enrollment(older).next_step == "voucher"


@on_postgresql
def test_a_result_finds_the_enrollment_that_goes_on_meanwhile(shop: Shop) -> None:
    """P1, P2: it waited for the merge, and is told to where the message is by then."""
    older, younger = two_at(shop, "concern")
    queue_due(shop.run())
    with Session(shop.engine) as session, session.begin():
        (mail,) = claimed(shop, session, worker(shop))
    people = [shop.enrollment(id_).customer_id for id_ in (older, younger)]

    def merging(session: Session) -> None:
        merge_customers(session, *people, now=shop.now, zone=shop.business.zone, currency="GBP")

    def record() -> None:
        with Session(shop.engine) as session, session.begin():
            record_results(session, shop.run(), [Called(mail, Accepted("m-1"))])

    behind(shop.engine, merging, record)

    assert shop.states(older) == [("concern", EMAIL, S.ACCEPTED)]
    assert shop.passages(older) == {"concern": "accepted"}


@on_postgresql
def test_a_claim_may_refer_to_an_address_that_both_have(shop: Shop) -> None:
    """The thanks of who bought are claimed, and not committed, when the two become one."""
    same = ["same@example.com"]
    nobody, buyer = shop.enroll(emails=same), shop.enroll(emails=same)
    people = [shop.enrollment(id_).customer_id for id_ in (nobody, buyer)]
    with Session(shop.engine) as session, session.begin():
        session.execute(delete(Enrollment).where(Enrollment.id == nobody))
        move(session, buyer, EnrollmentEvent.PURCHASED, now=shop.now, why="bought")
        assert queue_answer(session, buyer, "purchase", now=shop.now)
    works = worker(shop)

    def merging() -> None:
        with Session(shop.engine) as session, session.begin():
            merge_customers(session, *people, now=shop.now, zone=shop.business.zone, currency="GBP")

    behind(shop.engine, lambda session: claimed(shop, session, works), merging)

    with Session(shop.engine) as session:
        assert session.get_one(Customer, people[1]).merged_into == people[0]
    (thanks,) = shop.messages()
    assert (thanks.state, thanks.customer_id) == (S.SENDING, people[0])
