"""What a template must say and must not say before it may go live (DESIGN.md, promise P5).

The rules of form (MJML, syntax, front matter) are kept by ``building``. Here the rules of words
come together: those of every template, those that depend on the steps that use it, and those of
what a customer would read. A file is read as its author sees it, so each mistake names its line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from winback.campaign.loading import Facts
from winback.errors import Mistake, TemplateError
from winback.messages.compiling import syntax_error, take_apart, uncompiled
from winback.messages.positions import Position, positions_of
from winback.messages.sample import ADA
from winback.messages.segments import count_segments, not_in_gsm
from winback.messages.shown_rules import FOOTER, dry, wrong_when_shown
from winback.messages.templates import Compiled
from winback.messages.word_rules import (
    layouts_of,
    texts_of,
    unknown,
    unknown_in,
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
    """Give every mistake of words that keeps a template from going live, in order of line.

    All rules are asked, whatever one of them finds. ``compiled`` may be what ``uncompiled`` gave:
    a text whose syntax is wrong is looked at for its words only.
    """
    parts = take_apart(compiled.source)
    texts, layouts = texts_of(compiled, parts), layouts_of(compiled)
    readable = [text for text in (*texts, *layouts) if syntax_error(text.text) is None]
    found = [*unknown(readable, facts)]
    names = unknown_in(readable, facts) if found else []
    found += wrong_words(compiled, texts, facts, parts=parts)
    for position in positions or (_nowhere(compiled),):
        if position.is_first_touch:
            found += wrong_in_first_touch(compiled, texts)
        if position.is_goodbye:
            found += wrong_in_goodbye(texts)
        if all(text in readable for text in (*texts, *layouts)):
            found += wrong_when_shown(
                compiled, texts, position, layouts=layouts, facts=facts, unknown=names
            )
        elif all(text in readable for text in texts):
            bare = _in_a_stand_in(compiled)
            found += wrong_when_shown(bare, texts, position, layouts=(), facts=facts, unknown=names)
    return sorted(set(found))


def warnings(compiled: Compiled, *, positions: Sequence[Position], facts: Facts) -> list[Mistake]:
    """Give what is worth a look but keeps nothing from going live."""
    shown_as = compiled.source.shown_as
    found: list[Mistake] = []
    for position in positions or (_nowhere(compiled),):
        try:
            made = dry(compiled, position, facts=facts, customer=ADA)
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


def _in_a_stand_in(compiled: Compiled) -> Compiled:
    """Give a template within a bare footer, for a layout whose syntax is wrong."""
    footer = "{{ content }} " + " ".join(f"{{{{ {name} }}}}" for _, _, name in FOOTER)
    source = compiled.source
    return uncompiled(replace(source, layout=dict.fromkeys(source.layout, footer)))


def _costly(text: str, shown_as: str) -> Iterator[Mistake]:
    counted = count_segments(text)
    if counted.segments > MAX_SEGMENTS:
        what = f"{counted.segments} segments for a customer of average name"
        yield Mistake(shown_as, 1, what, f"{MAX_SEGMENTS} or fewer cost less and read better")
    if counted.encoding == "UCS-2":
        what = f"{not_in_gsm(text)!r} more than doubles the segments"
        yield Mistake(shown_as, 1, what, "write plain letters")
