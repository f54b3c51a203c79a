"""Which form a file has, by its name, and how its bytes become text lines."""

import bz2
import gzip
import io
import lzma
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final, Literal

Kind = Literal["csv", "tsv", "json", "parquet"]
Compression = Literal["", "gz", "bz2", "xz"]

_KINDS: Final[dict[str, Kind]] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSIONS: Final[dict[str, Compression]] = {".gz": "gz", ".bz2": "bz2", ".xz": "xz"}
_UNPACKED_ELSEWHERE: Final = frozenset({".zip", ".zst", ".7z", ".rar"})


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written."""

    kind: Kind
    compression: Compression
    may_grow: bool
    """Whether what is appended can be read alone."""

    def fixed(self) -> "Form":
        """Give the same form, read whole whenever it changed."""
        return replace(self, may_grow=False)


def form_of(path: Path) -> Form | str:
    """Give the form of a file by its name, or a sentence that says what to do instead."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    last = suffixes[-1] if suffixes else ""
    if last in _UNPACKED_ELSEWHERE:
        return f"{last} files are not read; unpack it, or pack it as .gz"
    compression = _COMPRESSIONS.get(last, "")
    if compression:
        suffixes.pop()
    kind = _KINDS.get(suffixes[-1] if suffixes else "")
    if kind is None:
        return "its name ends in no known form; use .csv, .tsv, .jsonl or .parquet"
    if kind == "parquet" and compression:
        return "Parquet is compressed inside; unpack it"
    return Form(kind, compression, may_grow=not compression and kind != "parquet")


def unpacked(raw: io.RawIOBase, compression: Compression) -> IO[bytes]:
    """Give the bytes inside; raises OSError, EOFError or LZMAError while reading broken ones."""
    buffered: Any = io.BufferedReader(raw, buffer_size=1 << 18)
    match compression:
        case "gz":
            return gzip.open(buffered)  # type: ignore[return-value]
        case "bz2":
            return bz2.open(buffered)
        case "xz":
            return lzma.open(buffered)
        case _:
            return buffered  # type: ignore[no-any-return]
