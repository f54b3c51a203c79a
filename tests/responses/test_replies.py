"""A person answers a person (promise P7), and clicks."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.responses.ears import Ears
from winback.business import Business
from winback.states import CaseKind, CaseState


@pytest.mark.parametrize(
    ("text", "label"),
    [("I loved it, thanks!", "thanks"), ("please don't stop these", "maybe a no"), ("👍", "reply")],
)
def test_a_written_reply_pauses_everything_and_opens_a_case(
    shop: Ears, text: str, label: str
) -> None:
    """Promise P7; a doubtful one never stays active (FACTS.md LAW-27)."""
    enrollment_id, _ = shop.written()
    counts = shop.hear(shop.text_back(text))
    assert (counts.replies, counts.handed_over) == (1, 1)
    assert shop.state(enrollment_id) == "handed_over"
    (case,) = shop.cases()
    assert (case.kind, case.state, case.label) == (CaseKind.REPLY, CaseState.OPEN, label)
    assert (case.text, case.enrollment_id) == (text, enrollment_id)


def test_a_mail_reply_is_matched_by_its_token_in_any_case_of_letters(shop: Ears) -> None:
    """FACTS.md SG-36: the reply address names the message, whoever seems to have sent it."""
    enrollment_id, message = shop.written()
    shop.hear(shop.mail_back(message, "Are you open?\n\n> quoted", **{"from": "x@example.org"}))
    (case,) = shop.cases()
    assert (case.label, case.text, case.enrollment_id) == ("hours", "Are you open?", enrollment_id)


def test_an_out_of_office_note_is_nothing(shop: Ears) -> None:
    """FACTS.md SG-35: no case, no state."""
    enrollment_id, message = shop.written()
    shop.hear(shop.mail_back(message, "I am away", headers="Auto-Submitted: auto-replied\n"))
    assert shop.state(enrollment_id) == "active"
    assert shop.cases() == []


def test_a_reply_after_the_end_opens_a_case_and_the_state_stays(shop: Ears) -> None:
    """DESIGN.md, section 5."""
    enrollment_id, message = shop.written()
    shop.tap(message, "moved")
    shop.hear(shop.text_back("Thank you for the kind words"))
    assert shop.state(enrollment_id) == "parted"
    assert len(shop.cases()) == 1


def test_a_second_reply_opens_its_own_case(shop: Ears) -> None:
    """Nothing that a person wrote is lost, and a repeat of the webhook is no second one."""
    shop.written()
    first = shop.text_back("One thing")
    shop.hear(first)
    shop.hear(first, shop.text_back("Another thing"))
    assert [case.text for case in shop.cases()] == ["One thing", "Another thing"]


def test_a_human_click_makes_the_next_step_come_sooner(shop: Ears) -> None:
    """One day after the click, and only once."""
    enrollment_id, message = shop.written()
    click = {"url": "https://shop.example.com"}
    assert shop.hear(shop.report(message, "click", **click)).clicks == 1
    assert shop.hear(shop.report(message, "click", **click)).clicks == 0
    row = shop.enrollment(enrollment_id)
    assert row.due_on == shop.now.date() + timedelta(days=1)
    assert shop.messages(enrollment_id)[0].clicked_at is not None
    assert row.state.value == "active"


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "https://shop.example.com", "useragent": "Barracuda Sentinel"},
        {"url": "https://win.example.com/u/token"},
        {"url": "https://win.example.com/why/token"},
    ],
)
def test_scanners_and_our_own_pages_speed_nothing_up(shop: Ears, fields: dict[str, str]) -> None:
    """FACTS.md SEC-11; a tap on a reason is no interest in the shop."""
    enrollment_id, message = shop.written()
    before = shop.enrollment(enrollment_id).due_on
    assert shop.hear(shop.report(message, "click", **fields)).clicks == 0
    assert shop.enrollment(enrollment_id).due_on == before
    assert shop.messages(enrollment_id)[0].clicked_at is None


def test_an_open_is_recorded_and_nothing_more(shop: Ears) -> None:
    """And a machine's open is not even that."""
    enrollment_id, message = shop.written()
    shop.hear(shop.report(message, "open", sg_machine_open=True))
    assert shop.messages(enrollment_id)[0].opened_at is None
    shop.hear(shop.report(message, "open"))
    assert shop.messages(enrollment_id)[0].opened_at is not None
    assert shop.state(enrollment_id) == "active"


NEWS = ("processed", "delivered", "bounce", "open", "click", "spamreport", "reply")


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(order=st.permutations(NEWS), batches=st.integers(1, 3))
def test_any_order_and_any_replay_ends_the_same(
    business: Business, *, order: list[str], batches: int
) -> None:
    """FACTS.md SG-22, SG-23: same state of message, enrollment, suppression and cases."""
    shop = Ears(business)
    shop._people = len(shop.messages())
    enrollment_id, message = shop.written()
    number = shop._people
    raws = [
        shop.text_back("a word", From=f"+4479111{number:05d}", MessageSid=f"SM{number:032d}")
        if event == "reply"
        else shop.report(
            message,
            event,
            email=f"ann{number}@example.com",
            sg_event_id=f"{number}-{event}",
            url="https://shop.example.com",
            **({"type": "bounce"} if event == "bounce" else {}),
        )
        for event in order
    ]
    raws = [type(raw)(f"{number}:{raw.key}", raw.origin, raw.body) for raw in raws]
    for start in range(0, len(raws), batches):
        shop.hear(*raws[start : start + batches])
    shop.hear(*raws)
    after = shop.messages(enrollment_id)[0]
    assert after.state.value == "bounced"
    assert after.opened_at is not None
    assert shop.state(enrollment_id) == "suppressed"
    assert [case.enrollment_id for case in shop.cases()].count(enrollment_id) == 1
