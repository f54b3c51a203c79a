"""Reserve, issue, return, release: on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from tests.vouchers.shop import WELCOME, a_campaign, enroll, queue, seeded
from winback.campaign.schema import Campaign
from winback.database.tables import Enrollment, Move, Voucher
from winback.periods import Period
from winback.states import EnrollmentState, MessageState, VoucherState
from winback.vouchers.machine import VoucherEvent
from winback.vouchers.moving import move_vouchers
from winback.vouchers.reserving import (
    NotExported,
    RunOut,
    UsedUp,
    expiry_of,
    issue,
    issue_many,
    release,
    release_ended,
    release_many,
    reserve,
    reserve_many,
    return_unsent,
)
from winback.vouchers.stock import fill

LONDON = ZoneInfo("Europe/London")


def filled(session: Session, now: datetime, campaign: Campaign | None = None) -> Campaign:
    """Give a campaign whose stock is full."""
    campaign = campaign or a_campaign()
    fill(session, campaign, now=now, rng=seeded(), home=Path())
    return campaign


def reserved(session: Session, campaign: Campaign, enrollment_id: int, now: datetime) -> int:
    """Reserve and give the voucher's id."""
    answer = reserve(
        session,
        enrollment_id=enrollment_id,
        campaign=campaign,
        offer="welcome",
        now=now,
        must_be_exported=False,
    )
    assert isinstance(answer, int)
    return answer


def state_of(session: Session, voucher_id: int) -> VoucherState:
    """Give the stored state of a voucher."""
    return session.scalars(select(Voucher.state).where(Voucher.id == voucher_id)).one()


def test_a_second_step_gets_the_same_code(session: Session, now: datetime) -> None:
    """One code per enrollment and offer, repeated unchanged (P6)."""
    campaign = filled(session, now)
    (one,) = enroll(session, campaign, now)

    first = reserved(session, campaign, one, now)
    again = reserved(session, campaign, one, now + timedelta(days=9))

    assert first == again
    assert session.scalar(select(func.count()).where(Voucher.enrollment_id == one)) == 1


def test_no_two_customers_share_a_code(session: Session, now: datetime) -> None:
    """Many are reserved at once, each with a code of its own (FACTS.md DS-12)."""
    campaign = filled(session, now)
    enrollments = enroll(session, campaign, now, count=8)

    answers = reserve_many(
        session,
        [(one, "welcome") for one in enrollments],
        campaign=campaign,
        now=now,
        must_be_exported=False,
    )

    assert len(set(answers.values())) == 8
    assert session.scalar(select(func.count()).where(Move.thing == "voucher")) == 8


def test_codes_run_out_at_the_limit(session: Session, now: datetime) -> None:
    """The first ten get a code, the others are told that none is left; never an eleventh (P6)."""
    campaign = filled(session, now)
    enrollments = enroll(session, campaign, now, count=12)

    answers = reserve_many(
        session,
        [(one, "welcome") for one in enrollments],
        campaign=campaign,
        now=now,
        must_be_exported=False,
    )
    fill(session, campaign, now=now, rng=seeded(), home=Path())
    later = reserve_many(
        session, [(enrollments[-1], "welcome")], campaign=campaign, now=now, must_be_exported=False
    )

    assert [isinstance(answer, int) for answer in answers.values()] == [True] * 10 + [False] * 2
    assert answers[enrollments[-1], "welcome"] == RunOut("welcome")
    assert list(later.values()) == [RunOut("welcome")]


def test_a_lowered_limit_holds_at_once(session: Session, now: datetime) -> None:
    """Codes made for a higher limit are not given beyond a lower one (P6)."""
    filled(session, now)
    lowered = a_campaign(welcome=WELCOME | {"codes": 2})
    enrollments = enroll(session, lowered, now, count=3)

    answers = reserve_many(
        session,
        [(one, "welcome") for one in enrollments],
        campaign=lowered,
        now=now,
        must_be_exported=False,
    )

    assert [isinstance(answer, int) for answer in answers.values()] == [True, True, False]


def test_a_code_is_not_sent_before_the_shop_knows_it(session: Session, now: datetime) -> None:
    """Outside the sandbox a step waits until its codes were exported (P6)."""
    campaign = filled(session, now)
    (one,) = enroll(session, campaign, now)
    wanted = {
        "enrollment_id": one,
        "campaign": campaign,
        "offer": "welcome",
        "now": now,
        "must_be_exported": True,
    }

    before = reserve(session, **wanted)  # type: ignore[arg-type]
    session.query(Voucher).update({Voucher.exported_at: now})
    after = reserve(session, **wanted)  # type: ignore[arg-type]

    assert before == NotExported("welcome")
    assert isinstance(after, int)


def test_an_edited_offer_gets_codes_of_its_own(session: Session, now: datetime) -> None:
    """What the till knows as 15% is never sent as 20% (P5, P6)."""
    filled(session, now)
    edited = filled(session, now, a_campaign(welcome=WELCOME | {"percent": 20}))
    (one,) = enroll(session, edited, now)

    voucher = session.get_one(Voucher, reserved(session, edited, one, now))

    assert '"percent": "20"' in voucher.terms


def test_codes_of_former_terms_are_made_for_who_still_gets_them(
    session: Session, now: datetime
) -> None:
    """The stock is filled for the terms of today; the limit is over all of them (P5, P6)."""
    former = a_campaign()
    edited = filled(session, now, a_campaign(welcome=WELCOME | {"percent": 20}))
    for one in enroll(session, edited, now, count=7):
        reserved(session, edited, one, now)
    pairs = [(one, "welcome") for one in enroll(session, former, now, count=5)]

    answers = reserve_many(
        session, pairs, campaign=former, now=now, must_be_exported=False, rng=seeded()
    )
    again = reserve_many(
        session, pairs, campaign=former, now=now, must_be_exported=False, rng=seeded()
    )

    ids = [one for one in answers.values() if isinstance(one, int)]
    assert again == answers
    assert [*answers.values()][3:] == [RunOut("welcome")] * 2
    assert {session.get_one(Voucher, id_).terms for id_ in ids} == {former.offers["welcome"].terms}
    assert session.scalar(select(func.count()).where(Voucher.enrollment_id.is_not(None))) == 10


def test_codes_of_former_terms_wait_for_the_till(session: Session, now: datetime) -> None:
    """Outside the sandbox they are made once, up to the limit, and sent when exported (P6)."""
    former = a_campaign()
    filled(session, now, a_campaign(welcome=WELCOME | {"percent": 20}))
    pairs = [(one, "welcome") for one in enroll(session, former, now, count=2)]
    mine = Voucher.terms == former.offers["welcome"].terms

    for _ in range(2):
        before = reserve_many(
            session, pairs, campaign=former, now=now, must_be_exported=True, rng=seeded()
        )
        assert session.scalar(select(func.count()).where(mine)) == 10
    session.query(Voucher).update({Voucher.exported_at: now})
    after = reserve_many(
        session, pairs, campaign=former, now=now, must_be_exported=True, rng=seeded()
    )

    assert set(before.values()) == {NotExported("welcome")}
    assert all(isinstance(answer, int) for answer in after.values())


def test_an_offer_without_a_limit_never_runs_out(session: Session, now: datetime) -> None:
    """Codes without a limit are made as they are needed; outside the sandbox the step waits."""
    campaign = a_campaign(welcome={"gift": "honey", "cost": 3, "valid_for": "9 days"})
    enrollments = enroll(session, campaign, now, count=3)
    pairs = [(one, "welcome") for one in enrollments]

    strict = reserve_many(
        session, pairs, campaign=campaign, now=now, must_be_exported=True, rng=seeded()
    )
    easy = reserve_many(
        session, pairs, campaign=campaign, now=now, must_be_exported=False, rng=seeded()
    )

    assert set(strict.values()) == {NotExported("welcome")}
    assert all(isinstance(answer, int) for answer in easy.values())


@pytest.mark.parametrize(
    ("claimed_at", "expires_at"),
    [
        (datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2026, 3, 24, 0, tzinfo=UTC)),
        (datetime(2026, 3, 20, 10, tzinfo=UTC), datetime(2026, 4, 10, 23, tzinfo=UTC)),
        (datetime(2026, 6, 1, 23, 30, tzinfo=UTC), datetime(2026, 6, 23, 23, tzinfo=UTC)),
    ],
    ids=["winter", "over a clock change", "already tomorrow in London"],
)
def test_a_voucher_ends_with_a_local_day(claimed_at: datetime, expires_at: datetime) -> None:
    """It ends at the end of the business's local day, claim date plus valid_for."""
    assert expiry_of(claimed_at, Period(days=21), LONDON) == expires_at


def test_the_first_message_fixes_the_expiry(session: Session, now: datetime) -> None:
    """A later message that carries the code says the same true date (P5, LAW-7)."""
    campaign = filled(session, now)
    (one,) = enroll(session, campaign, now)
    voucher = reserved(session, campaign, one, now)
    later = now + timedelta(days=5)

    first = issue(session, voucher, message_id=1, now=now, valid_for=Period(days=21), zone=LONDON)
    again = issue(session, voucher, message_id=2, now=later, valid_for=Period(days=21), zone=LONDON)

    assert first == again == datetime(2026, 3, 24, tzinfo=UTC)
    assert session.get_one(Voucher, voucher).issued_by == 1


def test_nothing_is_sent_with_an_expired_code(session: Session, now: datetime) -> None:
    """From its expiry on a voucher is neither issued nor reserved again."""
    campaign = filled(session, now)
    (one,) = enroll(session, campaign, now)
    voucher = reserved(session, campaign, one, now)
    expiry = issue(session, voucher, message_id=1, now=now, valid_for=Period(days=1), zone=LONDON)
    assert expiry is not None

    carried = {2: (voucher, Period(days=1))}
    assert issue_many(session, carried, now=expiry - timedelta(seconds=1), zone=LONDON)[2] == expiry
    assert issue_many(session, carried, now=expiry, zone=LONDON) == {2: None}
    answers = reserve_many(
        session, [(one, "welcome")], campaign=campaign, now=expiry, must_be_exported=False
    )
    assert list(answers.values()) == [UsedUp("welcome")]


def test_an_unsent_message_gives_its_issue_back(session: Session, now: datetime) -> None:
    """Only the message that issued a code can take that back; the next claim fixes a new date."""
    campaign = filled(session, now)
    (one,) = enroll(session, campaign, now)
    voucher = reserved(session, campaign, one, now)
    mine = queue(session, one, voucher, now)
    issue(session, voucher, message_id=mine, now=now, valid_for=Period(days=1), zone=LONDON)

    assert not return_unsent(session, voucher, mine + 1, now)
    assert return_unsent(session, voucher, mine, now)
    assert not return_unsent(session, voucher, mine, now)

    later = now + timedelta(days=3)
    expiry = issue(session, voucher, message_id=9, now=later, valid_for=Period(days=1), zone=LONDON)
    assert expiry == datetime(2026, 3, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "state", [MessageState.SENDING, MessageState.UNCONFIRMED, MessageState.ACCEPTED]
)
def test_a_code_that_another_message_carried_away_stays_issued(
    session: Session, now: datetime, state: MessageState
) -> None:
    """The customer may hold a code that a second message carried: its date must not change."""
    campaign = filled(session, now)
    (one,) = enroll(session, campaign, now)
    voucher = reserved(session, campaign, one, now)
    mine = queue(session, one, voucher, now)
    issue(session, voucher, message_id=mine, now=now, valid_for=Period(days=9), zone=LONDON)
    queue(session, one, voucher, now, step="reminder", state=state)

    assert not return_unsent(session, voucher, mine, now)
    assert state_of(session, voucher) is VoucherState.ISSUED


def test_an_ended_enrollment_frees_what_was_never_sent(session: Session, now: datetime) -> None:
    """A reserved code is free again for others; an issued one stays with its customer."""
    campaign = filled(session, now)
    unsent, sent = enroll(session, campaign, now, count=2)
    mine, theirs = (reserved(session, campaign, one, now) for one in (unsent, sent))
    issue(session, theirs, message_id=5, now=now, valid_for=Period(days=9), zone=LONDON)

    assert release(session, sent, now) == 0
    assert release_many(session, [unsent, sent], now) == 1

    assert state_of(session, mine) is VoucherState.FREE
    assert state_of(session, theirs) is VoucherState.ISSUED
    (other,) = enroll(session, campaign, now)
    assert reserved(session, campaign, other, now) == mine


def test_what_a_live_message_carries_is_not_freed(session: Session, now: datetime) -> None:
    """An answer may follow a final state; its code is freed when it is settled unsent."""
    campaign = filled(session, now)
    (one,) = enroll(session, campaign, now)
    voucher = reserved(session, campaign, one, now)
    message = queue(session, one, voucher, now, state=MessageState.QUEUED)
    session.get_one(Enrollment, one).state = EnrollmentState.CONVERTED
    session.flush()

    assert release(session, one, now) == 0
    assert release_ended(session, now) == 0

    session.execute(
        Voucher.metadata.tables["messages"]
        .update()
        .where(Voucher.metadata.tables["messages"].c.id == message)
        .values(state="skipped")
    )
    assert release_ended(session, now) == 1
    assert state_of(session, voucher) is VoucherState.FREE


def test_open_enrollments_keep_what_they_reserved(session: Session, now: datetime) -> None:
    """The sweep leaves those alone who are still on their way."""
    campaign = filled(session, now)
    (one,) = enroll(session, campaign, now)
    voucher = reserved(session, campaign, one, now)

    assert release_ended(session, now) == 0
    assert state_of(session, voucher) is VoucherState.RESERVED


def test_only_an_issued_code_is_voided(session: Session, now: datetime) -> None:
    """Voiding takes an issued code back for good, and says why in the history."""
    campaign = filled(session, now)
    (one,) = enroll(session, campaign, now)
    voucher = reserved(session, campaign, one, now)

    def void() -> list[int]:
        taken = [{"id": voucher}]
        return move_vouchers(session, VoucherEvent.VOIDED, taken, now=now, why="wrong customer")

    assert void() == []
    issue(session, voucher, message_id=5, now=now, valid_for=Period(days=9), zone=LONDON)
    assert void() == [voucher]

    assert session.scalars(select(Move.why).where(Move.to_state == "voided")).all() == [
        "wrong customer"
    ]


def test_two_planners_at_once_give_one_code_each(engine: Engine, now: datetime) -> None:
    """Eight writers at once neither share a code nor pass the limit (P6)."""
    with Session(engine) as session, session.begin():
        campaign = filled(session, now)
        enrollments = enroll(session, campaign, now, count=12)

    def plan(enrollment_id: int) -> object:
        with Session(engine) as session, session.begin():
            return reserve(
                session,
                enrollment_id=enrollment_id,
                campaign=campaign,
                offer="welcome",
                now=now,
                must_be_exported=False,
            )

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(plan, [*enrollments, *enrollments]))

    given = [answer for answer in answers if isinstance(answer, int)]
    assert len(set(given)) == 10
    assert answers[:12].count(RunOut("welcome")) == 2
