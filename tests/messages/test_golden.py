"""Every shipped template, rendered for each place that it is used at, is as it was.

After a wanted change: ``WINBACK_GOLDEN=write python -m pytest tests/messages/test_golden.py``,
then read the difference.
"""

import os
from pathlib import Path

import pytest

from winback.campaign.loading import load_campaigns, load_facts
from winback.messages.compiling import compile_template
from winback.messages.lint import Position, positions_of
from winback.messages.mistakes import lint_shelf, shelf_warnings
from winback.messages.rendering import render
from winback.messages.sample import ADA, AMERICAN, NAMELESS, sample_context, sample_voucher
from winback.messages.segments import count_segments
from winback.messages.shelf import load_shelf
from winback.messages.templates import Rendered, Source
from winback.states import Channel

from .kit import FACTS, ROOT

GOLDEN = Path(__file__).parent / "golden"
CUSTOMERS = {"ada": ADA, "nameless": NAMELESS, "american": AMERICAN}
SHELF = load_shelf(ROOT, load_campaigns(ROOT), load_facts(ROOT))
SOURCES = tuple(SHELF.sources.values())
NAMED = [pytest.param(source, id=source.shown_as) for source in SOURCES]


def _places(source: Source) -> tuple[Position, ...]:
    (campaign,) = SHELF.campaigns
    places = positions_of(campaign, source.template, source.channel)
    return places or (Position(source.template, source.channel, may_have_voucher=True),)


def _rendered(source: Source, place: Position, who: str) -> Rendered:
    context = sample_context(
        FACTS.plain(),
        customer=CUSTOMERS[who],
        step=place.name,
        voucher=sample_voucher() if place.may_have_voucher else None,
        is_short=source.channel is Channel.SMS,
    )
    return render(compile_template(source).unpublished(), context)


def _checked(path: Path, made: str) -> None:
    if os.environ.get("WINBACK_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made, encoding="utf-8")
    assert made == path.read_text(encoding="utf-8"), f"{path.name} is not what it was"


@pytest.mark.parametrize("who", CUSTOMERS)
@pytest.mark.parametrize("source", NAMED)
def test_words_are_as_they_were(source: Source, who: str) -> None:
    """A change of words or layout is seen before a customer sees it."""
    for place in _places(source):
        made = _rendered(source, place, who)
        name = f"{source.template}.{source.suffix}.{place.name}.{who}"

        _checked(GOLDEN / source.campaign / f"{name}.txt", f"{made.subject}\n\n{made.text}")
        if made.html and who == "ada":
            _checked(GOLDEN / source.campaign / f"{name}.html", made.html)


def test_the_shelf_lints_clean() -> None:
    """P5: what is shipped can go live."""
    assert lint_shelf(SHELF) == []
    assert shelf_warnings(SHELF) == []


@pytest.mark.parametrize(
    "source",
    [pytest.param(one, id=one.shown_as) for one in SOURCES if one.suffix == "mjml"],
)
def test_every_mail_has_its_footer(source: Source) -> None:
    """LAW-8: postal address, way out and the reason link stand in both parts of every mail."""
    made = _rendered(source, _places(source)[0], "ada")

    for part in (made.html, made.text):
        assert "12 Mill Lane, Bristol BS1 4XY" in part
        assert "https://win.example.com/u/" in part
        assert "https://win.example.com/why/" in part
    assert made.html.count("clicktracking") >= 2
    assert "http://" not in made.html.replace("http://www.w3.org", "")


@pytest.mark.parametrize("who", CUSTOMERS)
@pytest.mark.parametrize("template", ["check-in", "reminder"])
def test_every_text_is_short(template: str, who: str) -> None:
    """LAW-31, TW-7: brand and STOP in every text, in plain letters and at most two segments."""
    (source,) = SHELF.find("six-month", template, Channel.SMS)
    text = _rendered(source, _places(source)[0], who).text

    assert "Olive & Oak" in text
    assert "Reply STOP to opt out" in text
    assert count_segments(text).encoding == "GSM-7"
    assert count_segments(text).segments <= (1 if who == "ada" else 2)


def test_every_step_and_answer_has_its_words() -> None:
    """A campaign whose template is missing would fall silent."""
    (campaign,) = SHELF.campaigns

    for name in campaign.message_names():
        message = campaign.message(name)
        for channel in message.channels:
            assert SHELF.find("six-month", message.template, channel), f"{name} by {channel}"
