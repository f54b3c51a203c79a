"""The rules of words: what a template's files say, wherever and however it is used."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from winback.campaign.loading import Facts
from winback.errors import Mistake
from winback.messages import prose
from winback.messages.compiling import Parts, line_of_key
from winback.messages.sample import sample_context, sample_voucher
from winback.messages.templates import Compiled
from winback.messages.variables import names_used, unknown_names, unknown_paths
from winback.states import Channel


@dataclass(frozen=True, slots=True)
class FileText:
    """One file of a template, or one line of its front matter."""

    shown_as: str
    text: str
    line: int | None = None

    def line_at(self, offset: int) -> int:
        """Give the line of a place in the text."""
        return self.line or self.text.count("\n", 0, offset) + 1


def texts_of(compiled: Compiled, parts: Parts) -> tuple[FileText, ...]:
    """Give the words of a template, file by file, the front matter line by line."""
    source = compiled.source
    texts = [FileText(source.shown_as, parts.body)]
    for key, text in (("subject", parts.subject), ("preheader", parts.preheader)):
        if text:
            texts.append(FileText(source.shown_as, text, line_of_key(source.text, key)))
    if source.twin is not None:
        texts.append(FileText(source.twin_shown_as, source.twin))
    return tuple(texts)


def layouts_of(compiled: Compiled) -> tuple[FileText, ...]:
    """Give the layouts around a template."""
    source = compiled.source
    return tuple(
        FileText(source.layout_files[suffix], text) for suffix, text in source.layout.items()
    )


def unknown(texts: Sequence[FileText], facts: Facts) -> Iterator[Mistake]:
    """Check that every name in a template and its layouts is one that contexts have."""
    known = sample_context(facts.plain(), voucher=sample_voucher())
    for text in texts:
        yield from unknown_names(text.text, known, shown_as=text.shown_as, line=text.line)


def unknown_in(texts: Sequence[FileText], facts: Facts) -> list[tuple[str, ...]]:
    """Give the names that ``unknown`` tells of."""
    known = sample_context(facts.plain(), voucher=sample_voucher())
    return sorted({path for text in texts for path in unknown_paths(text.text, known)})


def wrong_words(
    compiled: Compiled, texts: Sequence[FileText], facts: Facts, *, parts: Parts
) -> Iterator[Mistake]:
    """Check what holds for every template, wherever it is used."""
    is_mail = compiled.source.channel is Channel.EMAIL
    # Front matter that cannot be read may well hold a subject.
    if is_mail and not compiled.subject and not parts.mistakes:
        shown_as = compiled.source.shown_as
        yield Mistake(shown_as, 1, "the subject is empty", "write subject: in the front matter")
    used = frozenset[str]().union(*(names_used(text.text) for text in texts))
    for text in texts:
        if not any(name.startswith("voucher.expires_on") for name in used):
            yield from _said(
                text,
                prose.URGENT,
                "{!r} without an expiry",
                "say {{ voucher.expires_on|day }}, or nothing of time",
            )
        if not any(name.startswith("facts.fixed.") for name in used):
            fixed = ", ".join(sorted(facts.fixed)) or "none yet"
            yield from _said(
                text,
                prose.CLAIM,
                "{!r} names no kept promise",
                f"show a {{{{ facts.fixed.KEY.now }}}} of facts.yaml; keys: {fixed}",
            )
    subjects = (text for text in texts if text.line and text.text == compiled.subject)
    for subject in subjects:
        yield from _said(
            subject, prose.REPLY_SUBJECT, "the subject pretends to be a reply", "say what it is"
        )
    for text in (*texts, *layouts_of(compiled)):
        yield from _links(text)


def _links(text: FileText) -> Iterator[Mistake]:
    for pattern, what, instead in (
        (prose.SHORTENER, "{!r} is a public shortener", "carriers block them: use links.shop"),
        (
            prose.FETCHED,
            "a picture or font is fetched from elsewhere",
            "begin its address with {{ business.website }}, https and your own",
        ),
        (prose.UNSAFE_LINK, "a link without https", "use one of the links, or https"),
    ):
        for found in pattern.finditer(text.text):
            line = text.line_at(found.start())
            yield Mistake(text.shown_as, line, what.format(found[0]), instead)


def _said(text: FileText, pattern: re.Pattern[str], what: str, instead: str) -> Iterator[Mistake]:
    for found in pattern.finditer(prose.words_only(text.text)):
        yield Mistake(text.shown_as, text.line_at(found.start()), what.format(found[0]), instead)


def wrong_in_first_touch(compiled: Compiled, texts: Sequence[FileText]) -> Iterator[Mistake]:
    """Check that the first touch asks how they are, in the name of a person (P5)."""
    shown_as = compiled.source.shown_as
    used = frozenset[str]().union(*(names_used(text.text) for text in texts))
    for text in texts:
        yield from _said(
            text,
            prose.PRICE,
            "{!r} in a first touch",
            "ask how they are; the voucher has a step of its own",
        )
    if any(name.split(".")[0] == "voucher" for name in used):
        yield Mistake(shown_as, 1, "a voucher in a first touch", "give it a later step")
    signed = {"business.signature", "business.sender_name"} & used
    if not signed:
        yield Mistake(
            shown_as, 1, "a first touch that no person signs", "sign with {{ business.signature }}"
        )
    invites = any(prose.REPLY_INVITED.search(prose.words_only(text.text)) for text in texts)
    if compiled.source.channel in (Channel.EMAIL, Channel.SMS) and not invites:
        yield Mistake(shown_as, 1, "a first touch that invites no reply", "ask them to reply")


def wrong_in_goodbye(texts: Sequence[FileText]) -> Iterator[Mistake]:
    """Check that a goodbye asks for a referral once at most."""
    for text in texts:
        links = list(re.finditer(r"\blinks\.referral\b", text.text))
        # A condition around the link is no link.
        shown = [found for found in links if "{%" not in text.text[: found.start()][-12:]]
        if len(shown) > 1:
            line = text.line_at(shown[1].start())
            yield Mistake(text.shown_as, line, "a second referral link", "ask once, if at all")
