"""Read one file's rows, streaming: what is mapped, in our order, with line numbers."""

import codecs
import csv
import difflib
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, Final

import orjson

from winback.errors import SourceError
from winback.sources.formats import Form, unpacked
from winback.sources.growing import SeenBytes, Sight
from winback.sources.protocol import BadRow, Mark, Row
from winback.sources.values import to_text

_DELIMITERS: Final = ",;\t|"
_SHOWN_COLUMNS: Final = 40
_LONGEST_FIELD: Final = 1 << 20
Picker = Callable[[Sequence[str]], Sequence[str]]


class TextSlice:
    """A text file, or what it grew by."""

    def __init__(
        self,
        source: str,
        path: Path,
        shown: str,
        *,
        columns: Mapping[str, str],
        sight: Sight,
        form: Form,
        encoding: str,
    ) -> None:
        self.path = shown
        self.is_whole = sight.start == 0
        self.first_line = sight.start_line + 1
        self._source = source
        self._file = path
        self._columns = columns
        self._sight = sight
        self._form = form
        self._encoding = encoding
        self._bytes: SeenBytes | None = None
        self._lines = sight.start_line
        self._records_are_lines = True

    def names(self) -> Sequence[str]:
        """Give our names of the mapped columns."""
        return tuple(self._columns)

    def rows(self) -> Iterator[Row | BadRow]:
        """Give the rows; a mapped column that is missing refuses the file."""
        self._bytes = SeenBytes(self._file, self._sight)
        if self._sight.is_unchanged:
            self._bytes.close()
            return
        yield from self._read(self._bytes, self._sight.start_line)

    def earlier_rows(self) -> Iterator[Row | BadRow]:
        """Give the rows that were read by earlier pulls."""
        if not self.is_whole:
            before = replace(self._sight, size=self._sight.start, start=0, start_line=0)
            yield from self._read(SeenBytes(self._file, before), 0)

    def progress(self) -> tuple[int, int]:
        """Give bytes read and bytes in all."""
        return (self._bytes.at if self._bytes else 0), self._sight.size

    def mark(self, now: datetime) -> Mark:
        """Give how far it was read; a last line without its end is read again when it grew."""
        if self._bytes is None:
            raise ValueError("a slice is marked after it was read")
        size, line, digest = self._bytes.complete, self._lines, self._bytes.fingerprint()
        if not self._form.may_grow:
            size, digest = self._bytes.at, self._bytes.whole_fingerprint()
        elif not self._records_are_lines and size != self._bytes.at:
            # The unfinished line may be the middle of a quoted text: read all again then.
            size, line, digest = 0, 0, ""
        elif size != self._bytes.at:
            line -= 1
        fingerprint = f"{self._sight.mapping}|{self._sight.stamp}|{digest}"
        return Mark(size, line, fingerprint, now)

    def _read(self, seen: SeenBytes, before: int) -> Iterator[Row | BadRow]:
        with self._refusing(), unpacked(seen, self._form.compression) as file:
            read = self._read_json if self._form.kind == "json" else self._read_csv
            yield from read(file, before)

    def _read_csv(self, file: IO[bytes], before: int) -> Iterator[Row | BadRow]:
        text: IO[str] = io.TextIOWrapper(file, encoding=self._encoding, newline="")
        delimiter, header = self._header(text if before == 0 else None)
        pick = self._picker(header)
        width = len(header)
        csv.field_size_limit(_LONGEST_FIELD)
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        offset = before or 1
        records = 0
        while True:
            try:
                for values in reader:
                    records += 1
                    if len(values) == width:
                        yield reader.line_num + offset, pick(values)
                    elif values:
                        yield _ragged(reader.line_num + offset, values, header)
                break
            except csv.Error as broken:
                self._records_are_lines = False
                yield BadRow(reader.line_num + offset, f"its quotes are wrong: {broken}", {})
        if records != reader.line_num:
            self._records_are_lines = False
        self._lines = max(self._lines, reader.line_num + offset)

    def _header(self, text: IO[str] | None) -> tuple[str, list[str]]:
        """Read the first line, of the file itself where only its growth is read."""
        if text is None:
            with self._file.open(encoding=self._encoding, newline="") as file:
                line = file.readline()
        else:
            line = text.readline()
        line = line.removeprefix("\ufeff").rstrip("\r\n")
        if not line:
            raise SourceError(
                f"{self._source}: {self.path} is empty; its first line must name the columns"
            )
        delimiter = "\t" if self._form.kind == "tsv" else max(_DELIMITERS, key=line.count)
        return delimiter, [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]

    def _picker(self, header: Sequence[str]) -> Picker:
        """Give what takes the mapped columns out of a row; refuses the file where one misses."""
        for name, column in self._columns.items():
            if header.count(column) != 1:
                raise self._no_column(name, column, header)
        places = [header.index(column) for column in self._columns.values()]
        if len(places) == 1:
            only = places[0]
            return lambda values: (values[only],)
        return itemgetter(*places)

    def _no_column(self, name: str, column: str, header: Sequence[str]) -> SourceError:
        """Name the column and those there are: in a file without a header these are a row."""
        has = "two columns" if column in header else "no column"
        discreet = f"{self._source}: {self.path} has {has} {column!r} ({name})"
        near = difflib.get_close_matches(column, header, n=1) if column not in header else []
        hint = f"; did you mean {near[0]!r}?" if near else ""
        there = ", ".join(header[:_SHOWN_COLUMNS])
        return SourceError(f"{discreet}; it has {there}{hint}", discreet=discreet)

    def _read_json(self, file: IO[bytes], before: int) -> Iterator[Row | BadRow]:
        columns = list(self._columns.values())
        unseen = set(columns)
        there: dict[str, None] = {}
        line = before
        recode = self._encoding.lower() not in ("utf-8", "utf8")
        for line, written in enumerate(file, before + 1):
            content = written.decode(self._encoding).encode() if recode else written
            content = content.removeprefix(codecs.BOM_UTF8).strip()
            if not content:
                continue
            try:
                value = orjson.loads(content)
            except orjson.JSONDecodeError as broken:
                # What is no UTF-8 is a wrong encoding, and refuses the file.
                content.decode("utf-8")
                yield BadRow(line, f"is no JSON: {broken.msg}", {})
                continue
            if not isinstance(value, dict):
                yield BadRow(line, "is no JSON object", {})
                continue
            if unseen:
                unseen.difference_update(value)
                there.update(dict.fromkeys(value))
            yield line, [to_text(value.get(column)) for column in columns]
        self._lines = max(self._lines, line)
        if unseen and there and before == 0:
            name = next(name for name, column in self._columns.items() if column in unseen)
            raise self._no_column(name, self._columns[name], list(there))

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Turn what makes the whole file unreadable into one sentence."""
        try:
            yield
        except UnicodeDecodeError as wrong:
            raise self._wrong_encoding(wrong) from None
        except (EOFError, lzma.LZMAError, zlib.error, OSError) as broken:
            raise SourceError(
                f"{self._source}: {self.path} cannot be unpacked or read: {broken}"
            ) from None

    def _wrong_encoding(self, wrong: UnicodeDecodeError) -> SourceError:
        """Name the column and show the value that is written in another encoding."""
        advice = "save it as UTF-8, or write encoding: cp1252 (or what it is) in the source"
        place = f"{self._source}: {self.path} is not {self._encoding.upper()}"
        found = self._first_wrong_value()
        if found is None:
            around = wrong.object[max(0, wrong.start - 10) : wrong.start + 10]
            text = f"{place} near {around.decode('latin-1')!r}; {advice}"
            return SourceError(text, discreet=f"{place}; {advice}")
        line, column, value = found
        return SourceError(
            f"{place}: line {line}, column {column!r} holds {value!r}; {advice}",
            # A column that is not ours may be a value, in a file without a header.
            discreet=f"{place}: line {line}"
            + (f", column {column!r}" if column in self._columns.values() else "")
            + f"; {advice}",
        )

    def _first_wrong_value(self) -> tuple[int, str, str] | None:
        if self._form.kind == "json":
            return None
        whole = replace(self._sight, start=0, start_line=0)
        with unpacked(SeenBytes(self._file, whole), self._form.compression) as file:
            header: list[str] = []
            for line, written in enumerate(file, 1):
                text = written.decode("latin-1")
                delimiter = "\t" if self._form.kind == "tsv" else max(_DELIMITERS, key=text.count)
                values = next(csv.reader([text], delimiter=delimiter), [])
                header = header or values
                for column, value in zip(header, values, strict=False):
                    try:
                        value.encode("latin-1").decode(self._encoding)
                    except UnicodeDecodeError:
                        return line, column.strip(), value
        return None


class ParquetSlice:
    """A Parquet file, read whole by DuckDB (the extra ``parquet``)."""

    is_whole = True
    first_line = 1

    def __init__(
        self, source: str, path: Path, shown: str, *, columns: Mapping[str, str], sight: Sight
    ) -> None:
        self.path = shown
        self._source = source
        self._file = path
        self._columns = columns
        self._sight = sight
        self._is_read = False

    def names(self) -> Sequence[str]:
        """Give our names of the mapped columns."""
        return tuple(self._columns)

    def rows(self) -> Iterator[Row | BadRow]:
        """Give the rows; a mapped column that is missing refuses the file."""
        try:
            import duckdb  # noqa: PLC0415 - an extra of 66 MB, only for who has Parquet
        except ImportError:
            raise SourceError(
                f"{self._source}: reading Parquet needs an extra: pip install 'winback[parquet]'"
            ) from None
        with duckdb.connect() as connection:
            try:
                table = connection.read_parquet(str(self._file))
                there = list(table.columns)
            except duckdb.Error:
                raise SourceError(f"{self._source}: {self.path} is no Parquet file") from None
            for name, column in self._columns.items():
                if column not in there:
                    raise SourceError(
                        f"{self._source}: {self.path} has no column {column!r} ({name}); "
                        f"it has {', '.join(there[:_SHOWN_COLUMNS])}"
                    )
            quoted = ['"' + column.replace('"', '""') + '"' for column in self._columns.values()]
            picked = table.select(", ".join(quoted))
            number = 0
            while batch := picked.fetchmany(10_000):
                for values in batch:
                    number += 1
                    yield number, [to_text(value) for value in values]
        self._is_read = True

    def earlier_rows(self) -> Iterator[Row | BadRow]:
        """Give nothing: it is always read whole."""
        return iter(())

    def progress(self) -> tuple[int, int]:
        """Give bytes read and bytes in all."""
        return (self._sight.size if self._is_read else 0), self._sight.size

    def mark(self, now: datetime) -> Mark:
        """Give its size and stamp."""
        seen = SeenBytes(self._file, replace(self._sight, start=self._sight.size))
        seen.close()
        fingerprint = f"{self._sight.mapping}|{self._sight.stamp}|{seen.whole_fingerprint()}"
        return Mark(self._sight.size, 0, fingerprint, now)


def _ragged(line: int, values: Sequence[str], header: Sequence[str]) -> BadRow:
    shown: dict[str, Any] = dict(zip(header, values, strict=False))
    return BadRow(line, f"has {len(values)} values for {len(header)} columns", shown)
