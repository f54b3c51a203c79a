"""What can be read of campaign files and facts that have mistakes, for ``winback check``.

One file's mistake must not hide those of the files that are read in its light: templates are
linted by where a campaign uses them and by the facts they may name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path, PurePath
from typing import Any, Final

from winback.campaign.facts import Claim, Facts, KeptPromise
from winback.campaign.loading import load_facts
from winback.campaign.schema import Campaign
from winback.errors import FileMistakes
from winback.yaml_files import read_repeating

_NAMED: Final = re.compile(r"\bfacts\.(benefits|guarantees|fixed)\.([A-Za-z_]\w*)")
_ANY_DAY: Final = date(2001, 1, 1)


def draft_campaigns(home: Path, campaigns: Sequence[Campaign]) -> dict[str, Any]:
    """Give what stands in the campaign files that are not among ``campaigns``, by name.

    A file that does not tell its name goes by that of the file; one that cannot be read at all
    says None.
    """
    read = {campaign.campaign for campaign in campaigns}
    drafts: dict[str, Any] = {}
    for path in sorted((home / "config" / "campaigns").glob("*.yaml")):
        written: Any = None
        with suppress(FileMistakes):
            written, _, _ = read_repeating(path, path.name)
        name = written.get("campaign") if isinstance(written, Mapping) else None
        name = name if isinstance(name, str) else path.stem
        if name not in read:
            drafts.setdefault(name, written)
    return drafts


def pools_in(drafts: Mapping[str, Any]) -> Iterator[str]:
    """Give the files of codes that drafted campaigns name, inside the home folder only."""
    for written in drafts.values():
        offers = written.get("offers") if isinstance(written, Mapping) else None
        for offer in offers.values() if isinstance(offers, Mapping) else ():
            file = offer.get("codes_from") if isinstance(offer, Mapping) else None
            if isinstance(file, str) and not {"..", "/"} & {*PurePath(file).parts}:
                yield file


def draft_facts(home: Path, texts: Iterable[str]) -> Facts:
    """Give the facts, or stand-ins for those that cannot be read, under their own names.

    Where not even the names can be read, those that ``texts`` of templates show are taken to be
    there: the mistake is in the facts.
    """
    try:
        return load_facts(home)
    except FileMistakes:
        pass
    written: Any = None
    with suppress(FileMistakes):
        written, _, _ = read_repeating(home / "config" / "facts.yaml", "facts.yaml")
    named = {found for text in texts for found in _NAMED.findall(text)}
    hours = written.get("hours") if isinstance(written, Mapping) else None
    return Facts(
        benefits={name: _claim(one) for name, one in _section("benefits", written, named)},
        guarantees={name: _claim(one) for name, one in _section("guarantees", written, named)},
        fixed={name: _promise(one) for name, one in _section("fixed", written, named)},
        hours=hours if isinstance(hours, str) else "at all hours",
    )


def _section(
    kind: str, written: Any, named: Iterable[tuple[str, str]]
) -> list[tuple[str, Mapping[Any, Any]]]:
    is_read = isinstance(written, Mapping)
    # A section that is not there may stand there under a misspelled name.
    if is_read and kind not in written and set(written) <= set(Facts.model_fields):
        return []
    section = written.get(kind) if is_read else None
    if not isinstance(section, Mapping):
        return [(name, {}) for of, name in sorted(named) if of == kind]
    return [
        (str(name), entry if isinstance(entry, Mapping) else {}) for name, entry in section.items()
    ]


def _claim(entry: Mapping[Any, Any]) -> Claim:
    return Claim(says=_words(entry, "says"), by=_words(entry, "by"), since=_day(entry, "since"))


def _promise(entry: Mapping[Any, Any]) -> KeptPromise:
    was, now, by = (_words(entry, key) for key in ("was", "now", "by"))
    return KeptPromise(was=was, now=now, closed=_day(entry, "closed"), by=by)


def _words(entry: Mapping[Any, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) and value else "something"


def _day(entry: Mapping[Any, Any], key: str) -> date:
    value = entry.get(key)
    return value if type(value) is date else _ANY_DAY
