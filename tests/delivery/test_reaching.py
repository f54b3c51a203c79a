"""Addresses that are gone: later steps go by the other channel, or nobody is left to reach."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop
from winback.database.tables import ContactPoint
from winback.delivery.reaching import close_contact_point
from winback.states import Channel, EnrollmentState, MessageState

E, T = Channel.EMAIL, Channel.SMS


def lose(shop: Shop, channel: Channel) -> None:
    """Close every address of a channel."""
    with Session(shop.engine) as session, session.begin():
        for id_ in session.scalars(
            select(ContactPoint.id).where(ContactPoint.channel == channel)
        ).all():
            close_contact_point(session, id_, now=shop.now)


def test_after_a_hard_bounce_later_steps_go_by_the_other_channel(shop: Shop) -> None:
    """A text step without a number left goes by mail, though consents are as they were."""
    one = shop.enroll(next_step="check-in")
    lose(shop, T)

    shop.send()

    assert shop.states(one) == [("check-in", E, MessageState.ACCEPTED)]


def test_a_step_that_exists_in_one_channel_only_is_passed(shop: Shop) -> None:
    """Without a template for the other channel the step is passed, and the next one stands."""
    one = shop.enroll(next_step="concern")
    lose(shop, E)

    shop.send()

    assert shop.messages(one) == []
    assert shop.passages(one) == {"concern": "skipped"}
    assert shop.enrollment(one).state is EnrollmentState.ACTIVE


def test_without_any_address_left_the_person_is_unreachable(shop: Shop) -> None:
    """The last address closed ends the enrollment of everyone who had it."""
    one = shop.enroll(emails=["both@example.com"], phones=[])
    two = shop.enroll(emails=["both@example.com"], phones=[])
    three = shop.enroll(emails=["both@example.com"])

    lose(shop, E)

    states = [shop.enrollment(id_).state for id_ in (one, two, three)]
    assert states == [
        EnrollmentState.UNREACHABLE,
        EnrollmentState.UNREACHABLE,
        EnrollmentState.ACTIVE,
    ]


def test_closing_twice_is_closing_once(shop: Shop) -> None:
    """Safe to repeat; an id that is gone changes nothing."""
    shop.enroll()
    lose(shop, E)

    with Session(shop.engine) as session, session.begin():
        point = session.scalars(select(ContactPoint.id).where(ContactPoint.channel == E)).one()
        assert not close_contact_point(session, point, now=shop.now)
        assert not close_contact_point(session, 999_999, now=shop.now)
