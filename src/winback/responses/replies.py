"""A person answers a person (promise P7): a written reply pauses everything and opens a case.

Before that it is asked whether it is a no, or whether a machine wrote it.
"""

from sqlalchemy import select

from winback.customers.consent import record_consent
from winback.database.tables import Consent
from winback.enrollment import progress
from winback.responses.cases import open_case
from winback.responses.hand import Enrolled, Hand
from winback.responses.hearing import Heard
from winback.responses.matching import Matched
from winback.responses.quoting import new_words
from winback.responses.stopping import say_no
from winback.responses.wording import Meaning, Understood, is_auto_reply, understand
from winback.states import CaseKind, Channel, ConsentState, SuppressionReason

_KEYWORDS = {"START": Meaning.OPT_IN, "HELP": Meaning.HELP}
"""``OptOutType`` is obeyed before any words (FACTS.md TW-21)."""


def hear_reply(hand: Hand, matched: Matched, event: Heard) -> None:
    """Act on a written message from a customer, by phone or by mail."""
    if not event.is_text_message and _is_from_a_machine(event):
        return
    text = (event.text or "") if event.is_text_message else new_words(event.text or "")
    understood = _understood(event, text)
    match understood.meaning:
        case Meaning.OPT_OUT:
            say_no(hand, matched, event, SuppressionReason.STOPPED)
        case Meaning.OPT_IN if event.is_text_message and understood.label != "yes":
            _start_again(hand, matched, event)
        case Meaning.HELP if event.is_text_message:
            # Twilio answers HELP itself (FACTS.md TW-22, TW-25); a second answer would be ours.
            _note(hand, matched, event, "nothing (help)")
        case Meaning.NOTHING if not event.extra.get("NumMedia", "0").strip("0"):
            _note(hand, matched, event, "nothing (empty)")
        case _:
            _hand_over(hand, matched, event, text=text, understood=understood)


def _is_from_a_machine(event: Heard) -> bool:
    return event.is_machine or is_auto_reply(
        event.extra.get("headers") or {},
        envelope_from=event.extra.get("envelope_from"),
        subject=str(event.extra.get("subject", "")),
    )


def _understood(event: Heard, text: str) -> Understood:
    if (meaning := _KEYWORDS.get(event.code)) is not None:
        return Understood(meaning, meaning.value)
    understood = understand(text)
    if event.is_text_message or understood.meaning is Meaning.OPT_OUT:
        return understood
    # A mail whose subject alone says it, as "unsubscribe" links by mail do.
    subject = str(event.extra.get("subject", ""))
    if not subject.lower().startswith(("re:", "aw:", "sv:")):
        from_subject = understand(subject)
        if from_subject.meaning is Meaning.OPT_OUT:
            return from_subject
    return understood


def _hand_over(
    hand: Hand, matched: Matched, event: Heard, *, text: str, understood: Understood
) -> None:
    if matched.customer_id is None:
        return
    enrollment = _about(hand, matched)
    opened = open_case(
        hand,
        f"reply:{event.key}"[:160],
        kind=CaseKind.REPLY,
        customer_id=matched.customer_id,
        enrollment_id=enrollment.id if enrollment else None,
        event_id=event.event_id,
        label=understood.label,
        text=text or (event.text or ""),
    )
    if opened is None:
        return
    _note(hand, matched, event, f"hand over ({understood.label})")
    hand.count("replies")
    why = f"wrote to us ({understood.label}): a person answers, automation waits"
    hand.decide(matched.customer_id, "case_opened", why, enrollment)
    if enrollment and progress.hand_over(hand.session, enrollment.id, now=hand.now, why=why):
        hand.count("handed_over")


def _about(hand: Hand, matched: Matched) -> Enrolled | None:
    """Give the enrollment that is open, else the one that the message belonged to."""
    if matched.customer_id is None:
        return None
    if (enrollment := hand.open_enrollment(matched.customer_id)) is not None:
        return enrollment
    return hand.enrollment(matched.message.enrollment_id) if matched.message else None


def _note(hand: Hand, matched: Matched, event: Heard, action: str) -> None:
    if matched.customer_id is None:
        return
    hand.note(
        f"reply:{event.key}"[:160],
        customer_id=matched.customer_id,
        kind="reply",
        action=action,
        at=event.at,
        enrollment_id=matched.message.enrollment_id if matched.message else None,
        message_id=matched.message.id if matched.message else None,
        event_id=event.event_id,
    )


def _start_again(hand: Hand, matched: Matched, event: Heard) -> None:
    """Log START as a consent where we hold one; our own suppression stays (FACTS.md TW-24)."""
    for customer_id in matched.customer_ids:
        is_held = hand.session.scalar(
            select(Consent.id)
            .where(Consent.customer_id == customer_id, Consent.channel == Channel.SMS)
            .limit(1)
        )
        if is_held is not None:
            record_consent(
                hand.session,
                customer_id,
                Channel.SMS,
                state=ConsentState.GIVEN,
                source=event.origin,
                evidence=f"texted START (event {event.event_id})",
                given_at=event.at,
                now=hand.now,
            )
        hand.decide(
            customer_id,
            "start_texted",
            "texted START: noted as a consent where we held one; a no that we keep stays",
        )
    _note(hand, matched, event, "nothing (start)")
