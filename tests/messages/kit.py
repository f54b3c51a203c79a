"""What the tests of templates share: a home folder with a few files, and the shipped one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winback.campaign.facts import Facts
from winback.campaign.schema import Campaign
from winback.errors import FileMistakes, Mistake
from winback.messages.compiling import compile_template
from winback.messages.lint import lint, positions_of
from winback.messages.shelf import Shelf, load_shelf
from winback.messages.templates import Source
from winback.states import Channel

ROOT = Path(__file__).parents[2]
LAYOUT = (ROOT / "templates/_layout/email.mjml").read_text(encoding="utf-8")
TEXT_LAYOUT = (ROOT / "templates/_layout/email.txt").read_text(encoding="utf-8")

FACTS = Facts.model_validate(
    {
        "benefits": {
            "repair": {"says": "free repairs for life", "by": "Anna", "since": "2026-03-01"},
            "delivery": {"says": "next-day delivery", "by": "Tom", "since": "2026-05-02"},
        },
        "guarantees": {
            "fresh": {"says": "your money back if not fresh", "by": "Anna", "since": "2024-01-15"}
        },
        "hours": "Mon to Sat 9 to 19, online always",
        "fixed": {
            "delivery": {
                "was": "late deliveries in spring",
                "now": "next-day by our own van",
                "closed": "2026-05-02",
                "by": "Tom",
            }
        },
    }
)

CAMPAIGN = Campaign.model_validate(
    {
        "campaign": "six-month",
        "steps": [
            {"step": "hello", "wait": "0 days", "channel": "email", "template": "hello"},
            {
                "step": "ask",
                "wait": "5 days",
                "channel": "sms",
                "template": "ask",
                "otherwise": "email",
            },
            {
                "step": "gift",
                "wait": "7 days",
                "channel": "email",
                "template": "gift",
                "offer": "back",
            },
            {
                "step": "again",
                "before_expiry": "4 days",
                "channel": "sms",
                "template": "again",
                "otherwise": "email",
            },
            {"step": "last", "wait": "9 days", "channel": "email", "template": "last"},
        ],
        "answers": {"moved": {"template": "bye"}, "purchase": {"template": "thanks"}},
        "offers": {"back": {"percent": 15, "valid_for": "21 days", "minimum_spend": 30}},
    }
)

HELLO = "Hello {{ customer.greeting_name or 'there' }},"
SIGNED = "Just reply. {{ business.signature }}"


def mail(
    *texts: str, subject: str = "How are you?", preheader: str = "A word", extra: str = ""
) -> str:
    """Give the file of a mail with these texts."""
    inside = "".join(f"<mj-text>{text}</mj-text>\n" for text in texts)
    front = f"---\nsubject: {subject!r}\npreheader: {preheader!r}\n---\n"
    return f"{front}<mj-section><mj-column>\n{inside}{extra}</mj-column></mj-section>\n"


def shelf_of(
    home: Path, files: Mapping[str, str], *, facts: Facts = FACTS, layout: str = LAYOUT
) -> Shelf:
    """Write template files below a home folder and read its shelf."""
    given = {"_layout/email.mjml": layout, "_layout/email.txt": TEXT_LAYOUT}
    for name, text in {
        **given,
        **{f"six-month/{key}": text for key, text in files.items()},
    }.items():
        path = home / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load_shelf(home, (CAMPAIGN,), facts)


def only(shelf: Shelf, template: str, channel: Channel = Channel.EMAIL) -> Source:
    """Give the one source of a template."""
    (source,) = shelf.find("six-month", template, channel)
    return source


def mistakes_in(home: Path, name: str, text: str, *, facts: Facts = FACTS) -> list[Mistake]:
    """Give what keeps one file from going live."""
    shelf = shelf_of(home, {name: text}, facts=facts)
    (source,) = shelf.sources.values()
    try:
        made = compile_template(source)
    except FileMistakes as wrong:
        return wrong.mistakes
    places = positions_of(CAMPAIGN, source.template, source.channel)
    return lint(made, positions=places, facts=facts)


def plain(facts: Facts = FACTS) -> dict[str, Any]:
    """Give facts as templates see them."""
    return facts.plain()
