"""How many leave: warm-up, codes that the shop must know, several workers, a year's turn."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.database.tables import Voucher
from winback.delivery.counts import SendCounts
from winback.states import Channel, MessageState, Mode, VoucherState


def test_the_warm_up_starts_slowly_in_live(shop: Shop) -> None:
    """50 mails on the first day of a new sender, 75 on the second (FACTS.md LAW-21)."""
    shop.change(mode=Mode.LIVE)
    for _ in range(55):
        shop.enroll()

    first, at_once = shop.send(), shop.send()
    shop.now += DAY
    second = shop.send()

    assert (first.accepted, first.postponed) == (50, 5)
    assert at_once.accepted == 0
    assert second.accepted == 5


def test_a_code_that_the_shop_does_not_know_is_not_sent(shop: Shop) -> None:
    """In test and live a step waits for the export of its codes, and the owner is told (P6)."""
    shop.change(mode=Mode.TEST)
    one = shop.enroll(next_step="voucher")

    waiting = [shop.send(), shop.send()]
    with Session(shop.engine) as session, session.begin():
        session.execute(update(Voucher).values(exported_at=shop.now))
    after_export = shop.send()

    assert [counts.postponed for counts in waiting] == [1, 1]
    assert [what for what, _ in shop.decisions(one)] == ["postponed"]
    assert after_export.accepted == 1
    with Session(shop.engine) as session:
        states = session.scalars(select(Voucher.state).where(Voucher.enrollment_id == one)).all()
    assert list(states) == [VoucherState.ISSUED]


def test_when_the_codes_run_out_the_step_is_skipped(shop: Shop) -> None:
    """Never beyond the limit; who gets none goes on without (P6)."""
    ids = [shop.enroll(next_step="voucher") for _ in range(22)]

    counts = shop.send()

    assert (counts.accepted, counts.skipped) == (20, 2)
    skipped = [one for one in ids if shop.passages(one).get("voucher") == "skipped"]
    assert len(skipped) == 2
    assert "run out" in shop.decisions(skipped[0])[0][1]


def test_workers_at_once_send_each_message_once(shop: Shop) -> None:
    """Several workers share the outbox; nobody gets two (P1, P12, FACTS.md DS-9)."""
    for _ in range(60):
        shop.enroll()

    def work(_: int) -> SendCounts:
        return shop.send(Channel.EMAIL)

    with ThreadPoolExecutor(3) as pool:
        counts = list(pool.map(work, range(3)))

    assert sum(one.accepted for one in counts) == 60
    assert len({mail.send_id for mail in shop.mail.sent}) == len(shop.mail.sent) == 60
    assert {message.state for message in shop.messages()} == {MessageState.ACCEPTED}


def test_downtime_is_caught_up_one_step_at_a_time(shop: Shop) -> None:
    """After a month of silence: nothing stale, no burst, never two steps on one day (P10)."""
    one = shop.enroll()
    shop.send()
    shop.now += 30 * DAY

    days: dict[int, list[str]] = {}
    for day in range(40):
        shop.send()
        for message in shop.messages(one):
            if message.accepted_at == shop.now:
                days.setdefault(day, []).append(message.step)
        shop.now += timedelta(days=1)

    # check-in was due on day 5: too old. The voucher comes seven days after that is noted.
    assert days == {7: ["voucher"], 24: ["reminder"], 38: ["farewell"]}
