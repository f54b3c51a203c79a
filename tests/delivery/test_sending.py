"""The send path as a whole: what is due is sent once, and what happened is written down."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.customers.consent import record_consent
from winback.database.tables import (
    Case,
    ChannelPause,
    ContactPoint,
    Customer,
    Enrollment,
    Link,
    Message,
    StepPassage,
    Voucher,
)
from winback.delivery.counts import SendCounts
from winback.delivery.doubting import settle_doubts
from winback.delivery.isolating import Isolation
from winback.messages.keeping import read_context
from winback.messages.publishing import template_by_id
from winback.messages.rendering import render
from winback.providers.outgoing import (
    Accepted,
    Busy,
    Outgoing,
    OutgoingEmail,
    OutgoingText,
    Refused,
    Result,
    Unclear,
)
from winback.states import Channel, ConsentState, EnrollmentState, MessageState, VoucherState

S = MessageState
E, T = Channel.EMAIL, Channel.SMS


def unresolved(session: Session) -> Sequence[int]:
    """Give the ids of all messages in doubt."""
    return session.scalars(select(Message.id).where(Message.state == S.UNCONFIRMED)).all()


def refusing(scope: str, code: str = "400") -> object:
    """Give an answer that refuses everything."""
    return lambda _: Refused(code, "no", scope)  # type: ignore[arg-type]


def test_a_due_step_is_sent_and_the_next_one_waits_its_days(shop: Shop) -> None:
    """The first step leaves on its day, with consent, context and cost on the row."""
    one = shop.enroll()

    counts = shop.send()

    assert counts == SendCounts(accepted=1)
    (message,) = shop.messages(one)
    assert (message.step, message.channel, message.state) == ("concern", E, S.ACCEPTED)
    assert message.accepted_at == shop.now
    assert message.cost == shop.business.settings.economics.email_cost
    assert message.context is not None
    assert message.context["basis"]["kind"] == "express"
    assert message.context["basis"]["consent_id"] > 0
    (mail,) = shop.mail.sent
    assert isinstance(mail, OutgoingEmail)
    assert mail.send_id == message.send_id
    assert mail.to_address == "ann1@example.com"
    assert "List-Unsubscribe" in mail.headers
    assert "Ann" in mail.text
    assert shop.passages(one) == {"concern": "accepted"}
    enrollment = shop.enrollment(one)
    assert (enrollment.next_step, enrollment.due_on) == ("check-in", (shop.now + 5 * DAY).date())


def test_a_message_can_be_rendered_again_from_what_is_kept(shop: Shop) -> None:
    """To the letter, from its template version and its own and the shared part of its context."""
    one = shop.enroll()
    shop.send()
    (message,), (mail,) = shop.messages(one), shop.mail.sent
    assert isinstance(mail, OutgoingEmail)

    with Session(shop.engine) as session:
        context = read_context(session, message.context, message.shared_context_id)
        assert context is not None
        assert message.template_version_id is not None
        again = render(template_by_id(session, message.template_version_id), context)

    assert (again.subject, again.html, again.text) == (mail.subject, mail.html, mail.text)


def test_a_second_run_sends_nothing(shop: Shop) -> None:
    """Running twice sends once (P1)."""
    shop.enroll()
    shop.send()

    again = shop.send()

    assert again == SendCounts()
    assert len(shop.mail.sent) == 1


def test_a_day_without_work_costs_nothing(shop: Shop) -> None:
    """Nothing due, nothing written."""
    shop.enroll(due_on=(shop.now + DAY).date())

    assert shop.send() == SendCounts()
    assert shop.messages() == []


def test_many_are_sent_with_few_calls_at_once(shop: Shop) -> None:
    """More than one batch goes out whole, with bounded calls in flight."""
    for _ in range(80):
        shop.enroll()

    counts = shop.send()

    assert counts.accepted == 80
    assert len({mail.send_id for mail in shop.mail.sent}) == 80
    assert shop.mail.most_at_once <= 64


def test_without_consent_for_texts_the_step_goes_by_mail(shop: Shop) -> None:
    """``otherwise`` is used where the first channel's gate says never."""
    one = shop.enroll(consents=[E], next_step="check-in")

    shop.send()

    assert shop.states(one) == [("check-in", E, S.ACCEPTED)]


def test_a_text_carries_short_links_and_a_validity_inside_the_hours(shop: Shop) -> None:
    """A text's links resolve through rows, and the provider may keep it 4 hours at most (TW-3)."""
    shop.enroll(next_step="check-in")

    shop.send()

    (text,) = shop.texts.sent
    assert isinstance(text, OutgoingText)
    assert text.valid_for_seconds == 4 * 3600
    assert text.status_callback.endswith("/webhooks/twilio/status")
    with Session(shop.engine) as session:
        assert session.scalars(select(Link.message_id)).all()
    (message,) = shop.messages()
    assert message.segments
    assert message.cost > 0


def test_at_night_a_text_waits_for_the_morning(shop: Shop) -> None:
    """Outside the decent hours a text is postponed, said once, and then sent (P4)."""
    shop.now = shop.now.replace(hour=21)
    one = shop.enroll(next_step="check-in")

    at_night = shop.send()
    again = shop.send()
    shop.now = (shop.now + DAY).replace(hour=9)
    in_the_morning = shop.send()

    assert (at_night.postponed, again.postponed) == (1, 0)
    assert in_the_morning.accepted == 1
    assert shop.states(one) == [("check-in", T, S.ACCEPTED)]
    assert [what for what, _ in shop.decisions(one)] == ["postponed"]


def test_what_cannot_leave_in_time_is_dropped(shop: Shop) -> None:
    """After ``fresh_for`` a step is passed as stale and never sent late (P10)."""
    one = shop.enroll(due_on=(shop.now - 7 * DAY).date())

    counts = shop.send()

    assert counts.skipped == 1
    assert shop.passages(one) == {"concern": "stale"}
    assert shop.mail.sent == []
    # One orderly catch-up: the next step waits its own days from today.
    assert shop.enrollment(one).due_on == (shop.now + 5 * DAY).date()


def test_the_weekly_cap_holds_over_all_that_was_sent(shop: Shop) -> None:
    """Two mails a week per person; the third waits until the first is a week old (P4)."""
    one = shop.enroll(phones=[])
    sent = []
    for _ in range(10):
        sent.append(shop.send().accepted)
        with Session(shop.engine) as session, session.begin():
            session.execute(update(Enrollment).values(due_on=shop.now.date()))
        shop.now += DAY

    # check-in on day 1 by mail, voucher on day 7, when concern is a week old.
    assert [day for day, accepted in enumerate(sent) if accepted] == [0, 1, 7, 8]
    assert [step for step, _, _ in shop.states(one)][:3] == ["concern", "check-in", "voucher"]


def test_the_daily_limit_postpones_the_rest_to_tomorrow(shop: Shop) -> None:
    """No more leave in a local day than the limit says; newest lapses go first."""
    limits = shop.business.settings.policies.daily_limits.model_copy(update={"email": 2})
    policies = shop.business.settings.policies.model_copy(update={"daily_limits": limits})
    shop.change(policies=policies)
    for _ in range(5):
        shop.enroll()

    days = []
    for _ in range(3):
        days.append(shop.send())
        shop.now += DAY

    assert [(day.accepted, day.postponed) for day in days] == [(2, 3), (2, 1), (1, 0)]


def test_a_voucher_is_issued_with_its_real_expiry(shop: Shop) -> None:
    """One code per enrollment, issued at the claim; the reminder repeats it unchanged (P6)."""
    one = shop.enroll(phones=[], next_step="voucher")

    shop.send()
    with Session(shop.engine) as session:
        (voucher,) = session.scalars(select(Voucher).where(Voucher.enrollment_id == one))
    shop.now = shop.now + 17 * DAY
    shop.send()

    assert voucher.state is VoucherState.ISSUED
    assert voucher.expires_at is not None
    # Claimed on 2 March, valid for 21 days: through 23 March.
    assert voucher.expires_at.isoformat() == "2026-03-24T00:00:00+00:00"
    first, second = shop.mail.sent
    assert isinstance(first, OutgoingEmail)
    assert isinstance(second, OutgoingEmail)
    assert voucher.code in first.text
    assert voucher.code in second.text
    assert [step for step, _, _ in shop.states(one)] == ["voucher", "reminder"]


def test_a_refused_message_fails_and_its_other_channel_is_asked_once(shop: Shop) -> None:
    """``otherwise`` follows a final refusal at the call; then the step is passed."""
    shop.texts.answer = refusing("message", "21614")  # type: ignore[assignment]
    one = shop.enroll(next_step="check-in")

    counts = shop.send()

    assert (counts.failed, counts.accepted) == (1, 1)
    assert shop.states(one) == [("check-in", T, S.FAILED), ("check-in", E, S.ACCEPTED)]
    assert shop.passages(one) == {"check-in": "accepted"}


def test_refused_on_every_channel_the_step_is_passed(shop: Shop) -> None:
    """What nobody takes is failed, noted with its reason, and the timeline goes on (P2)."""
    shop.mail.answer = shop.texts.answer = refusing("message")  # type: ignore[assignment]
    one = shop.enroll(next_step="check-in")

    counts = shop.send()

    assert counts.failed == 2
    assert shop.passages(one) == {"check-in": "failed"}
    assert shop.enrollment(one).next_step == "voucher"


def test_a_voucher_of_a_refused_message_stays_reserved(shop: Shop) -> None:
    """A code is not burned by a send that surely failed (P6)."""
    shop.mail.answer = refusing("message")  # type: ignore[assignment]
    one = shop.enroll(next_step="voucher")

    shop.send()

    with Session(shop.engine) as session:
        (voucher,) = session.scalars(select(Voucher).where(Voucher.enrollment_id == one))
    assert (voucher.state, voucher.expires_at) == (VoucherState.RESERVED, None)


def test_a_no_that_the_provider_holds_is_ours_too(shop: Shop) -> None:
    """21610 suppresses the person and ends the enrollment (FACTS.md TW-17, P3)."""
    shop.texts.answer = refusing("recipient_opted_out", "21610")  # type: ignore[assignment]
    one = shop.enroll(next_step="check-in")

    shop.send()

    assert shop.enrollment(one).state is EnrollmentState.SUPPRESSED
    assert shop.mail.sent == []


def test_an_invalid_number_is_not_written_to_again(shop: Shop) -> None:
    """An address that does not exist is closed, and the step goes by its other channel."""
    shop.texts.answer = refusing("address_invalid", "21211")  # type: ignore[assignment]
    one = shop.enroll(next_step="check-in")

    shop.send()

    assert shop.states(one)[-1] == ("check-in", E, S.ACCEPTED)
    with Session(shop.engine) as session:
        phone = session.scalars(select(ContactPoint).where(ContactPoint.channel == T)).one()
    assert not phone.is_reachable


def test_nobody_left_to_reach_is_unreachable(shop: Shop) -> None:
    """When the last address is gone the enrollment ends as unreachable."""
    shop.mail.answer = refusing("address_invalid")  # type: ignore[assignment]
    one = shop.enroll(phones=[])

    shop.send()

    assert shop.enrollment(one).state is EnrollmentState.UNREACHABLE


def test_a_refused_account_pauses_the_channel_and_loses_nothing(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """401 and its like put the message back, with its voucher, and stop the channel (SG-14).

    The owner is warned once, not for each call that was in flight.
    """
    shop.mail.answer = refusing("channel", "401")  # type: ignore[assignment]
    for _ in range(80):
        shop.enroll()

    counts = shop.send()
    again = shop.send()

    assert (counts.accepted, counts.failed, counts.postponed) == (0, 0, 80)
    # The calls that were in flight when the first refusal came, and no more.
    assert len(shop.mail.sent) <= 64
    assert again == SendCounts()
    assert {message.state for message in shop.messages()} == {S.QUEUED}
    assert [one for one in caplog.messages if "paused" in one] == [
        "channel email is paused: 401 no"
    ]

    shop.mail.answer = None
    shop.now += timedelta(hours=2)
    assert shop.send().accepted == 80
    with Session(shop.engine) as session:
        assert session.get(ChannelPause, E) is None


def test_a_busy_provider_is_asked_again_later(shop: Shop) -> None:
    """429 is surely not sent: the message goes back and leaves at the next run after a while."""
    shop.mail.answer = lambda _: Busy(90)
    one = shop.enroll()

    first = shop.send()
    (message,) = shop.messages(one)
    shop.mail.answer = None
    shop.now += timedelta(minutes=15)
    second = shop.send()

    assert (first.postponed, second.accepted) == (1, 1)
    assert message.state is S.QUEUED
    assert message.claimed_at is None
    assert message.due_at >= shop.now - timedelta(minutes=15) + timedelta(seconds=90)
    assert len({mail.send_id for mail in shop.mail.sent}) == 2


def test_an_unclear_result_is_never_sent_again(shop: Shop) -> None:
    """A lost reply leaves the row in doubt; after a day the timeline goes on without it (P1)."""
    shop.mail.answer = lambda _: Unclear("the reply was lost")
    one = shop.enroll()

    first = shop.send()
    shop.mail.answer = None
    shop.now += timedelta(hours=23)
    meanwhile = shop.send()
    shop.now += timedelta(hours=1)
    a_day_later = shop.send()

    assert (first.unconfirmed, meanwhile.accepted, a_day_later.accepted) == (1, 0, 0)
    assert len(shop.mail.sent) == 1
    assert shop.passages(one) == {"concern": "unconfirmed"}
    assert shop.enrollment(one).due_on == (shop.now + 5 * DAY).date()
    (message,) = shop.messages(one)
    with Session(shop.engine) as session:
        assert list(unresolved(session)) == [message.id]


@pytest.mark.parametrize(
    ("noticed_after", "due_after"),
    [
        pytest.param(timedelta(days=4), timedelta(days=6), id="the-next-step-is-still-to-come"),
        pytest.param(timedelta(days=30), timedelta(days=30), id="overdue-is-due-today"),
    ],
)
def test_a_doubt_counts_from_its_own_day_however_late_a_run_sees_it(
    shop: Shop, noticed_after: timedelta, due_after: timedelta
) -> None:
    """``wait`` counts from the day the 24 hours were over, not from the run that noticed it."""
    shop.mail.answer = lambda _: Unclear("the reply was lost")
    one = shop.enroll()
    shop.send()
    doubted_at = shop.now

    shop.now += noticed_after
    settle_doubts(shop.run(), Isolation("message"), at=shop.now)

    enrollment = shop.enrollment(one)
    due_on = (doubted_at + due_after).date()
    assert (enrollment.next_step, enrollment.due_on) == ("check-in", due_on)
    with Session(shop.engine) as session:
        assert session.scalars(select(StepPassage.at)).one() == doubted_at + DAY


def test_a_broken_sender_leaves_a_doubt_and_stops_nobody(shop: Shop) -> None:
    """An error nobody foresaw is a doubt for one message; the others go on."""

    def answer(message: Outgoing) -> Result:
        if isinstance(message, OutgoingEmail) and message.to_address == "ann1@example.com":
            raise RuntimeError(message.to_address)
        return Accepted("id")

    shop.mail.answer = answer
    for _ in range(3):
        shop.enroll()

    counts = shop.send()

    assert (counts.accepted, counts.unconfirmed) == (2, 1)
    assert "@" not in shop.messages()[0].reason


def test_a_call_opens_a_case_with_its_script(shop: Shop) -> None:
    """A call waits for an associate, with the words to use, and the timeline goes on."""
    one = shop.enroll(next_step="call", value="high")

    counts = shop.send()

    assert (counts.cases, counts.accepted) == (1, 0)
    with Session(shop.engine) as session:
        (case,) = session.scalars(select(Case))
    assert (case.kind, case.step, case.enrollment_id) == ("call", "call", one)
    assert "Ann" in case.text
    assert shop.passages(one) == {"call": "case_opened"}
    assert shop.send() == SendCounts()


def test_who_cannot_be_called_is_written_to_by_hand(shop: Shop) -> None:
    """Without a number the call becomes a letter, which does not claim that anybody called (P5)."""
    one = shop.enroll(next_step="call", value="high", phones=())

    counts = shop.send()

    assert (counts.cases, counts.accepted) == (1, 0)
    with Session(shop.engine) as session:
        (case,) = session.scalars(select(Case))
    assert (case.kind, case.step, case.enrollment_id) == ("letter", "call", one)
    assert "Dear Ann" in case.text
    assert "telephone" not in case.text
    assert shop.passages(one) == {"call": "case_opened"}
    assert shop.send() == SendCounts()


@pytest.mark.parametrize(
    ("withdrawn", "kinds"),
    [((Channel.CALL,), ["letter"]), ((Channel.CALL, Channel.LETTER), [])],
)
def test_who_wants_no_calls_gets_none(
    shop: Shop, withdrawn: Sequence[Channel], kinds: list[str]
) -> None:
    """Calls and letters need no yes, but mind a no (P3; FACTS.md LAW-2)."""
    one = shop.enroll(next_step="call", value="high")
    with Session(shop.engine) as session, session.begin():
        customer_id = session.scalars(select(Enrollment.customer_id)).one()
        for channel in withdrawn:
            record_consent(
                session,
                customer_id,
                channel,
                state=ConsentState.WITHDRAWN,
                source="till",
                now=shop.now,
            )

    shop.send()

    with Session(shop.engine) as session:
        assert list(session.scalars(select(Case.kind))) == kinds
    assert shop.passages(one) == {"call": "case_opened" if kinds else "skipped"}


def test_only_if_is_asked_again_when_the_step_is_due(shop: Shop) -> None:
    """A condition that no longer holds passes the step, and the rest begins."""
    one = shop.enroll(next_step="comeback", value="normal")

    shop.send()

    assert shop.passages(one)["comeback"] == "passed"
    assert shop.mail.sent == []


def test_after_the_rest_the_enrollment_is_exhausted(shop: Shop) -> None:
    """The last step's rest over, the enrollment ends by itself."""
    one = shop.enroll(next_step=None)

    shop.send()

    assert shop.enrollment(one).state is EnrollmentState.EXHAUSTED


def test_a_sleeper_wakes_on_the_day(shop: Shop) -> None:
    """Asleep until today: the next step is due today."""
    one = shop.enroll(is_asleep=True)

    counts = shop.send()

    assert counts.accepted == 1
    assert not shop.enrollment(one).is_asleep


def test_two_who_share_a_number_get_one_text(shop: Shop) -> None:
    """Caps and open enrollments hold per address, whoever has it; the older one goes on."""
    one = shop.enroll(phones=["+447911100000"], next_step="check-in")
    two = shop.enroll(phones=["+447911100000"], next_step="check-in")

    shop.send()

    assert len(shop.texts.sent) == 1
    assert shop.states(one) == [("check-in", T, S.ACCEPTED)]
    assert shop.states(two) == [("check-in", T, S.SKIPPED), ("check-in", E, S.ACCEPTED)]


@pytest.mark.parametrize("what", ["opens", "step"])
def test_a_template_that_is_missing_waits_for_the_owner(shop: Shop, what: str) -> None:
    """Without words nothing is sent and nothing is lost: the message waits, the reason is told."""
    broken = shop.campaign.model_copy(
        update={
            "steps": tuple(
                one.model_copy(update={"template": f"no-{what}"}) for one in shop.campaign.steps
            )
        }
    )
    one = shop.enroll(campaign=broken)

    counts = shop.send()

    assert counts.postponed == 1
    assert shop.states(one) == [("concern", E, S.QUEUED)]
    assert "no-" in shop.messages(one)[0].reason


def test_someone_who_bought_meanwhile_is_left_in_peace(shop: Shop) -> None:
    """A purchase since the lapse stops the message, also between planning and claim (LAW-2)."""
    one = shop.enroll()
    with Session(shop.engine) as session, session.begin():
        customer_id = session.scalars(select(Enrollment.customer_id)).one()
        shop.add_purchase(session, customer_id, shop.now - DAY)

    shop.send()

    assert shop.mail.sent == []
    # The respond stage converts it; no step was passed meanwhile.
    assert shop.passages(one) == {}


def test_a_future_purchase_does_not_exist_yet(shop: Shop) -> None:
    """Purchases after the as-of instant do not exist."""
    shop.enroll()
    with Session(shop.engine) as session, session.begin():
        customer_id = session.scalars(select(Customer.id)).one()
        shop.add_purchase(session, customer_id, shop.now + DAY)

    assert shop.send().accepted == 1


def test_texts_without_a_provider_wait(shop: Shop) -> None:
    """A run that cannot send texts leaves them for one that can."""
    one = shop.enroll(next_step="check-in")

    counts = shop.send(E)

    assert counts.postponed == 1
    assert shop.states(one) == [("check-in", T, S.QUEUED)]


def test_history_tells_every_move(shop: Shop) -> None:
    """Each change of state has its row."""
    shop.enroll()
    shop.send()

    from winback.database.tables import Move  # noqa: PLC0415

    with Session(shop.engine) as session:
        message_id = session.scalars(select(Message.id)).one()
        moves = session.execute(
            select(Move.from_state, Move.to_state)
            .where(Move.thing == "message", Move.thing_id == message_id)
            .order_by(Move.id)
        ).all()
    assert [tuple(move) for move in moves] == [("queued", "sending"), ("sending", "accepted")]
