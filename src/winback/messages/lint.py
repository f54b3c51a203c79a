"""What a template must say and must not say before it may go live (DESIGN.md, promise P5).

The rules of form (MJML, syntax, front matter) are kept by ``building``. Here stand the rules of
words: those of every template, and those that depend on the steps that use it. A file is read as
its author sees it, so each mistake names its line; and it is rendered dry for made-up customers.
"""

import re
from collections.abc import Iterator, Sequence

from winback.campaign.loading import Facts
from winback.errors import Mistake, TemplateError
from winback.messages import prose
from winback.messages.building import take_apart
from winback.messages.context import CustomerView
from winback.messages.positions import Position, positions_of
from winback.messages.rendering import render
from winback.messages.sample import (
    ADA,
    AMERICAN,
    NAMELESS,
    SAMPLE_CODE,
    SAMPLE_SETTINGS,
    sample_context,
    sample_voucher,
)
from winback.messages.segments import count_segments, not_in_gsm
from winback.messages.templates import Compiled, Rendered
from winback.messages.variables import names_used
from winback.messages.word_rules import (
    FileText,
    texts_of,
    unknown,
    wrong_in_first_touch,
    wrong_in_goodbye,
    wrong_words,
)
from winback.states import Channel

__all__ = ["Position", "lint", "positions_of", "warnings"]

MAX_SEGMENTS = 2
MAX_HTML = 90_000
"""Bytes; a large mail provider hides what stands after 102 KB."""


def lint(compiled: Compiled, *, positions: Sequence[Position], facts: Facts) -> list[Mistake]:
    """Give every mistake that keeps a compiled template from going live, in order of line."""
    parts = take_apart(compiled.source)
    texts = texts_of(compiled, parts)
    found = [*unknown(compiled, texts, facts)]
    if not found:
        found += wrong_words(compiled, texts, facts)
        for position in positions or (_nowhere(compiled),):
            found += _at_position(compiled, texts, position, facts=facts)
    return sorted(set(found))


def warnings(compiled: Compiled, *, positions: Sequence[Position], facts: Facts) -> list[Mistake]:
    """Give what is worth a look but keeps nothing from going live."""
    shown_as = compiled.source.shown_as
    found: list[Mistake] = []
    for position in positions or (_nowhere(compiled),):
        try:
            made = _dry(compiled, position, facts=facts, customer=ADA)
        except TemplateError:
            continue
        if position.channel is Channel.SMS:
            found += _costly(made.text, shown_as)
        if len(made.html.encode()) > MAX_HTML:
            what = f"the mail has {len(made.html.encode()) // 1000} KB"
            found.append(Mistake(shown_as, 1, what, "mailboxes cut off at 102: make it shorter"))
    if compiled.source.channel is Channel.EMAIL and not compiled.preheader:
        found.append(Mistake(shown_as, 1, "no preheader", "say in a line what the mail is about"))
    return sorted(set(found))


def _nowhere(compiled: Compiled) -> Position:
    return Position(compiled.source.template, compiled.source.channel, may_have_voucher=True)


def _at_position(
    compiled: Compiled, texts: Sequence[FileText], position: Position, *, facts: Facts
) -> Iterator[Mistake]:
    """Check what depends on the step or answer, then what a customer would read there."""
    if position.is_first_touch:
        yield from wrong_in_first_touch(compiled, texts)
    if position.is_goodbye:
        yield from wrong_in_goodbye(texts)
    try:
        made = [
            _dry(compiled, position, facts=facts, customer=customer)
            for customer in (ADA, NAMELESS, AMERICAN)
        ]
    except TemplateError as wrong:
        yield _not_rendered(compiled, texts, position, wrong)
        return
    yield from _shown(compiled, made)
    yield from _voucher(compiled, texts, position, made=made[0])
    if position.channel is Channel.EMAIL:
        yield from _mail(compiled, made[0])
    if position.channel is Channel.SMS:
        yield from _sms(compiled, position, british=made[0].text, american=made[2].text)


def _not_rendered(
    compiled: Compiled, texts: Sequence[FileText], position: Position, wrong: TemplateError
) -> Mistake:
    shown_as = compiled.source.shown_as
    is_of_nothing = "None" in str(wrong) or "not known" in str(wrong)
    for text in texts:
        found = re.search(r"\bvoucher\b", text.text)
        if found and is_of_nothing and not position.may_have_voucher:
            return Mistake(
                text.shown_as,
                text.line_at(found.start()),
                f"{position.name} carries no voucher, but this speaks of one",
                "put it between {% if voucher %} and {% endif %}, or give the step an offer",
            )
    what = str(wrong).removeprefix(f"{compiled.source.name}: ")
    return Mistake(shown_as, 1, f"cannot be rendered for {position.name}: {what}")


def _shown(compiled: Compiled, made: Sequence[Rendered]) -> Iterator[Mistake]:
    shown_as = compiled.source.shown_as
    said = "\n".join((*(one.text for one in made), *(one.subject for one in made)))
    if prose.EMPTY_GREETING.search(said):
        yield Mistake(
            shown_as,
            1,
            "greets nobody when no name is known",
            'write {{ customer.greeting_name or "there" }}',
        )
    if prose.NOTHING_SHOWN.search(said):
        yield Mistake(
            shown_as, 1, "shows None for some customers", "put it between {% if %} and {% endif %}"
        )


def _voucher(
    compiled: Compiled, texts: Sequence[FileText], position: Position, *, made: Rendered
) -> Iterator[Mistake]:
    if not position.has_offer:
        return
    shown_as = compiled.source.shown_as
    for part in (made.html, made.text):
        if part and SAMPLE_CODE not in part:
            what = f"{position.name} carries an offer, but no voucher is shown"
            yield Mistake(shown_as, 1, what, "show {{ voucher.code }}")
            return
    if not any("voucher.expires_on" in names_used(text.text) for text in texts):
        what = "a voucher without its expiry"
        yield Mistake(shown_as, 1, what, "say {{ voucher.expires_on|day }}")


def _mail(compiled: Compiled, made: Rendered) -> Iterator[Mistake]:
    shown_as = compiled.source.shown_as
    business = SAMPLE_SETTINGS.business
    for part, name in ((made.html, "mail"), (made.text, "text part")):
        for wanted, what, instead in (
            (business.postal_address, "no postal address", "{{ business.postal_address }}"),
            ("/u/", "no way out", "{{ links.unsubscribe }}"),
            ("/why/", "no link to say why", "{{ links.why }}"),
        ):
            if wanted not in part:
                where = f"{what} in the {name}"
                yield Mistake(shown_as, 1, where, f"show {instead}; the layout's footer does")


def _sms(
    compiled: Compiled, position: Position, *, british: str, american: str
) -> Iterator[Mistake]:
    shown_as = compiled.source.shown_as
    if SAMPLE_SETTINGS.business.name not in british:
        yield Mistake(shown_as, 1, "the text does not say who writes", "show {{ business.name }}")
    if not prose.STOP.search(british):
        yield Mistake(shown_as, 1, "the text offers no way out", "end with: Reply STOP to opt out")
    if position.is_first_text and not (
        prose.RATES.search(american) and prose.HELP.search(american)
    ):
        yield Mistake(
            shown_as,
            1,
            "the first text lacks what US law asks for",
            'between {% if customer.country == "US" %} and {% endif %} say: '
            "Msg frequency varies. Msg & data rates may apply. Reply HELP for help",
        )


def _costly(text: str, shown_as: str) -> Iterator[Mistake]:
    counted = count_segments(text)
    if counted.segments > MAX_SEGMENTS:
        what = f"{counted.segments} segments for a customer of average name"
        yield Mistake(shown_as, 1, what, f"{MAX_SEGMENTS} or fewer cost less and read better")
    if counted.encoding == "UCS-2":
        what = f"{not_in_gsm(text)!r} more than doubles the segments"
        yield Mistake(shown_as, 1, what, "write plain letters")


def _dry(
    compiled: Compiled, position: Position, *, facts: Facts, customer: CustomerView
) -> Rendered:
    source = compiled.source
    context = sample_context(
        facts.plain(),
        customer=customer,
        campaign=source.campaign,
        step=position.name,
        voucher=sample_voucher() if position.may_have_voucher else None,
        is_short=source.channel is Channel.SMS,
    )
    return render(compiled.unpublished(), context)
