"""Find the templates of every campaign on disk.

``templates/<campaign>/<template>[.<locale>][.<variant>].<suffix>``, suffix mjml or html for
mails (with an optional txt beside it), sms for texts, call and letter for people, and
``templates/_layout/email[.<locale>].mjml`` and ``.txt`` around every mail.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winback.campaign.loading import Facts, load_facts
from winback.campaign.schema import Campaign
from winback.errors import FileMistakes, Mistake
from winback.messages.clean import CleanList
from winback.messages.templates import DEFAULT_VARIANT, PublishedTemplate, Source
from winback.states import Channel

LAYOUT: Final = "_layout"
MAX_TEMPLATE_BYTES: Final = 64 * 1024
_CHANNELS: Final = {
    "mjml": Channel.EMAIL,
    "html": Channel.EMAIL,
    "sms": Channel.SMS,
    "call": Channel.CALL,
    "letter": Channel.LETTER,
}
_NAME: Final = re.compile(
    r"(?P<template>[a-z0-9][a-z0-9_-]*)"
    r"(?:\.(?P<locale>[a-z]{2,3}(?:[-_][A-Za-z]{4})?(?:[-_](?:[A-Z]{2}|\d{3}))?))?"
    r"(?:\.(?P<variant>[a-z]))?"
    r"\.(?P<suffix>mjml|html|txt|sms|call|letter)"
)
Key = tuple[str, str, Channel, str, str]


@dataclass(frozen=True, slots=True)
class Shelf:
    """All templates of one home folder, read once; keeps what was published from them."""

    home: Path
    campaigns: tuple[Campaign, ...]
    facts: Facts
    sources: Mapping[Key, Source]
    mistakes: tuple[Mistake, ...] = ()
    """Files that could not be taken, with the reason."""
    kept: dict[Key, PublishedTemplate] = field(default_factory=dict, compare=False, repr=False)
    """What this shelf has published and seen committed; the key names a file, not a content."""
    clean: CleanList | None = field(default=None, compare=False, repr=False)
    """What earlier processes found clean; without it all is looked at."""

    def find(
        self, campaign: str, template: str, channel: Channel, locale: str | None = None
    ) -> tuple[Source, ...]:
        """Give the variants of a template in the best locale there is, ordered by variant.

        Looked for: the locale itself, its language, then the default. Empty when there is none.
        """
        for wanted in locale_chain(locale):
            found = [
                source
                for (of, name, on, written, _), source in self.sources.items()
                if (of, name, on, written) == (campaign, template, channel, wanted)
            ]
            if found:
                return tuple(sorted(found, key=lambda source: source.variant))
        return ()

    def campaign(self, name: str) -> Campaign | None:
        """Give the campaign whose templates these are."""
        return next((one for one in self.campaigns if one.campaign == name), None)


def load_shelf(
    home: Path,
    campaigns: Sequence[Campaign],
    facts: Facts | None = None,
    *,
    clean: CleanList | None = None,
) -> Shelf:
    """Read all templates under ``home``; a file that cannot be taken is noted in ``mistakes``."""
    folder = home / "templates"
    texts: dict[Path, str] = {}
    mistakes: list[Mistake] = []
    for path in sorted(folder.glob("*/*.*")):
        if path.is_file() and not path.name.startswith("."):
            try:
                texts[path] = _read(path, shown_as=_shown(path, home))
            except FileMistakes as wrong:
                mistakes += wrong.mistakes
    layouts = {path.name: path for path in texts if path.parent.name == LAYOUT}
    names = {path: _NAME.fullmatch(path.name) for path in texts if path.parent.name != LAYOUT}
    sources: dict[Key, Source] = {}
    for path, name in names.items():
        if name is None:
            mistakes.append(_misnamed(path, home))
        elif name["suffix"] != "txt":
            source = _source(path, name, texts, layouts=layouts, home=home)
            key = (
                source.campaign,
                source.template,
                source.channel,
                source.locale,
                source.variant,
            )
            if key in sources:
                mistakes.append(
                    Mistake(
                        source.shown_as,
                        1,
                        f"{sources[key].shown_as} stands for the same mail",
                        "keep one of the two",
                    )
                )
            sources.setdefault(key, source)
    mistakes += _lone_twins(names, home)
    known = facts if facts is not None else load_facts(home)
    return Shelf(home, tuple(campaigns), known, sources, tuple(mistakes), clean=clean)


def locale_chain(locale: str | None) -> tuple[str, ...]:
    """Give where to look for a locale: ``de-AT``, ``de`` and the default."""
    if not locale:
        return ("",)
    written = locale.replace("_", "-")
    language = written.split("-")[0].lower()
    return tuple(dict.fromkeys((written, language, "")))


def _source(
    path: Path,
    name: re.Match[str],
    texts: Mapping[Path, str],
    *,
    layouts: Mapping[str, Path],
    home: Path,
) -> Source:
    locale = (name["locale"] or "").replace("_", "-")
    twin = path.with_suffix(".txt")
    has_twin = _CHANNELS[name["suffix"]] is Channel.EMAIL and twin in texts
    around = {
        suffix: found
        for suffix in ("mjml", "txt")
        if _CHANNELS[name["suffix"]] is Channel.EMAIL
        and (found := _layout(layouts, locale, suffix)) is not None
    }
    return Source(
        campaign=path.parent.name,
        template=name["template"],
        channel=_CHANNELS[name["suffix"]],
        locale=locale,
        variant=name["variant"] or DEFAULT_VARIANT,
        suffix=name["suffix"],
        shown_as=_shown(path, home),
        text=texts[path],
        twin=texts[twin] if has_twin else None,
        twin_shown_as=_shown(twin, home) if has_twin else "",
        layout={suffix: texts[found] for suffix, found in around.items()},
        layout_files={suffix: _shown(found, home) for suffix, found in around.items()},
    )


def _layout(layouts: Mapping[str, Path], locale: str, suffix: str) -> Path | None:
    for wanted in locale_chain(locale):
        name = f"email.{wanted}.{suffix}" if wanted else f"email.{suffix}"
        if name in layouts:
            return layouts[name]
    return None


def _read(path: Path, *, shown_as: str) -> str:
    if path.stat().st_size > MAX_TEMPLATE_BYTES:
        raise FileMistakes(
            [Mistake(shown_as, 1, "larger than 64 KB", "a message is a letter, not a brochure")]
        )
    try:
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise FileMistakes([Mistake(shown_as, 1, "not UTF-8 text", "save it as UTF-8")]) from None


def _misnamed(path: Path, home: Path) -> Mistake:
    return Mistake(
        _shown(path, home),
        1,
        "this name says no template",
        "write NAME[.LOCALE][.VARIANT] and mjml, html, txt, sms, call or letter",
    )


def _lone_twins(names: Mapping[Path, re.Match[str] | None], home: Path) -> Iterable[Mistake]:
    for path, name in names.items():
        if name is not None and name["suffix"] == "txt":
            mails = {path.with_suffix(".mjml"), path.with_suffix(".html")}
            if not mails & names.keys():
                yield Mistake(
                    _shown(path, home),
                    1,
                    "a text part without a mail",
                    f"add {path.stem}.mjml or remove it",
                )


def _shown(path: Path, home: Path) -> str:
    return path.relative_to(home).as_posix()
