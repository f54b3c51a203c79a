"""The new words of a mail reply."""

import time

import pytest

from winback.responses.quoting import new_words
from winback.responses.wording import Meaning, understand

QUOTED = """
On Mon, 2 Mar 2026 at 10:00, Anna at Olive & Oak <anna@example.com> wrote:
> Hello Ann,
> Reply STOP to stop, or unsubscribe here.
"""


@pytest.mark.parametrize(
    ("mail", "words"),
    [
        (f"Yes please call me.{QUOTED}", "Yes please call me."),
        (f"Thanks!\n\nSent from my iPhone\n{QUOTED}", "Thanks!"),
        ("Only this.", "Only this."),
        ("First line\r\nsecond line\r\n", "First line\nsecond line"),
        ("> quoted only\n> all of it", ""),
        (
            "Danke!\n\nAm 02.03.2026 um 10:00 schrieb Anna <anna@example.com>:\n> Hallo STOP",
            "Danke!",
        ),
        (
            "Merci\n\nLe lun. 2 mars 2026 à 10:00, Anna <anna@example.com>\na écrit :\n> STOP",
            "Merci",
        ),
        ("Call me\n\nFrom: Anna\nSent: Monday\nTo: Ann\nSubject: Hi\n\nReply STOP", "Call me"),
        ("Call me\n-----Original Message-----\nReply STOP to stop", "Call me"),
        ("Bye\n-- \nAnn Oakley\nStop Lane 3", "Bye"),
        (f"{QUOTED.strip()}\n\nMy answer stands below.", "My answer stands below."),
        ("On Monday I bought a chair", "On Monday I bought a chair"),
    ],
)
def test_quotes_and_signatures_of_phones_are_left_out(mail: str, words: str) -> None:
    """LIBRARIES.md: only the stripped reply is looked at for a no."""
    assert new_words(mail) == words


def test_our_own_footer_in_the_quote_is_no_opt_out() -> None:
    """A kind reply above our quoted "Reply STOP" does not suppress the customer."""
    kind = understand(new_words(f"I would love to come by.{QUOTED}"))
    assert kind.meaning is Meaning.REPLY
    assert understand(new_words(f"please stop{QUOTED}")).meaning is Meaning.OPT_OUT


@pytest.mark.parametrize(
    "part", ["On a day he wrote: ", "Am x schrieb ", "> \n", "\n", "On \n", "From: a\n", "_", " "]
)
def test_a_crafted_mail_costs_little(part: str) -> None:
    """Nobody blocks the door with a mail: what a library took minutes for takes no second."""
    begun = time.perf_counter()
    new_words(part * 100_000)
    assert time.perf_counter() - begun < 1
