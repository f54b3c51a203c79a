"""A large shop as it stands on a morning, written by set-based SQL: nothing of it is measured.

Customers are numbered, and their numbers say what they are: first the newly lapsed of today, then
those with a step that is due, then past and held-out enrollments, those who wait for a turn, those
who were refused, and last the buyers. Earlier looks and measurings are noted as done.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.campaign.versions import keep_version
from winback.lapse.rule import cutoff

TODAY = date(2026, 3, 17)
NOW = datetime(2026, 3, 17, 10, tzinfo=UTC)
"""A Tuesday morning in winter: London is on UTC, texts may go."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How many customers are what; the numbers count on from one to the next."""

    customers: int
    purchases: int
    new: int
    due: int
    every: int = 4
    """Every so many-th customer has a number for texts; nobody where it is 0."""

    @property
    def bounds(self) -> dict[str, int]:
        """Give the last customer of each kind."""
        rest = self.customers - self.new - self.due
        past = self.new + self.due + rest * 20 // 100
        held = past + rest // 100
        waiting = held + rest * 10 // 100
        return {
            "new": self.new,
            "due": self.new + self.due,
            "past": past,
            "held": held,
            "waiting": waiting,
            "refused": waiting + rest * 12 // 100,
            "all": self.customers,
        }


def fill(engine: Engine, campaign: Campaign, shares: Shares) -> None:
    """Write the shop of that morning."""
    with Session(engine) as session, session.begin():
        version_id = keep_version(session, campaign, NOW - timedelta(days=400))
    words = _words(engine.dialect.name)
    until = cutoff(campaign.lapse.after, TODAY)
    with _without_journal(engine), engine.connect() as connection:
        _customers(connection, words, shares, until)
        _purchases(connection, words, shares)
        _addresses(connection, words, shares)
        _enrollments(connection, words, shares, version_id)
        _messages(connection, words)
        _judgements(connection, words, shares, version_id)
        _marks(connection, version_id, until)
        connection.commit()
    if engine.dialect.name == "postgresql":
        _count_on(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


@contextmanager
def _without_journal(engine: Engine) -> Iterator[None]:
    """Let SQLite write once: nothing else is there yet, and after a crash one begins anew."""
    if engine.dialect.name != "sqlite":
        yield
        return
    engine.dispose()
    _pragmas(engine, "journal_mode=DELETE", "journal_mode=OFF", "synchronous=OFF")
    yield
    _pragmas(engine, "journal_mode=WAL")


def _pragmas(engine: Engine, *pragmas: str) -> None:
    """Set pragmas on the one connection in the pool."""
    pooled = engine.raw_connection()
    cursor = pooled.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    pooled.close()


@dataclass(frozen=True, slots=True)
class _Words:
    """How one database writes what the other writes otherwise."""

    numbers: str
    """Rows ``n`` from ``:first`` to ``:last``."""
    empty: str
    """An empty list."""
    days_before: str
    """A date, some days before another."""
    noon: str
    """Noon of a date."""
    at: str
    """An instant given as a parameter."""

    def before(self, day: str, days: str) -> str:
        """Write a date some days before another."""
        return self.days_before.format(day=day, days=days)

    def noon_of(self, day: str) -> str:
        """Write noon of a date."""
        return self.noon.format(day=day)


def _words(kind: str) -> _Words:
    if kind == "sqlite":
        return _Words(
            numbers="(WITH RECURSIVE numbers(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM "
            "numbers WHERE n < :last) SELECT n FROM numbers) AS numbered",
            empty="'[]'",
            days_before="date({day}, (-({days})) || ' days')",
            noon="({day} || ' 12:00:00.000000')",
            at="'{:%Y-%m-%d %H:%M:%S.%f}'",
        )
    return _Words(
        numbers="generate_series(cast(:first AS bigint), cast(:last AS bigint)) AS numbered(n)",
        empty="'[]'::jsonb",
        days_before="(cast({day} AS date) - cast({days} AS int))",
        noon="(({day} + time '12:00') AT TIME ZONE 'UTC')",
        at="timestamptz '{:%Y-%m-%d %H:%M:%S.%f}+00'",
    )


def _insert(
    connection: Connection,
    table: str,
    columns: dict[str, str],
    source: str,
    **values: Any,
) -> None:
    """Insert the rows of a source; the columns say how each is written."""
    connection.execute(
        text(
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {', '.join(columns.values())} FROM {source}"
        ),
        values,
    )


def _customers(connection: Connection, words: _Words, shares: Shares, until: date) -> None:
    """Write customers with the day of their last purchase."""
    bounds = shares.bounds
    newly = words.before(f"'{until}'", "0")
    earlier = words.before(f"'{until}'", "1 + n % 500")
    lately = words.before(f"'{TODAY}'", "1 + n % 150")
    last_on = (
        f"CASE WHEN n <= {bounds['new']} THEN {newly} "
        f"WHEN n <= {bounds['refused']} THEN {earlier} ELSE {lately} END"
    )
    each = shares.purchases // shares.customers
    source = f"(SELECT n, {last_on} AS day FROM {words.numbers} WHERE true) AS made"
    at = words.noon_of("day")
    _insert(
        connection,
        "customers",
        {
            "id": "n",
            "given_name": "'Ann'",
            "country": "'GB'",
            "time_zone": "'Europe/London'",
            "tags": words.empty,
            "interests": words.empty,
            "first_seen_at": at,
            "changed_at": at,
            "purchase_count": str(each),
            "spent": f"{each} * ({_AMOUNT})",
            "first_purchased_at": at,
            "last_purchased_at": at,
            "last_purchased_on": "day",
        },
        source,
        first=1,
        last=shares.customers,
    )


_AMOUNT = "CAST((10 + n * 7919 % 190) * 10000 AS bigint)"
"""Ten to two hundred pounds, the same for all purchases of one customer."""
_EVERY_DAYS = 45
_PART = 100_000


def _purchases(connection: Connection, words: _Words, shares: Shares) -> None:
    """Write as many purchases for each customer, oldest first, so that indexes only grow."""
    each = shares.purchases // shares.customers
    back = f"({each} - k) * {_EVERY_DAYS}"
    ks = " UNION ALL ".join(f"SELECT {k} AS k" for k in range(1, each + 1))
    day = words.before("last_purchased_on", back)
    for first in range(1, shares.customers + 1, _PART):
        source = (
            f"(SELECT customers.id AS n, k, {day} AS day FROM customers CROSS JOIN ({ks}) AS "
            "counted WHERE customers.id BETWEEN :first AND :last ORDER BY n, k) AS made"
        )
        _insert(
            connection,
            "purchases",
            {
                "source": "'till'",
                "external_id": f"'p' || (100000000 + n * {each} + k)",
                "customer_id": "n",
                "purchased_at": words.noon_of("day"),
                "purchased_on": "day",
                "is_date_only": "false",
                "amount": _AMOUNT,
                "currency": "'GBP'",
                "kind": "'sale'",
                "first_seen_at": words.at.format(NOW - timedelta(days=30)),
            },
            source,
            first=first,
            last=min(first + _PART - 1, shares.customers),
        )


def _addresses(connection: Connection, words: _Words, shares: Shares) -> None:
    """Write a mail address for everyone and a number for some, with consent.

    Those who were refused have given none.
    """
    bounds, seen = shares.bounds, words.at.format(NOW - timedelta(days=400))
    has_number = f"n % {shares.every} = 0" if shares.every else "false"
    has_consent = f"(n <= {bounds['waiting']} OR n > {bounds['refused']})"
    for channel, address, part in (
        ("email", "'ann.' || n || '@example.com'", "true"),
        ("sms", "'+4479' || (10000000 + n)", has_number),
    ):
        _insert(
            connection,
            "contact_points",
            {
                "customer_id": "n",
                "channel": f"'{channel}'",
                "address": address,
                "address_hash": f"'{channel}' || n",
                "is_current": "true",
                "is_reachable": "true",
                "seen_at": seen,
            },
            f"{words.numbers} WHERE {part}",
            first=1,
            last=shares.customers,
        )
        _insert(
            connection,
            "consents",
            {
                "customer_id": "n",
                "channel": f"'{channel}'",
                "state": "'given'",
                "is_written": "true",
                "source": "'till'",
                "evidence": "'row ' || n",
                "recorded_at": seen,
            },
            f"{words.numbers} WHERE {part} AND {has_consent}",
            first=1,
            last=shares.customers,
        )


def _enrollments(connection: Connection, words: _Words, shares: Shares, version_id: int) -> None:
    """Write past enrollments, held-out ones, and those whose second step is due today."""
    bounds = shares.bounds
    kinds = (
        # state, arm, enrolled days ago, next step, due on, from, to
        ("active", "treated", "5", "'check-in'", f"'{TODAY}'", bounds["new"], bounds["due"]),
        ("exhausted", "treated", "100 + n % 300", "NULL", "NULL", bounds["due"], bounds["past"]),
        ("held_out", "holdout", "1 + n % 79", "NULL", "later", bounds["past"], bounds["held"]),
    )
    for state, arm, ago, step, due_on, after, last in kinds:
        enrolled_on = words.before(f"'{TODAY}'", ago)
        until = words.before(f"'{TODAY}'", f"({ago}) - 90")
        source = (
            f"(SELECT n, last_purchased_on, {enrolled_on} AS day, {until} AS later FROM "
            f"{words.numbers} JOIN customers ON customers.id = n WHERE true) AS made"
        )
        _insert(
            connection,
            "enrollments",
            {
                "id": "n",
                "campaign": "'six-month'",
                "campaign_version_id": str(version_id),
                "customer_id": "n",
                "lapsed_on": "last_purchased_on",
                "arm": f"'{arm}'",
                "state": f"'{state}'",
                "value": "'normal'",
                "enrolled_at": words.noon_of("day"),
                "enrolled_on": "day",
                "measure_until": words.noon_of("later"),
                "next_step": step,
                "due_on": due_on if due_on in {"later", "NULL"} else words.before(due_on, "0"),
                "is_asleep": "false",
                "sleeps": "0",
                "is_gentle": "false",
                "ended_at": words.noon_of("later") if state == "exhausted" else "NULL",
                "is_left_out": "false",
            },
            source,
            first=after + 1,
            last=last,
        )
    _insert(
        connection,
        "outcomes",
        {
            "enrollment_id": "id",
            "is_converted": "false",
            "purchases": "0",
            "revenue": "0",
            "other_currency": "0",
            "attributed": "0",
            "message_cost": "10",
            "voucher_cost": "0",
            "is_window_over": "state = 'exhausted'",
            "computed_at": words.at.format(NOW),
        },
        "enrollments",
    )


def _messages(connection: Connection, words: _Words) -> None:
    """Write what was sent: one mail to those on their way, three to those whose way is over."""
    sent = words.noon_of("day")
    steps = "SELECT 'concern' AS step, 0 AS days UNION ALL SELECT 'voucher', 12 UNION ALL "
    steps += "SELECT 'farewell', 36"
    source = (
        "(SELECT enrollments.id AS n, step, "
        f"{words.before('enrolled_on', '-days')} AS day FROM enrollments CROSS JOIN ({steps}) "
        "AS sent WHERE arm = 'treated' AND (days = 0 OR state = 'exhausted')) AS made"
    )
    _insert(
        connection,
        "messages",
        {
            "enrollment_id": "n",
            "customer_id": "n",
            "step": "step",
            "is_answer": "false",
            "channel": "'email'",
            "state": "'delivered'",
            "variant": "'a'",
            "reason": "''",
            "cost": "10",
            "address_hash": "'email' || n",
            **dict.fromkeys(
                ("queued_at", "due_at", "drop_at", "claimed_at", "accepted_at", "settled_at"), sent
            ),
        },
        source,
    )
    _insert(
        connection,
        "step_passages",
        {
            "enrollment_id": "enrollment_id",
            "step": "step",
            "how": "'accepted'",
            "why": "''",
            "at": "accepted_at",
        },
        "messages",
    )
    _insert(
        connection,
        "moves",
        {
            "thing": "'message'",
            "thing_id": "id",
            "from_state": "'accepted'",
            "to_state": "'delivered'",
            "event": "'delivered'",
            "why": "''",
            "at": "accepted_at",
        },
        "messages",
    )


def _judgements(connection: Connection, words: _Words, shares: Shares, version_id: int) -> None:
    """Write who waits for a turn and who was refused."""
    bounds = shares.bounds
    source = f"{words.numbers} JOIN customers ON customers.id = n WHERE true"
    shared = {
        "campaign": "'six-month'",
        "customer_id": "n",
        "lapsed_on": "last_purchased_on",
        "campaign_version_id": str(version_id),
        "customer_changed_at": "changed_at",
    }
    _insert(
        connection,
        "waiting",
        # Less than any of the newly lapsed spent.
        {**shared, "spend": "n % 10000", "ranks_until": words.before(f"'{TODAY}'", "-1 - n % 300")},
        source,
        first=bounds["held"] + 1,
        last=bounds["waiting"],
    )
    _insert(
        connection,
        "refusals",
        {**shared, "reason": "'no_consent'", "at": words.at.format(NOW - timedelta(days=1))},
        source,
        first=bounds["waiting"] + 1,
        last=bounds["refused"],
    )


def _marks(connection: Connection, version_id: int, until: date) -> None:
    """Note that yesterday's day was done."""
    yesterday = NOW - timedelta(days=1)
    newest = {
        f"{table}": connection.execute(text(f"SELECT coalesce(max(id), 0) FROM {table}")).scalar()
        for table in ("enrollments", "moves", "responses", "purchases")
    }
    connection.execute(
        text(
            "UPDATE installation SET followed_until = :at, redeemed_until = :at, "
            "value_threshold = 18000000, value_set_on = :today, measured = :measured"
        ),
        {
            "at": _written(connection, yesterday),
            "today": str(TODAY - timedelta(days=2)),
            "measured": json.dumps(newest | {"as_of": yesterday.isoformat()}),
        },
    )
    connection.execute(
        text(
            "INSERT INTO detections (campaign, campaign_version_id, lapsed_until, changed_until) "
            "VALUES ('six-month', :version, :until, :at)"
        ),
        {
            "version": version_id,
            "until": str(until - timedelta(days=1)),
            "at": _written(connection, yesterday),
        },
    )


def _written(connection: Connection, at: datetime) -> Any:
    return f"{at:%Y-%m-%d %H:%M:%S.%f}" if connection.dialect.name == "sqlite" else at


def _count_on(engine: Engine) -> None:
    """Let PostgreSQL's counters go on behind the ids that were given here."""
    with engine.begin() as connection:
        for table in ("customers", "enrollments"):
            connection.execute(
                text(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), "
                    f"(SELECT max(id) FROM {table}))"
                )
            )
