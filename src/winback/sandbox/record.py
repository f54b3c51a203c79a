"""The stand-ins' own record of all they accepted: a SQLite file that winback does not write to.

A row is committed before the request is answered, so that it survives a killed process (not a
power cut: ``synchronous`` is off for speed). While one process writes, others may read (WAL).
"""

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from winback.sandbox.entries import Entry, entry_of

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS mails (
  id INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, send_id TEXT NOT NULL,
  to_address TEXT NOT NULL, from_address TEXT NOT NULL, reply_to TEXT NOT NULL,
  subject TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL, headers TEXT NOT NULL,
  categories TEXT NOT NULL, at TEXT NOT NULL, is_told INTEGER NOT NULL DEFAULT 0,
  arguments TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS texts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, sid TEXT NOT NULL UNIQUE, send_id TEXT NOT NULL,
  to_number TEXT NOT NULL, service TEXT NOT NULL, body TEXT NOT NULL, callback TEXT NOT NULL,
  valid_for_seconds INTEGER NOT NULL, status TEXT NOT NULL, error_code INTEGER,
  at TEXT NOT NULL, is_told INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS mail_events (
  id INTEGER PRIMARY KEY, mail_id INTEGER NOT NULL, event TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_texts_to ON texts (to_number);
CREATE INDEX IF NOT EXISTS ix_mails_to ON mails (to_address);
CREATE INDEX IF NOT EXISTS ix_mails_untold ON mails (id) WHERE is_told = 0;
CREATE INDEX IF NOT EXISTS ix_texts_untold ON texts (id) WHERE is_told = 0;
CREATE INDEX IF NOT EXISTS ix_mail_events_mail ON mail_events (mail_id);
CREATE TABLE IF NOT EXISTS listed (
  id INTEGER PRIMARY KEY, list TEXT NOT NULL, address TEXT NOT NULL, at INTEGER NOT NULL,
  entry TEXT NOT NULL, UNIQUE (list, address)
);
CREATE INDEX IF NOT EXISTS ix_listed_at ON listed (list, at);
CREATE TABLE IF NOT EXISTS stops (number TEXT PRIMARY KEY, at TEXT NOT NULL);
"""
_MAIL: Final = (
    "id, message_id, send_id, to_address, from_address, reply_to, subject, text, html, headers, "
    "categories, at, arguments"
)
_TEXT: Final = (
    "id, sid, send_id, to_number, service, body, callback, valid_for_seconds, status, error_code, "
    "at"
)
_SLIM_MAIL: Final = _MAIL.replace("text, html", "'' AS text, '' AS html")
_ADD_MAIL: Final = f"INSERT INTO mails ({_MAIL[4:]}) VALUES ({'?,' * 11}?)"  # noqa: S608 - our own column names
_ADD_TEXT: Final = f"INSERT INTO texts ({_TEXT[4:]}) VALUES ({'?,' * 9}?)"  # noqa: S608 - our own column names
_ADD_LISTED: Final = "INSERT OR IGNORE INTO listed (list, address, at, entry) VALUES (?, ?, ?, ?)"


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
    arguments: Mapping[str, str] = field(default_factory=dict)
    """The custom arguments, our send id among them."""

    @property
    def full_id(self) -> str:
        """The ``sg_message_id``: the ``X-Message-Id`` and what the service adds (SG-11)."""
        return f"{self.message_id}.recvd-stand-in-1.{self.id}"


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
    """Everything accepted, over all runs; usable from any thread.

    With ``is_reader`` the file is another process's to write, and exists.
    """

    def __init__(self, path: Path | None = None, *, is_reader: bool = False) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30
        )
        self._connection.row_factory = sqlite3.Row
        if is_reader:
            self._connection.execute("PRAGMA query_only=1")
            return
        # A mail in one page of a new file: half the price of spreading it over four.
        self._connection.execute("PRAGMA page_size=16384")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.executescript(_SCHEMA)
        if "arguments" not in {row["name"] for row in self._read("PRAGMA table_info(mails)")}:
            # A record of winback 0.1, from before Email Logs were imitated.
            self._connection.execute(
                "ALTER TABLE mails ADD COLUMN arguments TEXT NOT NULL DEFAULT '{}'"
            )

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
        return self.find_mails("id > ?", [since_id])

    def texts(self, since_id: int = 0) -> list[Text]:
        """Give the texts accepted after that one, oldest first."""
        return self.find_texts("id > ?", [since_id])

    def untold_mails(self, since_id: int = 0) -> list[Mail]:
        """Give the mails after that one of which nothing was reported yet, without their bodies."""
        return self.find_mails("is_told = 0 AND id > ?", [since_id], has_bodies=False)

    def untold_texts(self, since_id: int = 0) -> list[Text]:
        """Give the texts after that one of which nothing was reported yet."""
        return self.find_texts("is_told = 0 AND id > ?", [since_id])

    def count_untold(self, mail_id: int, text_id: int) -> int:
        """Give of how many mails and texts after those nothing was reported yet."""
        query = (
            "SELECT (SELECT COUNT(*) FROM mails WHERE is_told = 0 AND id > ?)"
            " + (SELECT COUNT(*) FROM texts WHERE is_told = 0 AND id > ?)"
        )
        return int(self._read(query, [mail_id, text_id])[0][0])

    def mail(self, mail_id: int) -> Mail | None:
        """Give the mail with that id."""
        return next(iter(self.find_mails("id = ?", [mail_id])), None)

    def text(self, sid: str) -> Text | None:
        """Give the text with that sid."""
        return next(iter(self.find_texts("sid = ?", [sid])), None)

    def texts_to(self, number: str) -> list[Text]:
        """Give the texts to that number, oldest first."""
        return self.find_texts("to_number = ?", [number])

    def events(self, mail_id: int) -> list[dict[str, Any]]:
        """Give what was reported of a mail, oldest report first."""
        query = "SELECT event FROM mail_events WHERE mail_id = ? ORDER BY id"
        return [orjson.loads(row["event"]) for row in self._read(query, [mail_id])]

    def has_stopped(self, number: str) -> bool:
        """Say whether that number texted STOP and not START since."""
        return bool(self._read("SELECT 1 FROM stops WHERE number = ?", [number]))

    def find_mails(
        self,
        where: str,
        values: Sequence[object] = (),
        *,
        newest: int | None = None,
        has_bodies: bool = True,
    ) -> list[Mail]:
        """Give the mails of a condition, oldest first.

        With ``newest`` at most that many, newest first (-1: all). Without bodies they cost less.
        """
        select = f"SELECT {_MAIL if has_bodies else _SLIM_MAIL} FROM mails"  # noqa: S608 - our own words
        return [_mail(row) for row in self._find(select, where, values, newest=newest)]

    def find_texts(
        self, where: str, values: Sequence[object] = (), *, newest: int | None = None
    ) -> list[Text]:
        """Give the texts of a condition, oldest first; with ``newest`` that many, newest first."""
        rows = self._find(f"SELECT {_TEXT} FROM texts", where, values, newest=newest)  # noqa: S608 - our own words
        return [Text(**{**row, "at": datetime.fromisoformat(row["at"])}) for row in map(dict, rows)]

    def add(self, mails: Iterable[Mail] = (), texts: Iterable[Text] = ()) -> None:
        """Keep mails and texts in one transaction; their ids are given by the file."""
        self._write(
            (_ADD_MAIL, [_mail_row(mail) for mail in mails]),
            (_ADD_TEXT, [_text_row(text) for text in texts]),
        )

    def add_events(self, events: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        """Keep what is reported of mails, (mail's id, event) each, and who is listed for it."""
        kept = list(events)
        rows = [(mail_id, orjson.dumps(event).decode()) for mail_id, event in kept]
        listed = [one for _, event in kept if (one := entry_of(event)) is not None]
        self._write(
            ("INSERT INTO mail_events (mail_id, event) VALUES (?, ?)", rows),
            (_ADD_LISTED, [_entry_row(one) for one in listed]),
        )

    def add_listed(self, entries: Iterable[Entry]) -> None:
        """Put addresses on the lists of whom SendGrid writes to no more; once on each."""
        self._write((_ADD_LISTED, [_entry_row(one) for one in entries]))

    def listed(
        self, name: str, *, since: int, until: int, limit: int = -1, offset: int = 0
    ) -> list[Entry]:
        """Give a part of such a list, the newest first; -1 is all."""
        rows = self._read(
            "SELECT list, address, at, entry FROM listed WHERE list = ? AND at BETWEEN ? AND ?"
            " ORDER BY at DESC, id DESC LIMIT ? OFFSET ?",
            [name, since, until, limit, offset],
        )
        return [
            Entry(row["list"], row["address"], row["at"], orjson.loads(row["entry"]))
            for row in rows
        ]

    def set_statuses(self, statuses: Iterable[tuple[str, str, int | None]]) -> None:
        """Note what became of texts, (sid, status, error code) each, and that it was reported."""
        rows = [(status, code, sid) for sid, status, code in statuses]
        self._write(
            ("UPDATE texts SET status = ?, error_code = ?, is_told = 1 WHERE sid = ?", rows)
        )

    def mark_told(self, mail_ids: Iterable[int]) -> None:
        """Note that something was reported of these mails."""
        self._write(("UPDATE mails SET is_told = 1 WHERE id = ?", [(one,) for one in mail_ids]))

    def set_stopped(self, number: str, at: datetime, *, is_stopped: bool) -> None:
        """Note a STOP or a START of a number."""
        if is_stopped:
            self._write(("INSERT OR REPLACE INTO stops VALUES (?, ?)", [(number, at.isoformat())]))
        else:
            self._write(("DELETE FROM stops WHERE number = ?", [(number,)]))

    def _find(
        self, select: str, where: str, values: Sequence[object], *, newest: int | None
    ) -> list[sqlite3.Row]:
        order = "id LIMIT -1" if newest is None else f"id DESC LIMIT {newest:d}"
        return self._read(f"{select} WHERE {where} ORDER BY {order}", values)

    def _read(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def _write(self, *changes: tuple[str, Sequence[tuple[object, ...]]]) -> None:
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement, rows in changes:
                if rows:
                    self._connection.executemany(statement, rows)


def _mail(row: sqlite3.Row) -> Mail:
    return Mail(
        **{
            **dict(row),
            "headers": orjson.loads(row["headers"]),
            "categories": tuple(orjson.loads(row["categories"])),
            "at": datetime.fromisoformat(row["at"]),
            "arguments": orjson.loads(row["arguments"]),
        }
    )


def _mail_row(mail: Mail) -> tuple[object, ...]:
    return (
        mail.message_id,
        mail.send_id,
        mail.to_address,
        mail.from_address,
        mail.reply_to,
        mail.subject,
        mail.text,
        mail.html,
        orjson.dumps(mail.headers).decode(),
        orjson.dumps(mail.categories).decode(),
        mail.at.isoformat(),
        orjson.dumps(mail.arguments).decode(),
    )


def _text_row(text: Text) -> tuple[object, ...]:
    return (
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


def _entry_row(one: Entry) -> tuple[object, ...]:
    return (one.list, one.address, one.at, orjson.dumps(one.fields).decode())
