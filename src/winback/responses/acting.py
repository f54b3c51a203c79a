"""What each kind of event makes us do: the table of responses, from the outside in."""

from functools import partial
from typing import Final

from sqlalchemy import bindparam, update

from winback.database.tables import Message, table_of
from winback.delivery.closing import close_country
from winback.delivery.news import apply_news
from winback.delivery.repairing import repair
from winback.enrollment.progress import speed_up_after_click
from winback.responses.addresses import lose_address
from winback.responses.blocks import ask_whether_no
from winback.responses.clicks import is_our_page, why_no_human_click
from winback.responses.hand import Hand
from winback.responses.hearing import Heard
from winback.responses.matching import Matched
from winback.responses.plain_news import says_nothing
from winback.responses.reasons import give_reason
from winback.responses.replies import hear_reply
from winback.responses.stopping import say_no
from winback.states import Channel, EventKind, SuppressionReason

NOS: Final = frozenset(
    {
        SuppressionReason.UNSUBSCRIBED,
        SuppressionReason.STOPPED,
        SuppressionReason.COMPLAINED,
    }
)
"""What a person said; the other reasons are about an address."""


_MESSAGES: Final = table_of(Message)
_OPENED: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("message_id"), _MESSAGES.c.opened_at.is_(None))
    .values(opened_at=bindparam("at"))
)
_CLICKED: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("message_id"), _MESSAGES.c.clicked_at.is_(None))
    .values(clicked_at=bindparam("at"))
)


def act(hand: Hand, matched: Matched, event: Heard) -> None:
    """Do what an event asks for; safe to repeat, whatever came before or after it."""
    if matched.message is not None and not says_nothing(event, matched):
        apply_news(
            hand.session,
            matched.message.id,
            event.kind,
            at=event.at,
            code=event.code,
            reason=event.reason,
            provider_message_id=event.provider_message_id,
            on_proof=partial(repair, business=hand.business, now=hand.now),
        )
    if event.stops_country and matched.message is not None and event.address:
        why = f"{event.code} {event.reason}"
        of = matched.message.claimed_at
        close_country(hand.session, event.address, why=why, now=hand.now, of=of)
    if event.suppression in NOS:
        say_no(hand, matched, event, event.suppression, channel=_narrowed(event))
    elif event.suppression is not None:
        lose_address(hand, matched, event, event.suppression)
    if event.may_be_a_no:
        ask_whether_no(hand, matched, event)
    match event.kind:
        case EventKind.OPENED:
            _opened(hand, matched, event)
        case EventKind.CLICKED:
            _clicked(hand, matched, event)
        case EventKind.REASON_GIVEN:
            give_reason(hand, matched, event)
        case EventKind.REPLIED:
            hear_reply(hand, matched, event)


def _narrowed(event: Heard) -> Channel | None:
    """Give the one channel that was stopped on the preferences page, if only one was."""
    choice = event.extra.get("choice") if event.origin == "page" else None
    return Channel(choice) if choice in (Channel.EMAIL, Channel.SMS) else None


def _opened(hand: Hand, matched: Matched, event: Heard) -> None:
    """Keep the first open that no machine made; recorded, and nothing more."""
    if matched.message is None or event.is_machine:
        return
    first = {"message_id": matched.message.id, "at": event.at}
    hand.session.connection().execute(_OPENED, first)


def _clicked(hand: Hand, matched: Matched, event: Heard) -> None:
    """Let the next step come sooner after a person's click; it never converts (SEC-12)."""
    message = matched.message
    if message is None or is_our_page(event.url, hand.business.settings.base_url):
        return
    filtered = why_no_human_click(
        user_agent=_user_agent(event), clicked_at=event.at, sent_at=message.claimed_at
    )
    if filtered is not None or event.is_machine:
        hand.note(
            f"click:{event.event_id}",
            customer_id=message.customer_id,
            kind="click",
            action=f"filtered: {filtered or 'a machine'}",
            at=event.at,
            enrollment_id=message.enrollment_id,
            message_id=message.id,
            event_id=event.event_id,
        )
        return
    first = hand.note(
        f"click:human:{message.id}",
        customer_id=message.customer_id,
        kind="click",
        action="sooner",
        at=event.at,
        enrollment_id=message.enrollment_id,
        message_id=message.id,
        event_id=event.event_id,
    )
    if not first:
        return
    hand.count("clicks")
    clicked = {"message_id": message.id, "at": event.at}
    hand.session.connection().execute(_CLICKED, clicked)
    speed_up_after_click(
        hand.session,
        hand.going_on(message.enrollment_id).id,
        clicked_at=event.at,
        now=hand.now,
        zone=hand.business.zone,
    )


def _user_agent(event: Heard) -> str | None:
    given = event.extra.get("user_agent", event.extra.get("useragent"))
    return None if given is None else str(given)
