"""The townspeople: the same each time, whatever the order, and as numerous as they should be."""

from hypothesis import given
from hypothesis import strategies as st

from winback.town.people import (
    Reaction,
    Temperament,
    draw,
    react_to_mail,
    react_to_text,
    temperament_of,
)

CUSTOMERS = [f"{number:04d}" for number in range(1, 2358)]
SEED = 1997


@given(st.integers(), st.text(), st.text())
def test_a_draw_is_stable_and_below_one(seed: int, customer: str, question: str) -> None:
    """The same question of the same person has the same answer."""
    drawn = draw(seed, customer, question)

    assert 0 <= drawn < 1
    assert drawn == draw(seed, customer, question)


def test_draws_are_spread_evenly() -> None:
    """Shares that are written down are the shares that come out."""
    drawn = [draw(SEED, customer, "x") for customer in CUSTOMERS]

    assert abs(sum(drawn) / len(drawn) - 0.5) < 0.02


def test_reactions_do_not_depend_on_what_others_do() -> None:
    """Each reaction is drawn by itself: going through the town backwards changes nothing."""

    def reactions(customers: list[str]) -> dict[str, Reaction]:
        return {
            customer: react_to_mail(
                SEED,
                customer,
                step="concern",
                number=1,
                who=temperament_of(SEED, customer),
                has_reasons=True,
            )
            for customer in customers
        }

    assert reactions(CUSTOMERS) == reactions(CUSTOMERS[::-1])


def test_another_seed_is_another_town() -> None:
    """The seed is what makes a town."""
    assert temperament_of(1, "0001") != temperament_of(2, "0001")


def test_a_town_does_all_that_people_do() -> None:
    """Opens, clicks, taps, replies, noes, complaints, bounces, and purchases all occur."""
    reactions = [
        react_to_mail(
            SEED, customer, step=step, number=number, who=_who(customer), has_reasons=True
        )
        for customer in CUSTOMERS
        for number, step in enumerate(("concern", "check-in", "voucher"), start=1)
    ]

    for deed in ("bounces", "opens_by_machine", "opens", "clicks", "reason", "reply", "says_no"):
        assert any(getattr(reaction, deed) for reaction in reactions), deed
    assert any(reaction.complains for reaction in reactions)
    assert any(reaction.comes_back_in for reaction in reactions)


def test_who_is_brought_back_comes_once() -> None:
    """Of all messages to one person at most one brings the purchase."""
    for customer in CUSTOMERS:
        who = _who(customer)
        came = [
            react_to_mail(
                SEED, customer, step=str(number), number=number, who=who, has_reasons=False
            ).comes_back_in
            for number in range(1, 9)
        ]
        assert sum(days is not None for days in came) <= 1


def test_a_gone_mailbox_only_bounces() -> None:
    """Nobody reads what bounced."""
    bouncing = next(customer for customer in CUSTOMERS if _who(customer).is_bouncing)

    reaction = react_to_mail(
        SEED, bouncing, step="concern", number=1, who=_who(bouncing), has_reasons=True
    )

    assert reaction == Reaction(bounces=True)


def test_texts_are_answered_too() -> None:
    """Some text STOP, some reply, some follow the link."""
    reactions = [
        react_to_text(SEED, customer, which=1, number=2, who=_who(customer))
        for customer in CUSTOMERS
    ]

    assert any(reaction.says_no and reaction.reply for reaction in reactions)
    assert any(reaction.reply and not reaction.says_no for reaction in reactions)
    assert any(reaction.clicks for reaction in reactions)


def _who(customer: str) -> Temperament:
    return temperament_of(SEED, customer)
