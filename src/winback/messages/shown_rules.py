"""The rules of what a customer would read: a template is rendered dry for made-up customers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from winback.campaign.loading import Facts
from winback.errors import Mistake, TemplateError
from winback.messages import prose
from winback.messages.compiling import layout_of
from winback.messages.context import Context, CustomerView
from winback.messages.positions import Position
from winback.messages.rendering import first_failure, render
from winback.messages.sample import (
    ADA,
    AMERICAN,
    NAMELESS,
    SAMPLE_CODE,
    SAMPLE_SETTINGS,
    sample_context,
    sample_voucher,
)
from winback.messages.templates import Compiled, Rendered
from winback.messages.variables import names_used
from winback.messages.word_rules import FileText
from winback.states import Channel

_BUSINESS: Final = SAMPLE_SETTINGS.business
FOOTER: Final = (
    (_BUSINESS.postal_address, "no postal address", "business.postal_address"),
    ("/u/", "no way out", "links.unsubscribe"),
    ("/why/", "no link to say why", "links.why"),
)
"""What every mail shows: how it is known, what is missing else, its name."""
_STAND_IN: Final = "unknown"
_FILLED: Final = dict.fromkeys(("content", "subject", "preheader", "language"), "")
"""What a layout's own places hold while it is read alone."""


def wrong_when_shown(
    compiled: Compiled,
    texts: Sequence[FileText],
    position: Position,
    *,
    layouts: Sequence[FileText],
    facts: Facts,
    unknown: Sequence[tuple[str, ...]] = (),
) -> Iterator[Mistake]:
    """Check what customers would read of a template at one place of its campaign.

    Names of ``unknown`` are told by themselves; with words in their place the rest is seen.
    """
    made: list[Rendered] = []
    for customer in (ADA, NAMELESS, AMERICAN):
        context = _filled(_context(compiled, position, facts=facts, customer=customer), unknown)
        try:
            made.append(_rendered(compiled, context))
        except TemplateError as wrong:
            broken = [*_broken(compiled, texts, position, layouts=layouts, context=context)]
            if unknown:
                # Only a voucher that may not be there fails without fault of our stand-ins.
                broken = [one for one in broken if one.instead]
            elif not broken:
                what = str(wrong).removeprefix(f"{compiled.source.name}: ")
                what = f"cannot be rendered for {position.name}: {what}"
                broken = [Mistake(compiled.source.shown_as, 1, what)]
            yield from broken
            return
    yield from _shown(compiled, made)
    yield from _voucher(compiled, texts, position, made=made[0])
    if position.channel is Channel.EMAIL:
        yield from _mail(compiled, made[0], layouts)
    if position.channel is Channel.SMS:
        yield from _sms(compiled, position, british=made[0].text, american=made[2].text)


def dry(
    compiled: Compiled, position: Position, *, facts: Facts, customer: CustomerView
) -> Rendered:
    """Render a template for a made-up customer; raises TemplateError as ``render`` does."""
    return _rendered(compiled, _context(compiled, position, facts=facts, customer=customer))


def _rendered(compiled: Compiled, context: Context) -> Rendered:
    # A missing subject is told by itself.
    subject = compiled.subject or _STAND_IN
    return render(replace(compiled.unpublished(), subject=subject), context)


def _context(
    compiled: Compiled, position: Position, *, facts: Facts, customer: CustomerView
) -> Context:
    source = compiled.source
    return sample_context(
        facts.plain(),
        customer=customer,
        campaign=source.campaign,
        step=position.name,
        voucher=sample_voucher() if position.may_have_voucher else None,
        is_short=source.channel is Channel.SMS,
    )


def _filled(context: Context, paths: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    filled: dict[str, Any] = dict(context)
    for path in paths:
        inner = filled
        for part in path[:-1]:
            value = inner.get(part, {})
            if not isinstance(value, Mapping):
                break
            inner[part] = inner = dict(value)
        else:
            inner.setdefault(path[-1], _STAND_IN)
    return filled


def _broken(
    compiled: Compiled,
    texts: Sequence[FileText],
    position: Position,
    *,
    layouts: Sequence[FileText],
    context: Mapping[str, Any],
) -> Iterator[Mistake]:
    """Find the lines, as their author wrote them, at which rendering fails."""
    for text in (*texts, *layouts):
        failure = first_failure(text.text, {**context, **_FILLED}, compiled.language)
        if failure is None:
            continue
        line, why = failure
        is_layout = text in layouts
        says = text.text.splitlines()[line - 1 :][:1]
        if not position.may_have_voucher and "voucher" in "".join(says):
            where = "not every mail" if is_layout else position.name
            yield Mistake(
                text.shown_as,
                text.line or line,
                f"{where} carries {'a' if is_layout else 'no'} voucher, but this speaks of one",
                "put it between {% if voucher %} and {% endif %}"
                + ("" if is_layout else ", or give the step an offer"),
            )
        else:
            place = "" if is_layout else f" for {position.name}"
            yield Mistake(text.shown_as, text.line or line, f"cannot be rendered{place}: {why}")


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


def _mail(compiled: Compiled, made: Rendered, layouts: Sequence[FileText]) -> Iterator[Mistake]:
    """Check the footer; what a layout does not show is its own mistake, not that of each mail."""
    source = compiled.source
    around = layout_of(source, "mjml")
    by_text = around if source.twin is None else layout_of(source, "txt")
    for wanted, what, name in FOOTER:
        lacking: dict[str | None, list[str]] = {}
        for part, called, layout in (
            (made.html, "mail", around),
            (made.text, "text part", by_text),
        ):
            if wanted not in part:
                lacking.setdefault(layout, []).append(f"{what} in the {called}")
        for layout, where in lacking.items():
            shown_as = source.shown_as if layout is None else layout
            line = next((_foot(one, name) for one in layouts if one.shown_as == layout), 1)
            instead = f"show {{{{ {name} }}}}; the layout's footer does"
            if layout is not None:
                instead = f"show {{{{ {name} }}}} in its footer"
            yield Mistake(shown_as, line, ", and ".join(where), instead)


def _foot(layout: FileText, name: str) -> int:
    """Give the line of a name in a layout, or that of its end, where the name is missing."""
    for wanted in (name, "</mj-body>"):
        if wanted in layout.text:
            return layout.line_at(layout.text.index(wanted))
    return layout.line_at(len(layout.text.rstrip()))


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
