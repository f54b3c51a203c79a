"""See whether a file is new, unchanged, grown or changed, and read exactly the bytes seen.

Same size and times: unchanged, nothing is read. Else the part read before is hashed again: if it
is the same, only what was added is read; if not, all of it.
"""

import io
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from winback.sources.protocol import Mark

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a file before reading it."""

    size: int
    stamp: str
    """Size and times of the file."""
    start: int
    """Read from this byte."""
    start_line: int
    """Lines before that byte."""
    is_unchanged: bool
    mapping: str
    """Hash of how the file is to be read."""


def look_at(path: Path, mark: Mark | None, *, mapping: str, may_grow: bool) -> Sight:
    """Compare a file with how far it was read; raises OSError when it cannot be opened."""
    stat = path.stat()
    stamp = f"{stat.st_size}-{stat.st_mtime_ns}-{stat.st_ctime_ns}"
    whole = Sight(stat.st_size, stamp, 0, 0, is_unchanged=False, mapping=mapping)
    if mark is None:
        return whole
    known_mapping, known_stamp, known_hash = mark.fingerprint.split("|")
    if known_mapping != mapping:
        return whole
    seen = Sight(stat.st_size, stamp, mark.size, mark.line, is_unchanged=True, mapping=mapping)
    if known_stamp == stamp:
        return seen
    if stat.st_size < mark.size or hash_of(path, mark.size) != known_hash:
        return whole
    if stat.st_size == mark.size:
        return seen
    return replace(seen, is_unchanged=False) if may_grow and mark.size else whole


def hash_of(path: Path, size: int) -> str:
    """Give the hash of the first bytes of a file."""
    digest = blake2b(digest_size=16)
    left = size
    with path.open("rb") as file:
        while left and (chunk := file.read(min(left, _CHUNK))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


class SeenBytes(io.RawIOBase):
    """The bytes of a file between two places, hashed up to the last line end while read.

    What is appended while we read belongs to the next pull.
    """

    def __init__(self, path: Path, sight: Sight) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._end = sight.size
        self._digest = blake2b(digest_size=16)
        self.at = 0
        self.complete = 0
        """Bytes up to the last line end."""
        self._complete_digest = self._digest.copy()
        while self.at < min(sight.start, self._end):
            self._take(self._file.read(min(sight.start - self.at, _CHUNK)))

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the file."""
        wanted = min(len(buffer), self._end - self.at)
        if wanted <= 0:
            return 0
        chunk = self._file.read(wanted)
        self._take(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def fingerprint(self) -> str:
        """Give the hash of all bytes up to the last line end."""
        return self._complete_digest.hexdigest()

    def whole_fingerprint(self) -> str:
        """Give the hash of all bytes read."""
        return self._digest.hexdigest()

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            # The file was cut while we read it: what is left is read by the next pull.
            self._end = self.at
            return
        ending = chunk.rfind(b"\n") + 1
        if ending:
            self._digest.update(chunk[:ending])
            self._complete_digest = self._digest.copy()
            self.complete = self.at + ending
        self._digest.update(chunk[ending:])
        self.at += len(chunk)
