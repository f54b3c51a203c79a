"""A no means no (promise P3), by every road; and an address that is dead."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.responses.ears import Ears
from winback.database.tables import ContactPoint, Suppression
from winback.providers.incoming import RawEvent
from winback.responses.wording import Meaning, understand
from winback.states import Channel, EnrollmentState, MessageState


@pytest.mark.parametrize("road", ["page", "complaint", "unsubscribe", "STOP", "text", "mail"])
def test_a_no_by_any_road_stops_every_channel(shop: Ears, road: str) -> None:
    """Unsubscribe, STOP, complaint, free text by phone or mail: the person, on all channels."""
    enrollment_id, message = shop.written()
    if road == "page":
        shop.stop(message)
    else:
        shop.hear(
            {
                "complaint": shop.report(message, "spamreport"),
                "unsubscribe": shop.report(message, "group_unsubscribe"),
                "STOP": shop.text_back("STOP", OptOutType="STOP"),
                "text": shop.text_back("wrong number"),
                "mail": shop.mail_back(message, "please stop\n\n> Reply STOP"),
            }[road]
        )
    assert shop.state(enrollment_id) == "suppressed"
    assert shop.is_silenced(enrollment_id, Channel.EMAIL)
    assert shop.is_silenced(enrollment_id, Channel.SMS)
    assert "stopped" in [what for what, _ in shop.decisions(enrollment_id)]
    shop.now += timedelta(days=30)
    shop.send()
    assert len(shop.messages(enrollment_id)) == 1


def test_a_no_cancels_an_answer_that_waits_after_the_end(shop: Ears) -> None:
    """Also a thank-you that is still queued is not sent after a no."""
    enrollment_id, message = shop.written()
    shop.tap(message, "moved")
    assert shop.state(enrollment_id) == "parted"
    assert shop.messages(enrollment_id)[-1].state is MessageState.QUEUED
    shop.stop(message)
    assert shop.state(enrollment_id) == "parted"
    assert shop.messages(enrollment_id)[-1].state is MessageState.CANCELED
    assert shop.is_silenced(enrollment_id, Channel.EMAIL)


def test_a_holdout_who_says_no_is_suppressed_and_stays_one(shop: Ears) -> None:
    """The arm is analyzed as it was assigned; nothing is sent to it either way."""
    enrollment_id = shop.enroll(state=EnrollmentState.HELD_OUT, arm="holdout")
    shop.hear(shop.text_back("stop"))
    assert shop.state(enrollment_id) == "held_out"
    assert shop.is_silenced(enrollment_id, Channel.SMS)


def test_stopping_only_texts_leaves_mails(shop: Ears) -> None:
    """The preferences page narrows one channel, and the enrollment goes on."""
    enrollment_id, message = shop.written()
    shop.stop(message, "sms")
    assert shop.state(enrollment_id) == "active"
    assert shop.is_silenced(enrollment_id, Channel.SMS)
    assert not shop.is_silenced(enrollment_id, Channel.EMAIL)


def test_a_no_is_counted_and_told_once(shop: Ears) -> None:
    """Doing it twice is fine, and changes nothing."""
    enrollment_id, message = shop.written()
    assert shop.stop(message).suppressed == 1
    assert shop.stop(message).suppressed == 0
    assert [what for what, _ in shop.decisions(enrollment_id)].count("stopped") == 1


def test_a_no_from_a_stranger_is_kept_for_a_later_import(shop: Ears) -> None:
    """An address that nobody is known by is suppressed by its hash."""
    shop.hear(shop.text_back("STOP", From="+447911199999"))
    with Session(shop.engine) as session:
        rows = session.scalars(select(Suppression)).all()
    assert [(row.customer_id, row.channel) for row in rows] == [(None, None)]


def test_a_mail_without_our_token_may_still_stop_its_sender(shop: Ears) -> None:
    """FACTS.md SG-34: a sender can be forged, so only the safe direction is taken."""
    enrollment_id, _ = shop.written()
    shop.hear(shop.mail_back(None, "unsubscribe"))
    assert shop.state(enrollment_id) == "suppressed"


@pytest.mark.parametrize("has_send_id", [True, False])
def test_a_hard_bounce_moves_later_steps_to_the_other_channel(
    shop: Ears,
    has_send_id: bool,  # noqa: FBT001
) -> None:
    """FACTS.md SG-12b: also a late bounce without our arguments finds message and address."""
    enrollment_id, message = shop.written()
    bounce = shop.report(message, "bounce", type="bounce", reason="550 unknown user")
    if not has_send_id:
        del bounce.body["wb_send_id"], bounce.body["sg_message_id"]
    shop.hear(bounce)
    assert shop.messages(enrollment_id)[0].state is MessageState.BOUNCED
    assert shop.state(enrollment_id) == "active"
    with Session(shop.engine) as session:
        points = {
            point.channel: point.is_reachable for point in session.scalars(select(ContactPoint))
        }
    assert points == {Channel.EMAIL: False, Channel.SMS: True}
    assert not shop.is_silenced(enrollment_id, Channel.SMS)


def test_a_hard_bounce_of_the_only_address_is_unreachable(shop: Ears) -> None:
    """Nothing is left to write to."""
    enrollment_id, message = shop.written(phones=[])
    assert shop.hear(shop.report(message, "bounce", type="bounce")).unreachable == 1
    assert shop.state(enrollment_id) == "unreachable"


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "bounce", "type": "blocked"},
        {"event": "bounce", "type": "bounce", "bounce_classification": "Reputation"},
        {"event": "dropped", "reason": "Spam Content"},
        {"event": "deferred", "response": "try later"},
    ],
)
def test_what_is_no_fault_of_the_address_suppresses_nobody(
    shop: Ears, fields: dict[str, str]
) -> None:
    """FACTS.md SG-19, SG-20: a refused message is not a dead address."""
    enrollment_id, message = shop.written()
    shop.hear(shop.report(message, **fields))
    assert shop.state(enrollment_id) == "active"
    with Session(shop.engine) as session:
        assert session.scalars(select(Suppression)).all() == []


def test_start_lifts_nothing_that_we_keep(shop: Ears) -> None:
    """FACTS.md TW-24: START is noted; a no that we hold stays."""
    enrollment_id, _ = shop.written()
    shop.hear(shop.text_back("STOP"))
    shop.hear(shop.text_back("START", OptOutType="START"))
    assert shop.is_silenced(enrollment_id, Channel.SMS)
    assert shop.state(enrollment_id) == "suppressed"


def test_help_hands_nobody_over(shop: Ears) -> None:
    """FACTS.md TW-22: Twilio answers HELP itself."""
    enrollment_id, _ = shop.written()
    shop.hear(shop.text_back("HELP", OptOutType="HELP"))
    assert shop.state(enrollment_id) == "active"
    assert shop.cases() == []


def test_yes_is_an_answer_and_no_consent(shop: Ears) -> None:
    """FACTS.md TW-24: YES to our own question is read by a person."""
    enrollment_id, _ = shop.written()
    assert understand("YES").meaning is Meaning.OPT_IN
    shop.hear(shop.text_back("YES"))
    assert shop.state(enrollment_id) == "handed_over"


def test_a_poisoned_event_is_kept_and_stops_nothing(shop: Ears) -> None:
    """FACTS.md DS-13: the dead letter keeps its error; the others of the batch are applied."""
    enrollment_id, message = shop.written()
    poison = RawEvent("poison", "page", {})
    counts = shop.hear(poison, shop.report(message, "spamreport"))
    assert (counts.dead, counts.events) == (1, 1)
    dead = next(event for event in shop.events() if event.key == "poison")
    assert (dead.state, dead.body) == ("dead", {})
    assert "kind" in dead.error
    assert shop.state(enrollment_id) == "suppressed"


def test_an_unknown_event_is_read_and_changes_nothing(shop: Ears) -> None:
    """FACTS.md SG-19: what the provider adds one day is no error."""
    enrollment_id, message = shop.written()
    counts = shop.hear(shop.report(message, "something_new"))
    assert (counts.events, counts.dead) == (1, 0)
    assert shop.state(enrollment_id) == "active"
