"""Two texts of ours that evidence may fit: what proves the one proves not the other (P2, DS-5)."""

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, HOME, Shop
from winback.database.tables import Message
from winback.delivery.evidence import resolve_doubts
from winback.delivery.news import apply_news
from winback.delivery.settling import Verdict, settle_by_hand
from winback.messages.shelf import load_shelf
from winback.policies import Cap, Caps
from winback.providers.lookups import AllowListedLookup, Lookup
from winback.providers.outgoing import Accepted, Outgoing, OutgoingText, Result, Unclear
from winback.providers.transport import Answer, Transport
from winback.providers.twilio_list import TwilioList
from winback.states import Channel, EventKind, MessageState, Mode

S = MessageState
MINUTE = timedelta(minutes=1)
SOON = timedelta(minutes=5)
NUMBER = "+447400123456"
SID_1 = f"SM{1:032}"


@dataclass(slots=True)
class Twilio:
    """Takes the texts that it is told to take, tells nobody, and lists them."""

    shop: Shop
    takes: Iterator[str]
    """Of each call in turn: ``taken``, ``told`` or ``lost``."""
    number: str | None = None
    """Where all texts go to, whatever is asked for; as mode test lets the sender do."""
    texts: list[dict[str, str]] = field(default_factory=list)
    by_send_id: dict[str, str] = field(default_factory=dict)

    def answer(self, message: Outgoing) -> Result:
        """Take a text or not."""
        assert isinstance(message, OutgoingText)
        how = next(self.takes)
        if how == "lost":
            return Unclear("reply lost")
        sid = f"SM{len(self.texts) + 1:032}"
        self.by_send_id[message.send_id] = sid
        made_at = format_datetime(self.shop.now + timedelta(seconds=2))
        self.texts.append(
            {
                "sid": sid,
                "to": self.number or message.to_number,
                "body": message.body,
                "status": "delivered",
                "direction": "outbound-api",
                "date_created": made_at,
                "date_updated": made_at,
            }
        )
        return Accepted(sid) if how == "told" else Unclear("reply lost")

    def lookup(self) -> TwilioList:
        """Open its list."""
        return TwilioList("AC1", "token", transport=_Listing(self.texts))


class _Listing(Transport):
    """Lists what went to a number, newest first."""

    def __init__(self, texts: list[dict[str, str]]) -> None:
        super().__init__()
        self._texts = texts

    async def request(
        self,
        method: str,  # noqa: ARG002
        url: str,
        *,
        headers: Mapping[str, str],  # noqa: ARG002
        body: bytes | None = None,  # noqa: ARG002
    ) -> Answer:
        """Give the list."""
        (number,) = parse_qs(urlsplit(url).query)["To"]
        said = [text for text in self._texts[::-1] if text["to"] == number]
        return Answer(200, {}, orjson.dumps({"messages": said, "next_page_uri": None}))


def twilio(shop: Shop, *takes: str) -> Twilio:
    """Let the shop's texts go to a Twilio that takes, tells or loses them in turn."""
    made = Twilio(shop, iter(takes))
    shop.texts.answer = made.answer
    return made


def two_texts(shop: Shop, home: Path, *, apart: timedelta) -> tuple[int, int]:
    """Send two texts with the same words to one number, by two campaigns; gives the enrollments."""
    shop.limit(caps=Caps(sms=Cap(9, 9)))
    campaigns = tuple(
        shop.campaign.model_copy(update={"campaign": name, "steps": shop.campaign.steps[1:]})
        for name in ("one", "other")
    )
    for name in ("one", "other"):
        shutil.copytree(HOME / "templates" / "six-month", home / "templates" / name)
    shutil.copytree(HOME / "templates" / "_layout", home / "templates" / "_layout")
    shelf = load_shelf(home, campaigns, shop.business.facts)
    shop.business = replace(shop.business, campaigns=campaigns, shelf=shelf)
    first = shop.enroll(phones=[NUMBER], campaign=campaigns[0])
    shop.send()
    shop.now += apart
    second = shop.enroll(phones=[NUMBER], campaign=campaigns[1])
    shop.send()
    return first, second


def look(shop: Shop, lookup: Lookup, *, after: timedelta = MINUTE) -> None:
    """Look for evidence once."""
    shop.now += after
    asyncio.run(resolve_doubts(shop.business, {Channel.SMS: lookup}, now=shop.now))


def row(shop: Shop, enrollment_id: int) -> Message:
    """Read the one message of an enrollment."""
    (message,) = shop.messages(enrollment_id)
    return message


def test_a_text_of_the_next_day_proves_nothing_about_the_day_before(
    shop: Shop, tmp_path: Path
) -> None:
    """The list has only the second one: the first stays in doubt, and is listed (P2, DS-6)."""
    list_ = twilio(shop, "lost", "taken")
    first, second = two_texts(shop, tmp_path, apart=DAY + timedelta(seconds=5))

    look(shop, list_.lookup())

    lost, taken = row(shop, first), row(shop, second)
    assert (lost.state, lost.provider_message_id) == (S.UNCONFIRMED, None)
    assert (taken.state, taken.provider_message_id) == (S.DELIVERED, SID_1)


def test_texts_of_two_days_are_each_found(shop: Shop, tmp_path: Path) -> None:
    """Where the time decides, each gets the sid of its own text, whoever is asked about first."""
    list_ = twilio(shop, "taken", "taken")
    first, second = two_texts(shop, tmp_path, apart=DAY)

    look(shop, list_.lookup())

    assert [row(shop, one).state for one in (first, second)] == [S.DELIVERED] * 2
    assert list_.by_send_id == {
        row(shop, one).send_id: row(shop, one).provider_message_id for one in (first, second)
    }


@pytest.mark.parametrize("takes", [("lost", "taken"), ("taken", "lost")])
def test_one_text_that_may_be_either_of_two_is_neither(
    shop: Shop, tmp_path: Path, takes: tuple[str, str]
) -> None:
    """Within minutes of each other nobody can tell which of the two was taken: both stay listed."""
    list_ = twilio(shop, *takes)
    enrollments = two_texts(shop, tmp_path, apart=SOON)

    for after in (MINUTE, timedelta(minutes=15), timedelta(hours=2), DAY):
        look(shop, list_.lookup(), after=after)

    for one in enrollments:
        assert (row(shop, one).state, row(shop, one).look_at) == (S.UNCONFIRMED, None)
        assert "may be another message in doubt" in row(shop, one).reason


def test_a_webhook_decides_between_two(shop: Shop, tmp_path: Path) -> None:
    """Once the one is known by its callback, what is left is the other's."""
    list_ = twilio(shop, "taken", "taken")
    first, second = two_texts(shop, tmp_path, apart=SOON)
    message = row(shop, second)
    with Session(shop.engine) as session, session.begin():
        sid = list_.by_send_id[str(message.send_id)]
        apply_news(session, message.id, EventKind.DELIVERED, at=shop.now, provider_message_id=sid)

    look(shop, list_.lookup())

    assert (row(shop, first).state, row(shop, first).provider_message_id) == (S.DELIVERED, SID_1)


def test_what_belongs_to_another_does_not_hide_the_next_one(shop: Shop, tmp_path: Path) -> None:
    """The earliest fit is a text whose sid we know; the one after it is the one in doubt."""
    list_ = twilio(shop, "told", "taken")
    first, second = two_texts(shop, tmp_path, apart=SOON)

    look(shop, list_.lookup())

    assert row(shop, first).state is S.ACCEPTED
    assert row(shop, second).provider_message_id == list_.by_send_id[str(row(shop, second).send_id)]
    assert row(shop, second).state is S.DELIVERED


def test_what_an_operator_called_accepted_has_a_text_in_the_list(
    shop: Shop, tmp_path: Path
) -> None:
    """Nobody told its sid, so the one text that is there may be that one."""
    list_ = twilio(shop, "taken", "lost")
    first, second = two_texts(shop, tmp_path, apart=SOON)
    with Session(shop.engine) as session, session.begin():
        doubt = row(shop, first).id
        settle_by_hand(session, shop.business, doubt, Verdict.ACCEPTED, now=shop.now)

    look(shop, list_.lookup())

    assert row(shop, first).state is S.ACCEPTED
    assert row(shop, second).state is S.UNCONFIRMED


@pytest.mark.parametrize(
    ("is_test", "state"), [pytest.param(True, S.UNCONFIRMED, id="test"), (False, S.DELIVERED)]
)
def test_in_mode_test_the_texts_of_all_people_go_to_one_number(
    *, shop: Shop, is_test: bool, state: MessageState
) -> None:
    """SEC-25: the same words to two people are told apart by their numbers, which are rewritten."""
    list_ = twilio(shop, "lost", "taken")
    if is_test:
        list_.number = NUMBER
        shop.change(mode=Mode.TEST)
    for _ in range(2):
        shop.enroll(next_step="check-in")
    shop.send()
    lookup: Lookup = list_.lookup()

    look(shop, AllowListedLookup(lookup, (NUMBER,)) if is_test else lookup)

    lost, taken = shop.messages()
    assert (lost.state, taken.state) == (S.UNCONFIRMED, state)
