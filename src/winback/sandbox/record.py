"""The stand-ins' own record of all they accepted: a SQLite file that winback does not write to.

A row is committed before the request is answered, so that it survives a killed process (not a
power cut: ``synchronous`` is off for speed).
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS mails (
  id INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, send_id TEXT NOT NULL,
  to_address TEXT NOT NULL, from_address TEXT NOT NULL, reply_to TEXT NOT NULL,
  subject TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL, headers TEXT NOT NULL,
  categories TEXT NOT NULL, at TEXT NOT NULL, is_told INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS texts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, sid TEXT NOT NULL UNIQUE, send_id TEXT NOT NULL,
  to_number TEXT NOT NULL, service TEXT NOT NULL, body TEXT NOT NULL, callback TEXT NOT NULL,
  valid_for_seconds INTEGER NOT NULL, status TEXT NOT NULL, error_code INTEGER,
  at TEXT NOT NULL, is_told INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS ix_texts_to ON texts (to_number);
CREATE INDEX IF NOT EXISTS ix_mails_untold ON mails (id) WHERE is_told = 0;
CREATE INDEX IF NOT EXISTS ix_texts_untold ON texts (id) WHERE is_told = 0;
CREATE TABLE IF NOT EXISTS stops (number TEXT PRIMARY KEY, at TEXT NOT NULL);
"""
_MAIL: Final = (
    "id, message_id, send_id, to_address, from_address, reply_to, subject, text, html, headers, "
    "categories, at"
)
_TEXT: Final = (
    "id, sid, send_id, to_number, service, body, callback, valid_for_seconds, status, error_code, "
    "at"
)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that was accepted."""

    id: int
    message_id: str
    send_id: str
    to_address: str
    from_address: str
    reply_to: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]
    categories: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Text:
    """One text that was accepted, with the last status that was reported of it."""

    id: int
    sid: str
    send_id: str
    to_number: str
    service: str
    body: str
    callback: str
    valid_for_seconds: int
    status: str
    error_code: int | None
    at: datetime


class Record:
    """Everything accepted, over all runs; usable from any thread."""

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def count(self) -> int:
        """Give how many mails and texts were ever accepted."""
        rows = self._read(
            "SELECT (SELECT COALESCE(MAX(id), 0) FROM mails)"
            " + (SELECT COALESCE(MAX(id), 0) FROM texts)"
        )
        return int(rows[0][0])

    def mails(self, since_id: int = 0) -> list[Mail]:
        """Give the mails accepted after that one, oldest first."""
        return self._mails("id > ?", since_id)

    def texts(self, since_id: int = 0) -> list[Text]:
        """Give the texts accepted after that one, oldest first."""
        return self._texts("id > ?", since_id)

    def untold_mails(self) -> list[Mail]:
        """Give the mails of which nothing was reported yet."""
        return self._mails("is_told = 0")

    def untold_texts(self) -> list[Text]:
        """Give the texts of which nothing was reported yet."""
        return self._texts("is_told = 0")

    def text(self, sid: str) -> Text | None:
        """Give the text with that sid."""
        return next(iter(self._texts("sid = ?", sid)), None)

    def texts_to(self, number: str) -> list[Text]:
        """Give the texts to that number, oldest first."""
        return self._texts("to_number = ?", number)

    def has_stopped(self, number: str) -> bool:
        """Say whether that number texted STOP and not START since."""
        return bool(self._read("SELECT 1 FROM stops WHERE number = ?", number))

    def add_mails(self, mails: Iterable[Mail]) -> None:
        """Keep mails; their ids are given by the file."""
        rows = [
            (
                mail.message_id,
                mail.send_id,
                mail.to_address,
                mail.from_address,
                mail.reply_to,
                mail.subject,
                mail.text,
                mail.html,
                json.dumps(dict(mail.headers)),
                json.dumps(mail.categories),
                mail.at.isoformat(),
            )
            for mail in mails
        ]
        self._write(f"INSERT INTO mails ({_MAIL[4:]}) VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)  # noqa: S608 - our own column names

    def add_text(self, text: Text) -> None:
        """Keep a text; its id is given by the file."""
        row = (
            text.sid,
            text.send_id,
            text.to_number,
            text.service,
            text.body,
            text.callback,
            text.valid_for_seconds,
            text.status,
            text.error_code,
            text.at.isoformat(),
        )
        self._write(f"INSERT INTO texts ({_TEXT[4:]}) VALUES (?,?,?,?,?,?,?,?,?,?)", [row])  # noqa: S608 - our own column names

    def set_status(self, sid: str, status: str, error_code: int | None = None) -> None:
        """Note what became of a text, and that it was reported."""
        self._write(
            "UPDATE texts SET status = ?, error_code = ?, is_told = 1 WHERE sid = ?",
            [(status, error_code, sid)],
        )

    def mark_told(self, mails: Iterable[Mail]) -> None:
        """Note that something was reported of these mails."""
        self._write("UPDATE mails SET is_told = 1 WHERE id = ?", [(mail.id,) for mail in mails])

    def set_stopped(self, number: str, at: datetime, *, is_stopped: bool) -> None:
        """Note a STOP or a START of a number."""
        if is_stopped:
            self._write("INSERT OR REPLACE INTO stops VALUES (?, ?)", [(number, at.isoformat())])
        else:
            self._write("DELETE FROM stops WHERE number = ?", [(number,)])

    def _mails(self, where: str, *values: object) -> list[Mail]:
        rows = self._read(f"SELECT {_MAIL} FROM mails WHERE {where} ORDER BY id", *values)  # noqa: S608 - our own words
        return [
            Mail(
                **{
                    **row,
                    "headers": json.loads(row["headers"]),
                    "categories": tuple(json.loads(row["categories"])),
                    "at": datetime.fromisoformat(row["at"]),
                }
            )
            for row in map(dict, rows)
        ]

    def _texts(self, where: str, *values: object) -> list[Text]:
        rows = self._read(f"SELECT {_TEXT} FROM texts WHERE {where} ORDER BY id", *values)  # noqa: S608 - our own words
        return [Text(**{**row, "at": datetime.fromisoformat(row["at"])}) for row in map(dict, rows)]

    def _read(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._lock:
            if len(rows) == 1:
                self._connection.execute(statement, rows[0])
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")
