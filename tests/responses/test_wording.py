"""What people write: a no in any reasonable wording, and what is none."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.responses.wording import (
    Meaning,
    fold,
    is_auto_reply,
    suggestion_for,
    understand,
)

NOS = [
    *("STOP", "stop", "Stop!", " stop. ", "S T O P", "STOP ALL", "stopall", "Stop\nStop"),
    *("UNSUBSCRIBE", "unsubscribe me please", "CANCEL", "END", "QUIT", "Revoke", "OPTOUT"),
    *("opt out", "Opt-Out", "opt me out", "ARRET", "Arrêt", "REMOVE", "remove me", "TD"),
    *("stop please", "please stop", "Please stop this now.", "ok stop", "stop it", "STOP 🛑"),
    *("no more texts", "No more, please", "no más", "NO MAS", "no more of your emails"),
    *("wrong number", "You have the wrong number", "this is not my number", "wrong person"),
    *("quit texting me", "stop sending me these messages", "don't text me", "don\u2019t text me"),
    *("Please do not contact me again", "never write to me again", "do not email me any more"),
    *("I don't want your emails", "I no longer want to receive these mails", "stop emailing"),
    *("take me off your list", "get me off this list", "delete my data", "erase my details"),
    *("I would like to unsubscribe", "how do I opt out?", "I revoke my consent"),
    *("leave me alone", "lose my number", "go away", "fuck off", "STOP: that is hilarious"),
    *("bitte keine mails mehr", "abmelden", "falsche Nummer", "lasst mich in Ruhe"),
    *("darme de baja", "no me escriban más", "numero equivocado", "basta"),
    *("plus de messages svp", "arrêtez", "se désabonner", "mauvais numéro"),
    *("geen mails meer", "uitschrijven", "pare de mandar", "non scrivetemi più"),
    *("\uff33\uff34\uff2f\uff30", "st\u200bop", "STOP\u200d"),
]
NOT_NOS = [
    *("I can't stop wearing it", "I couldn't stop laughing", "Can you stop by?"),
    *("I'll stop by the shop on Friday", "the bus stop is closed", "End of month works"),
    *("Please remove the scratch", "my email is not working", "yes please call"),
    *("Do you send to France?", "When are you open?", "thank you so much", "you can call me"),
    *("My order did not come, please email me", "get me a discount", "take me to the shop"),
    *("Why did you stop emailing me?", "non stop party", "I did not get the email", "👍"),
    *("we moved to Spain", "I found another shop", "The weekend is fine", "no problem at all"),
]
DOUBTFUL = [
    *("please don't stop sending me these", "cancel my order", "not interested"),
    *("Who is this?", "how did you get my number", "no", "No thanks", "that is enough"),
    *("I need to stop spending money", "this is spam", "My husband passed away"),
]


@pytest.mark.parametrize("text", NOS)
def test_a_no_in_any_reasonable_wording_is_a_no(text: str) -> None:
    """Promise P3, FACTS.md TW-20 and LAW-24: keyword, free text, six languages, odd Unicode."""
    assert understand(text).meaning is Meaning.OPT_OUT


@pytest.mark.parametrize("text", NOT_NOS)
def test_the_same_words_used_for_something_else_are_no_no(text: str) -> None:
    """A customer who cannot stop wearing it is not thrown out."""
    assert understand(text).meaning is Meaning.REPLY


@pytest.mark.parametrize("text", DOUBTFUL)
def test_what_may_be_a_no_is_left_to_a_person(text: str) -> None:
    """FACTS.md LAW-27: a "maybe" is handed over, and never stays active."""
    assert understand(text).meaning is Meaning.DOUBTFUL


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("START", Meaning.OPT_IN),
        ("unstop", Meaning.OPT_IN),
        ("YES", Meaning.OPT_IN),
        ("HELP", Meaning.HELP),
        ("info", Meaning.HELP),
        ("help me find a size", Meaning.REPLY),
        ("  \n", Meaning.NOTHING),
    ],
)
def test_the_other_keywords_stand_alone(text: str, meaning: Meaning) -> None:
    """FACTS.md TW-24, TW-25: they count as the whole message only."""
    assert understand(text).meaning is meaning


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("thanks, lovely of you", "thanks"),
        ("What sizes do you have?", "question"),
        ("my parcel arrived broken", "complaint"),
        ("we moved to Spain", "moved"),
        ("I buy at another shop now", "bought elsewhere"),
        ("I am in hospital", "hard time"),
        ("a bit expensive for me", "price"),
        ("maybe next month", "not now"),
        ("are you open on Sunday?", "hours"),
        ("My husband passed away", "a loss"),
        ("not interested", "no longer needed"),
        ("no", "maybe a no"),
        ("hello", "reply"),
    ],
)
def test_a_reply_is_labeled_by_what_it_is_about(text: str, label: str) -> None:
    """The understood meaning labels the case and suggests the answer (DESIGN.md, section 5)."""
    understood = understand(text)
    assert understood.label == label
    assert understood.suggestion == suggestion_for(label) != ""


@given(st.sampled_from(NOS), st.sampled_from(["", "!", "...", " ", "\n"]), st.booleans())
def test_case_and_punctuation_change_no_no(text: str, tail: str, shouts: bool) -> None:  # noqa: FBT001
    """Folding comes before matching: a shouted no is the same no."""
    said = (text.upper() if shouts else text.lower()) + tail
    assert understand(said).meaning is Meaning.OPT_OUT


@given(st.text())
def test_any_text_is_understood_as_something(text: str) -> None:
    """Whatever a person or a machine writes, reading it raises nothing."""
    assert understand(text).meaning in Meaning
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize("word", ["send ", "stop ", "no more ", "do not ever want to ", "a"])
def test_a_very_long_text_costs_little(word: str) -> None:
    """Nobody blocks the door with a novel: reading stays far below a second."""
    begun = time.perf_counter()
    understand(word * 20_000)
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize(
    ("headers", "envelope_from", "subject"),
    [
        ({"auto-submitted": "auto-replied"}, None, "Re: hello"),
        ({"auto-submitted": "auto-generated; owner=x"}, None, ""),
        ({"x-auto-response-suppress": "All"}, None, ""),
        ({"precedence": "bulk"}, None, ""),
        ({"precedence": "auto_reply"}, None, ""),
        ({"return-path": "<>"}, None, ""),
        ({}, "", ""),
        ({}, "a@example.com", "Automatic reply: hello"),
        ({}, "a@example.com", "Abwesenheitsnotiz: hallo"),
        ({}, "a@example.com", "Undeliverable: hello"),
    ],
)
def test_a_machine_that_answers_is_no_reply(
    headers: dict[str, str], envelope_from: str | None, subject: str
) -> None:
    """FACTS.md SG-35: out-of-office notes and bounces by mail mean nothing."""
    assert is_auto_reply(headers, envelope_from=envelope_from, subject=subject)


def test_a_person_is_no_machine() -> None:
    """A header that says no and an ordinary subject are a person's."""
    assert not is_auto_reply(
        {"auto-submitted": "no"}, envelope_from="ann@example.com", subject="Re: How are you?"
    )
