"""What keeps template files from going live, and what is worth a look in them."""

from collections.abc import Mapping
from typing import Any

from winback.errors import Mistake
from winback.messages.clean import digest_of
from winback.messages.compiled import KEPT_AT_MOST, compiled, content_key
from winback.messages.compiling import uncompiled
from winback.messages.lint import lint, warnings
from winback.messages.positions import Position, positions_in, positions_of
from winback.messages.shelf import Shelf
from winback.messages.templates import Compiled, Source

_LINTED: dict[tuple[object, ...], tuple[Mistake, ...]] = {}


def mistakes_of(shelf: Shelf, source: Source) -> tuple[Mistake, ...]:
    """Give all that keeps one file from going live."""
    campaign = shelf.campaign(source.campaign)
    places = None
    if campaign is not None:
        places = positions_of(campaign, source.template, source.channel)
    return _mistakes_at(shelf, source, places)


def _mistakes_at(
    shelf: Shelf, source: Source, places: tuple[Position, ...] | None
) -> tuple[Mistake, ...]:
    # All that the rules look at: each day reads its files anew, and few of them have changed.
    files = tuple(sorted(source.layout_files.items()))
    key = (*content_key(source), files, places, shelf.facts.model_dump_json())
    if key not in _LINTED:
        if len(_LINTED) > KEPT_AT_MOST:
            _LINTED.clear()
        _LINTED[key] = _looked_at(shelf, source, places, digest=digest_of(key))
    return _LINTED[key]


def _looked_at(
    shelf: Shelf, source: Source, places: tuple[Position, ...] | None, *, digest: str
) -> tuple[Mistake, ...]:
    """Compile and lint a file, unless the same was found clean by an earlier process."""
    if shelf.clean is not None and digest in shelf.clean:
        return ()
    made = compiled(source)
    of_form = () if isinstance(made, Compiled) else made
    if places is None:
        # Of a campaign that is not there: nothing is sent from it.
        return of_form
    template = made if isinstance(made, Compiled) else uncompiled(source)
    of_words = lint(template, positions=places, facts=shelf.facts)
    mistakes = tuple(sorted({*of_form, *of_words}))
    if shelf.clean is not None and not mistakes:
        shelf.clean.add(digest)
    return mistakes


def lint_shelf(shelf: Shelf, drafts: Mapping[str, Any] | None = None) -> list[Mistake]:
    """Give every mistake of every template file, each once, for ``winback check``.

    ``drafts`` holds, by name, what stands in campaign files that have mistakes: their templates
    are held to all that can be read of where they are used.
    """
    found = set(shelf.mistakes)
    for source in shelf.sources.values():
        if drafts and source.campaign in drafts and shelf.campaign(source.campaign) is None:
            written = drafts[source.campaign]
            places = positions_in(written, source.template, source.channel)
            found.update(_mistakes_at(shelf, source, places))
        else:
            found.update(mistakes_of(shelf, source))
    return sorted(found)


def shelf_warnings(shelf: Shelf) -> list[Mistake]:
    """Give what is worth a look in every template file, and keeps none from going live."""
    found: set[Mistake] = set()
    for source in shelf.sources.values():
        made, campaign = compiled(source), shelf.campaign(source.campaign)
        if isinstance(made, Compiled) and campaign is not None:
            places = positions_of(campaign, source.template, source.channel)
            found.update(warnings(made, positions=places, facts=shelf.facts))
    return sorted(found)
