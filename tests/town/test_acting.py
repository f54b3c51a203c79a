"""The people act over real HTTP: signed events, taps, one-click noes, replies, purchases."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from winback.clock import SetClock
from winback.sandbox.record import Mail, Text
from winback.sandbox.stand_ins import Sandbox, stand_ins
from winback.town.people import temperament_of
from winback.town.walk import DemoTown, days_between, walk

MORNING = datetime(1997, 7, 1, 14, 0, tzinfo=UTC)
EVENING = MORNING + timedelta(hours=11)
PUBLIC = "http://127.0.0.1:8484"


@dataclass(slots=True)
class Receiver:
    """Takes everything and remembers what came where."""

    url: str = ""
    came: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Note one request."""
        if request.path == "/webhooks/sendgrid/events":
            self.events += await request.json()
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.came.append((request.method, request.path, form))
        return web.Response()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give a receiver on a free loopback port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    await web.SockSite(runner, sock).start()
    receiver.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    yield receiver
    await runner.cleanup()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Give running stand-ins with a record in memory."""
    with stand_ins(clock=SetClock(EVENING), seed=1) as sandbox:
        yield sandbox


@pytest.fixture
async def town(tmp_path: Path, sandbox: Sandbox, receiver: Receiver) -> DemoTown:
    """Give the town on the eve of its first day."""
    sandbox.deliver_to(receiver.url, PUBLIC)
    town = DemoTown(tmp_path, sandbox, receiver_url=receiver.url)
    town.open()
    return town


def mail_to(customer: str, step: str = "concern") -> Mail:
    """Give a mail as the stand-in accepts it."""
    return Mail(
        id=0,
        message_id=f"m{customer}",
        send_id=f"s{customer}{step}",
        to_address=f"ada.{customer}@example.com",
        from_address="nora@example.com",
        reply_to=f"reply+{customer}@reply.example.com",
        subject="Is everything all right?",
        text=f"Tell us: {PUBLIC}/why/tok.{customer}. Your code is ABCD-EFGH-JKMNP.",
        html="",
        headers={"List-Unsubscribe": f"<{PUBLIC}/u/no{customer}>"},
        categories=("six-month", step),
        at=MORNING,
    )


def text_to(customer: str) -> Text:
    """Give a text as the stand-in accepts it."""
    return Text(
        id=0,
        sid=f"SM{customer}",
        send_id=f"t{customer}",
        to_number=f"+1202555{customer}",
        service="MG0",
        body=f"Lantern Discs: {PUBLIC}/l/abc Reply STOP to opt out",
        callback=f"{PUBLIC}/webhooks/twilio/status?id={customer}",
        valid_for_seconds=600,
        status="queued",
        error_code=None,
        at=MORNING,
    )


async def test_a_town_of_mails_comes_to_life(
    town: DemoTown, sandbox: Sandbox, receiver: Receiver
) -> None:
    """Every road is walked: events, taps, one-click, replies; codes are used when people come."""
    customers = [f"{number:04d}" for number in range(1, 1_201)]
    sandbox.record.add(mails=[mail_to(customer) for customer in customers])

    count = await town.evening(EVENING)

    assert count == 1_200
    words = {str(event["event"]) for event in receiver.events}
    assert {"delivered", "open", "click", "bounce", "spamreport"} <= words
    assert all(float(str(event["timestamp"])) <= EVENING.timestamp() for event in receiver.events)
    posts = {path.split("/")[1] for method, path, _ in receiver.came if method == "POST"}
    assert {"webhooks", "why", "u"} <= posts
    taps = [(path, form) for _, path, form in receiver.came if path.startswith("/why/")]
    assert all(path.startswith("/why/tok.") and not path.endswith(".") for path, _ in taps)
    assert any(form["reason"] == "price" for _, form in taps)
    assert all(form["month"] == "1997-09" for _, form in taps if form["reason"] == "not_now")
    noes = [form for _, path, form in receiver.came if path.startswith("/u/")]
    assert noes
    assert all(form == {"List-Unsubscribe": "One-Click"} for form in noes)
    assert any(path == "/webhooks/sendgrid/inbound" for _, path, _ in receiver.came)
    assert {order.voucher for order in town.shop.simulated} == {"", "ABCD-EFGH-JKMNP"}
    assert all(order.day > MORNING.date() for order in town.shop.simulated)


async def test_nothing_is_acted_on_twice(
    town: DemoTown, sandbox: Sandbox, receiver: Receiver
) -> None:
    """What was read once is not read again."""
    sandbox.record.add(mails=[mail_to("0001")])
    await town.evening(EVENING)
    before = len(receiver.came)

    assert await town.evening(EVENING) == 0
    assert len(receiver.came) == before


async def test_texts_are_delivered_and_answered(
    town: DemoTown, sandbox: Sandbox, receiver: Receiver
) -> None:
    """Every text gets its status; some people text back, STOP among them."""
    for number in range(1, 301):
        sandbox.record.add(texts=[text_to(f"{number:04d}")])

    await town.evening(EVENING)

    statuses = [form for _, path, form in receiver.came if path == "/webhooks/twilio/status"]
    bodies = [form["Body"] for _, path, form in receiver.came if path == "/webhooks/twilio/inbound"]
    assert len(statuses) == 300
    assert {form["MessageStatus"] for form in statuses} == {"delivered"}
    assert {"STOP", "Stop", "stop texting me please", "unsubscribe"} & set(bodies)
    assert any(path == "/l/abc" for _, path, _ in receiver.came)


async def test_the_message_that_moves_them_brings_them(town: DemoTown, sandbox: Sandbox) -> None:
    """Who is moved by the second message comes after the second, not after the first."""
    customer = next(
        name
        for name in (f"{number:04d}" for number in range(1, 2_000))
        if temperament_of(1997, name).moved_by == 2 and not temperament_of(1997, name).is_bouncing
    )
    sandbox.record.add(mails=[mail_to(customer, "concern")])
    await town.evening(EVENING)
    assert town.shop.simulated == []

    sandbox.record.add(mails=[mail_to(customer, "voucher")])
    await town.evening(EVENING)

    assert [order.customer for order in town.shop.simulated] == [customer]


async def test_the_walk_keeps_its_order(town: DemoTown) -> None:
    """Each day: the clock, the purchases, the run at 10:00, the clock, the people."""
    told: list[str] = []

    def note(word: str) -> Callable[[datetime], Awaitable[None]]:
        async def noted(now: datetime) -> None:
            await asyncio.sleep(0)
            told.append(f"{word} {now:%m-%d %H:%M}")

        return noted

    await walk(
        town,
        days_between()[:2],
        run_day=note("run"),
        set_clock=lambda now: told.append(f"clock {now:%m-%d %H:%M}"),
        settle=note("settle"),
        walked=lambda day: told.append(f"walked {day:%m-%d}"),
    )

    assert told == [
        "clock 07-01 14:00",
        "run 07-01 14:00",
        "clock 07-02 01:00",
        "settle 07-02 01:00",
        "walked 07-01",
        "clock 07-02 14:00",
        "run 07-02 14:00",
        "clock 07-03 01:00",
        "settle 07-03 01:00",
        "walked 07-02",
    ]


async def test_an_unreachable_receiver_is_no_silence(tmp_path: Path, sandbox: Sandbox) -> None:
    """Where the public pages do not answer, the demo says so instead of going on."""
    town = DemoTown(tmp_path, sandbox, receiver_url="http://127.0.0.1:1")
    town.open()
    sandbox.record.add(mails=[mail_to(f"{number:04d}") for number in range(1, 200)])

    with pytest.raises(aiohttp.ClientError):
        await town.evening(EVENING)
