"""Which templates were found clean before: a list in a file, so that no process looks twice.

To look at a whole campaign takes half a second, which is a third of a run on which nothing is
due. Only the clean are listed, by the hash of all that the rules look at; a list that is lost,
broken or cannot be written costs that time again and nothing else.
"""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from winback import __version__

_LONGEST: Final = 1000
"""Lines; a campaign has some fifteen templates, and each edit adds a line."""


class CleanList:
    """Hashes of clean contents, one a line; several processes may write it at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[str] | None = None

    def __contains__(self, digest: str) -> bool:
        """Say whether a content was found clean before."""
        if self._known is None:
            self._known = self._read()
        return digest in self._known

    def add(self, digest: str) -> None:
        """Note a content that was found clean."""
        if digest in self:
            return
        self._known = {*(self._known or ()), digest}
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="ascii") as lines:
                lines.write(f"{digest}\n")

    def _read(self) -> set[str]:
        try:
            lines = self._path.read_text(encoding="ascii").splitlines()
            if len(lines) > _LONGEST:
                self._path.unlink()
                return set()
        except (OSError, UnicodeDecodeError):
            return set()
        return set(lines)


def digest_of(looked_at: object) -> str:
    """Give the hash of all that the rules look at; another version of winback has other rules."""
    return hashlib.sha256(repr((__version__, looked_at)).encode()).hexdigest()
