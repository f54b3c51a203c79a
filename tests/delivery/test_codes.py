"""What each code of a provider does to message, person and channel, over real HTTP.

The rows of FACTS.md TW-17 and SG-14 as they are written there, not as our table has them (TW-18).
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from werkzeug import Request, Response

from tests.delivery.shop import DAY, Shop
from tests.providers.examples import ACCOUNT, API_KEY, CLOCK, TOKEN
from winback.clock import SetClock
from winback.database.tables import ChannelPause, ContactPoint, Message, Pause, Suppression
from winback.delivery.counts import SendCounts
from winback.delivery.sending import send_due
from winback.enrollment.pausing import OPERATOR, PauseScope, pause, resume
from winback.providers.outgoing import Accepted, Outgoing, OutgoingText, Refused, Result, Sender
from winback.providers.sendgrid import SendGridSender
from winback.providers.twilio import TwilioSender
from winback.providers.twilio_codes import CODES
from winback.states import Channel, EnrollmentState, MessageState

S = MessageState
E, T = Channel.EMAIL, Channel.SMS
MINUTE = timedelta(minutes=1)

OPTED_OUT = (21610,)
COUNTRY = (21408,)
SENDER_IN_COUNTRY = (30034,)
INVALID = (21211, 21612, 21614, 21635, 30005)
# 30003 and 30008 might be tried once more, but they come after an acceptance: P1 binds.
THIS_MESSAGE = (30003, 30004, 30006, 30007, 30008, 30036, 63016, 99999)
CHANNEL = (
    *(20003, 20404, 21212, 21603, 21606, 21608, 21609, 21659, 21660, 21661),
    *(21701, 21703, 21704, 21705, 30002, 30032),
)
PASSING = {
    20429: MINUTE,
    21611: MINUTE,
    30001: MINUTE,
    30450: timedelta(minutes=30),
    30453: timedelta(hours=4),
}

AMERICAN = ("+12015550101", "+12015550102", "+12015550103")
IN_NEW_YORK = {"country": "US", "time_zone": "America/New_York"}

Twilio = Callable[[dict[str, int | None]], None]


def send(shop: Shop, server: HTTPServer) -> SendCounts:
    """Run the send path with the real senders, against the test's server."""
    url = server.url_for("")

    async def sending() -> SendCounts:
        senders: dict[Channel, Sender] = {
            E: SendGridSender(API_KEY, clock=CLOCK, base_url=url),
            T: TwilioSender(ACCOUNT, TOKEN, clock=CLOCK, base_url=url),
        }
        try:
            clock = SetClock(shop.now)
            return await send_due(
                shop.business, senders, now=shop.now, is_present=True, clock=clock, rng=shop.rng
            )
        finally:
            for sender in senders.values():
                await sender.close()

    return asyncio.run(sending())


@pytest.fixture
def twilio(httpserver: HTTPServer) -> Twilio:
    """Give what tells the server by which code it refuses texts to which number."""
    codes: dict[str, int | None] = {}

    def answer(request: Request) -> Response:
        code = codes.get(request.form["To"])
        if code is None:
            return Response('{"sid": "SM1", "num_segments": "1"}', 201)
        return Response(f'{{"code": {code}, "message": "no", "status": 400}}', 400)

    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    httpserver.expect_request(path, method="POST").respond_with_handler(answer)
    httpserver.expect_request("/v3/mail/send").respond_with_data("", status=202)
    return codes.update


def phone_of(number: int) -> str:
    """Give a number in London."""
    return f"+4479111{number:05d}"


def test_every_row_is_listed_somewhere_here() -> None:
    """A row that is added to the table needs its effect told below."""
    told = {*OPTED_OUT, *COUNTRY, *SENDER_IN_COUNTRY, *INVALID, *THIS_MESSAGE, *CHANNEL, *PASSING}

    assert CODES.keys() - told == set()


def test_codes_of_one_message_end_it_and_the_other_channel_is_asked(
    shop: Shop, httpserver: HTTPServer, twilio: Twilio
) -> None:
    """Surely not sent: it is failed and kept with its code; an invalid number is closed (TW-17)."""
    codes = [*INVALID, *THIS_MESSAGE]
    twilio({phone_of(code): code for code in codes})
    ids = {code: shop.enroll(next_step="check-in", phones=[phone_of(code)]) for code in codes}

    counts = send(shop, httpserver)

    assert (counts.failed, counts.accepted) == (len(codes), len(codes))
    for code, one in ids.items():
        text, mail = shop.messages(one)
        assert (text.channel, text.state, text.provider_code) == (T, S.FAILED, str(code))
        assert (mail.channel, mail.state) == (E, S.ACCEPTED)
    with Session(shop.engine) as session:
        is_open = select(ContactPoint.address).where(
            ContactPoint.channel == T, ContactPoint.is_reachable
        )
        assert set(session.scalars(is_open)) == {phone_of(code) for code in THIS_MESSAGE}
        assert session.scalars(select(ChannelPause)).all() == []


def test_a_no_that_the_provider_holds_suppresses(
    shop: Shop, httpserver: HTTPServer, twilio: Twilio
) -> None:
    """21610 is an opt-out like any other: no mail instead, and no more marketing (TW-17, P3)."""
    twilio({phone_of(1): 21610})
    one = shop.enroll(next_step="check-in", phones=[phone_of(1)])

    send(shop, httpserver)

    assert shop.enrollment(one).state is EnrollmentState.SUPPRESSED
    assert shop.states(one) == [("check-in", T, S.FAILED)]
    with Session(shop.engine) as session:
        assert session.scalars(select(Suppression)).all()


@pytest.mark.parametrize("code", COUNTRY)
def test_a_country_that_cannot_be_texted_waits_for_an_operator(
    shop: Shop, httpserver: HTTPServer, twilio: Twilio, code: int
) -> None:
    """21408 stops texts to that country only, without a second try (TW-17)."""
    shop.now = shop.now.replace(hour=17)
    twilio({AMERICAN[0]: code})
    first = shop.enroll(next_step="check-in", phones=[AMERICAN[0]], customer=IN_NEW_YORK)

    send(shop, httpserver)
    others = [
        shop.enroll(next_step="check-in", phones=[one], customer=IN_NEW_YORK)
        for one in AMERICAN[1:]
    ]
    at_home = shop.enroll(next_step="check-in")
    counts = send(shop, httpserver)

    assert shop.states(first) == [("check-in", T, S.FAILED), ("check-in", E, S.ACCEPTED)]
    assert (counts.accepted, counts.postponed) == (1, 2)
    assert shop.states(at_home) == [("check-in", T, S.ACCEPTED)]
    with Session(shop.engine) as session, session.begin():
        (paused,) = session.scalars(select(Pause))
        assert (paused.scope, paused.name, paused.by) == ("country", "US", "provider")
        resume(session, PauseScope.COUNTRY, "US", now=shop.now, zone=shop.business.zone)
    shop.now += DAY
    assert send(shop, httpserver).accepted == 2
    assert all(shop.states(one) == [("check-in", T, S.ACCEPTED)] for one in others)


@pytest.mark.parametrize("code", SENDER_IN_COUNTRY)
def test_a_sender_that_is_refused_in_a_country_burns_no_step(
    shop: Shop, httpserver: HTTPServer, twilio: Twilio, code: int
) -> None:
    """30034 is the sender's fault: what was on its way there goes back, and waits (TW-17).

    DESIGN.md, section 5, Message: sending to queued. Once the sender is registered and an operator
    lets the country go on, all of it leaves, if it is fresh still.
    """
    shop.now = shop.now.replace(hour=17)
    twilio(dict.fromkeys(AMERICAN, code))
    there = [
        shop.enroll(next_step="check-in", phones=[one], customer=IN_NEW_YORK) for one in AMERICAN
    ]
    at_home = shop.enroll(next_step="check-in")

    counts = send(shop, httpserver)

    assert (counts.failed, counts.postponed, counts.accepted) == (0, 3, 1)
    assert shop.states(at_home) == [("check-in", T, S.ACCEPTED)]
    for one in there:
        assert shop.states(one) == [("check-in", T, S.QUEUED)], "no mail instead"
        assert shop.passages(one) == {}
    with Session(shop.engine) as session:
        assert session.scalars(select(ChannelPause)).all() == []
        (paused,) = session.scalars(select(Pause))
        assert (paused.scope, paused.name, paused.by) == ("country", "US", "provider")
    calls = len(httpserver.log)
    shop.now += DAY
    assert send(shop, httpserver).postponed == 3
    assert len(httpserver.log) == calls, "nobody is called while it stands still"

    with Session(shop.engine) as session, session.begin():
        resume(session, PauseScope.COUNTRY, "US", now=shop.now, zone=shop.business.zone)
    twilio(dict.fromkeys(AMERICAN, None))
    shop.now += DAY
    assert send(shop, httpserver).accepted == 3
    assert all(shop.states(one) == [("check-in", T, S.ACCEPTED)] for one in there)


def test_what_waits_for_a_country_goes_on_with_the_next_poll(
    shop: Shop, httpserver: HTTPServer, twilio: Twilio
) -> None:
    """What was refused there, and what waited meanwhile, leaves as soon as an operator resumes.

    What waits for another country, or another reason, goes on waiting.
    """
    shop.now = shop.now.replace(hour=17)
    twilio({AMERICAN[0]: 30034})
    refused = shop.enroll(next_step="check-in", phones=[AMERICAN[0]], customer=IN_NEW_YORK)
    send(shop, httpserver)
    with Session(shop.engine) as session, session.begin():
        pause(session, PauseScope.COUNTRY, "GB", by=OPERATOR, why="elections", now=shop.now)
    later = shop.enroll(next_step="check-in", phones=[AMERICAN[1]], customer=IN_NEW_YORK)
    at_home = shop.enroll(next_step="check-in", phones=["+447400123456"])
    assert send(shop, httpserver).postponed == 2
    before = {one.enrollment_id: one.due_at for one in shop.messages()}
    assert min(before.values()) > shop.now + timedelta(hours=6)

    twilio({AMERICAN[0]: None})
    shop.now += MINUTE
    with Session(shop.engine) as session, session.begin():
        resume(session, PauseScope.COUNTRY, "US", now=shop.now, zone=shop.business.zone)
    assert {one.enrollment_id: one.due_at for one in shop.messages()} == {
        refused: shop.now,
        later: shop.now,
        at_home: before[at_home],
    }
    send(shop, httpserver)

    for one in (refused, later):
        assert shop.states(one) == [("check-in", T, S.ACCEPTED)]
    assert shop.states(at_home) == [("check-in", T, S.QUEUED)]


@pytest.mark.parametrize("code", [*COUNTRY, *SENDER_IN_COUNTRY])
def test_a_refusal_of_a_text_from_before_a_resume_pauses_nothing(shop: Shop, code: int) -> None:
    """An operator let the country go on while it was on its way: it tells nothing of now."""
    shop.now = shop.now.replace(hour=17)
    shop.enroll(next_step="check-in", phones=[AMERICAN[0]], customer=IN_NEW_YORK)
    scope = CODES[code].scope
    assert scope is not None
    refused = Refused(str(code), "no", scope)

    def is_there(message: Outgoing) -> bool:
        return isinstance(message, OutgoingText) and message.to_number == AMERICAN[0]

    def refuse(message: Outgoing) -> Result:
        return refused if is_there(message) else Accepted(message.send_id)

    def go_on(seconds: float) -> None:
        if seconds == 60:
            at = shop.now + MINUTE
            with Session(shop.engine) as session, session.begin():
                pause(session, PauseScope.COUNTRY, "US", by=OPERATOR, why="", now=at)
                resume(session, PauseScope.COUNTRY, "US", now=at, zone=shop.business.zone)
        if seconds == 90:
            shop.enroll(next_step="check-in")

    shop.texts.takes = lambda message: 120.0 if is_there(message) else 0.0
    shop.texts.answer = refuse
    shop.send_in_time(go_on)

    with Session(shop.engine) as session:
        assert session.scalars(select(Pause.by)).all() == [OPERATOR]


def test_codes_of_the_account_pause_the_channel_and_fail_nobody(
    shop: Shop, httpserver: HTTPServer, twilio: Twilio
) -> None:
    """Account or sender refused: it is no fault of the message, which goes back (TW-17, SG-14)."""
    one = shop.enroll(next_step="check-in", phones=[phone_of(1)])
    for code in CHANNEL:
        twilio({phone_of(1): code})

        counts = send(shop, httpserver)

        assert (counts.postponed, counts.failed, counts.accepted) == (1, 0, 0)
        with Session(shop.engine) as session, session.begin():
            (pause,) = session.scalars(select(ChannelPause))
            assert pause.channel is T
            assert pause.why.startswith(str(code))
            session.execute(delete(ChannelPause))
            session.execute(update(Message).values(due_at=shop.now))
    assert shop.states(one) == [("check-in", T, S.QUEUED)]


def test_codes_that_pass_put_the_message_back_for_as_long(
    shop: Shop, httpserver: HTTPServer, twilio: Twilio
) -> None:
    """Too many at once, a full queue, a block against pumping: later, by itself (TW-17)."""
    shop.now = shop.now.replace(hour=9)
    one = shop.enroll(next_step="check-in", phones=[phone_of(1)])
    for code, wait in PASSING.items():
        twilio({phone_of(1): code})

        counts = send(shop, httpserver)

        assert (counts.postponed, counts.failed) == (1, 0)
        (message,) = shop.messages(one)
        assert message.state is S.QUEUED
        # Never at the same instant for all: up to half as long again.
        assert wait <= message.due_at - shop.now <= wait * 1.5
        shop.now = message.due_at
        with Session(shop.engine) as session, session.begin():
            # In a row they close the channel for longer each time, whatever the code.
            session.execute(delete(ChannelPause))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (400, S.FAILED),
        (401, S.QUEUED),
        (403, S.QUEUED),
        (404, S.QUEUED),
        (405, S.QUEUED),
        (413, S.FAILED),
        (429, S.QUEUED),
        (500, S.UNCONFIRMED),
        (502, S.UNCONFIRMED),
        (503, S.UNCONFIRMED),
        (504, S.UNCONFIRMED),
    ],
)
def test_what_sendgrid_answers_decides_what_becomes_of_the_mail(
    shop: Shop, httpserver: HTTPServer, status: int, state: MessageState
) -> None:
    """Definitely not sent, not now, or perhaps: never a second try of what is unclear (SG-14).

    A 429 that does not say for how long, where nothing went through, closes the channel for a
    while, as a refused account does (SG-15).
    """
    said = {"errors": [{"message": "no", "field": None, "help": None}]}
    httpserver.expect_request("/v3/mail/send").respond_with_json(said, status=status)
    one = shop.enroll(phones=[])

    send(shop, httpserver)

    assert shop.states(one) == [("concern", E, state)]
    with Session(shop.engine) as session:
        paused = session.scalars(select(ChannelPause.channel)).all()
    assert paused == ([E] if status in {401, 403, 404, 405, 429} else [])
    assert len(httpserver.log) == 1


def test_a_wrong_url_burns_no_step(shop: Shop, httpserver: HTTPServer) -> None:
    """A proxy's 404 is no answer of the provider's: what was due waits, and the channel is told."""
    httpserver.expect_request("/v3/mail/send").respond_with_data("<html>nginx</html>", status=404)
    waiting = [shop.enroll(phones=[]) for _ in range(3)]

    assert send(shop, httpserver).failed == 0

    assert all(shop.states(one) == [("concern", E, S.QUEUED)] for one in waiting)
    with Session(shop.engine) as session:
        assert session.scalars(select(ChannelPause.why)).all() == ["404 status 404"]
