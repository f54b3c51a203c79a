"""Sources that are files: CSV, TSV, JSON lines, Parquet; plain or compressed; names or patterns."""

import glob
import hashlib
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Final

from winback.errors import SourceError
from winback.sources.config import Files
from winback.sources.formats import Form, form_of
from winback.sources.growing import look_at
from winback.sources.protocol import Mark, Part, Slice
from winback.sources.reading import ParquetSlice, TextSlice

_MAPPING_VERSION: Final = "1"
"""Raised when files must be read again because they are understood in another way."""


class FilesSource:
    """The files of one source."""

    def __init__(self, name: str, how: Files, home: Path, *, context: str) -> None:
        """``context`` is what else decides how values are understood."""
        self._context = context
        self._name = name
        self._how = how
        self._home = home

    def slices(self, part: Part, marks: Mapping[str, Mark]) -> Generator[Slice, None, None]:
        """Give each file that is new or changed, and of a grown one what was added."""
        configured = self._how.customers if part == "customers" else self._how.purchases
        if configured is None:
            return
        columns = configured.columns.model_dump(exclude_none=True)
        how = (self._how.time_zone, self._how.date_format, self._how.encoding)
        consent = getattr(configured, "sms_consent_is", None)
        mapping = _hash(_MAPPING_VERSION, sorted(columns.items()), consent, how, self._context)
        for path in self._paths(configured.path, marks):
            shown = self._shown(path)
            form = self._form(path, shown)
            try:
                sight = look_at(path, marks.get(shown), mapping=mapping, may_grow=form.may_grow)
                if sight.is_unchanged and sight.stamp in marks[shown].fingerprint:
                    continue
                if form.kind == "parquet":
                    yield ParquetSlice(self._name, path, shown, columns=columns, sight=sight)
                else:
                    yield TextSlice(
                        self._name,
                        path,
                        shown,
                        columns=columns,
                        sight=sight,
                        form=form,
                        encoding=self._how.encoding,
                    )
            except OSError as unreadable:
                raise SourceError(
                    f"{self._name}: {shown} cannot be read: {unreadable.strerror}"
                ) from None

    def _paths(self, pattern: str, marks: Mapping[str, Mark]) -> Sequence[Path]:
        found = sorted(glob.glob(str(self._home / pattern), recursive=True))  # noqa: PTH207 - a full path may be given
        if not found and not (glob.has_magic(pattern) and marks):
            raise SourceError(
                f"{self._name}: there is no file {pattern}; mend the path in config/sources.yaml"
            )
        return [Path(one) for one in found if Path(one).is_file()]

    def _shown(self, path: Path) -> str:
        return (
            path.relative_to(self._home).as_posix()
            if path.is_relative_to(self._home)
            else path.as_posix()
        )

    def _form(self, path: Path, shown: str) -> Form:
        form = form_of(path)
        if isinstance(form, str):
            raise SourceError(f"{self._name}: {shown}: {form}")
        return form if self._how.encoding.lower().startswith(("utf-8", "utf8")) else form.fixed()


def _hash(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
