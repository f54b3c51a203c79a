"""Tell the operator what must not wait for the weekly report, once and not again each run.

An alert is a fact that stands (a channel that is closed, a campaign that was braked, work that
was due and nothing ran). It is kept in the database, logged by the process that sees it first,
told to every target in ``WINBACK_ALERT_URLS`` (Apprise's URLs: mail, chat, pager, a webhook) by
the first that has targets, and ended when the fact no longer stands. Texts hold ids and counts,
nobody's name or address.

Several processes look at once. Who tells has the turn of telling meanwhile, a row of ``paces``;
the others leave it to that one.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine, bindparam, delete, insert, select, update

from winback.database.bulk import on_conflict
from winback.database.tables import Alert, Pace, table_of
from winback.failpoints import committing

_log = logging.getLogger(__name__)
_TITLE: Final = "winback: {business}"

TURN: Final = timedelta(minutes=15)
"""How long a turn lasts at most: whoever has it for longer died, and another takes it.

What the dead one told and could not note is told again: rather twice than never.
"""

_ALERTS: Final = table_of(Alert)
_RAISE: Final = on_conflict(insert(_ALERTS).returning(_ALERTS.c.id))
_STANDING: Final = select(_ALERTS.c.key).where(_ALERTS.c.ended_at.is_(None))
_END: Final = (
    update(_ALERTS)
    .where(_ALERTS.c.key == bindparam("b_key"), _ALERTS.c.ended_at.is_(None))
    .values(ended_at=bindparam("b_now"))
)
_UNTOLD: Final = (
    select(_ALERTS.c.id, _ALERTS.c.text)
    .where(_ALERTS.c.ended_at.is_(None), _ALERTS.c.told_at.is_(None))
    .order_by(_ALERTS.c.id)
)
_TOLD: Final = (
    update(_ALERTS)
    .where(_ALERTS.c.id == bindparam("b_id"), _ALERTS.c.told_at.is_(None))
    .values(told_at=bindparam("b_now"))
)
_TURNS: Final = table_of(Pace)
_OF_TELLING: Final = _TURNS.c.name == "alerts"
_TAKE: Final = on_conflict(insert(_TURNS).returning(_TURNS.c.name))
_GIVE_BACK: Final = delete(_TURNS).where(_OF_TELLING, _TURNS.c.free_at == bindparam("mine"))
_TAKE_FROM_THE_DEAD: Final = delete(_TURNS).where(
    # One that lies far further ahead than any turn was taken by a clock that is set back since.
    # Twice as far, since machines that share a database are never quite in step: a turn of one
    # that is ahead by a little stands.
    _OF_TELLING,
    (_TURNS.c.free_at <= bindparam("now")) | (_TURNS.c.free_at > bindparam("longest")),
)


def follow(
    engine: Engine, standing: Mapping[str, str], *, now: datetime, but: tuple[str, ...] = ()
) -> list[str]:
    """Let exactly these alerts stand: key to sentence. New ones are raised, others are ended.

    Gives the sentences that were raised here and now, which are logged. Safe to repeat: one that
    stands already keeps its first words and is not told again. Those whose keys begin with a word
    of ``but`` are left as they are: who looks cannot know of them. Owns its transaction, and has
    none where nothing changed.
    """
    with engine.execution_options(winback_reads_only=True).connect() as reader:
        known = {key for key in reader.scalars(_STANDING) if not key.startswith(but)}
    new = [
        (key, text)
        for key, text in standing.items()
        if key not in known and not key.startswith(but)
    ]
    over = [{"b_key": key, "b_now": now} for key in sorted(known - standing.keys())]
    if not new and not over:
        return []
    with committing(engine.begin(), "alert.follow") as connection:
        # Another process may have raised one since, and logged it then.
        raised = [
            text
            for key, text in new
            if connection.scalar(_RAISE, {"key": key, "text": text, "raised_at": now}) is not None
        ]
        if over:
            connection.execute(_END, over)
        # Before the commit: where this process dies in between, rather twice than never.
        for text in raised:
            _log.warning("alert: %s", text)
    return raised


def tell(engine: Engine, targets: Sequence[str], *, business: str, now: datetime) -> list[str]:
    """Tell what stands and was not told yet; gives what was told, none while another tells.

    Blocks while it talks to the targets: call it in a thread from a loop. An alert is told when
    one target took it; what none takes is tried again the next time, and without targets it is
    left to a process that has some. Raises nothing for a target that is away or mistyped: it is
    logged without its URL, which holds secrets.
    """
    if not targets or not _untold(engine):
        return []
    told = []
    with _turn(engine, now) as is_ours:
        # Read again: another may have told it while this one came for its turn.
        waiting = _untold(engine) if is_ours else []
        for id_, text in waiting:
            if _notify(targets, business, text):
                told.append(text)
                with committing(engine.begin(), "alert.told") as connection:
                    connection.execute(_TOLD, {"b_id": id_, "b_now": now})
    return told


def _untold(engine: Engine) -> Sequence[tuple[int, str]]:
    with engine.execution_options(winback_reads_only=True).connect() as reader:
        return reader.execute(_UNTOLD).tuples().all()


@contextmanager
def _turn(engine: Engine, now: datetime) -> Iterator[bool]:
    """Take the turn of telling for the length of the block; False where another has it."""
    until = now + TURN
    with committing(engine.begin(), "alert.turn") as connection:
        connection.execute(_TAKE_FROM_THE_DEAD, {"now": now, "longest": now + 2 * TURN})
        taken = connection.scalar(_TAKE, {"name": "alerts", "free_at": until})
    try:
        yield taken is not None
    finally:
        if taken is not None:
            with committing(engine.begin(), "alert.turn") as connection:
                connection.execute(_GIVE_BACK, {"mine": until})


def _notify(targets: Sequence[str], business: str, text: str) -> bool:
    """Say it to each target by itself; True if one took it.

    One that is away is not told later: else the others would be told at each look until it is back.
    """
    import apprise  # noqa: PLC0415 - loads a hundred services, and is seldom needed

    # It logs the URLs of targets that fail.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    title = _TITLE.format(business=business)
    took, of = 0, len(targets)
    for number, url in enumerate(targets, 1):
        target = apprise.Apprise()
        if not target.add(url):
            _log.error("WINBACK_ALERT_URLS: the target %d of %d cannot be read", number, of)
        elif target.notify(body=text, title=title):
            took += 1
        else:
            # The scheme of a URL that Apprise could read is a name of its own.
            kind = url.partition(":")[0]
            _log.error("an alert was not taken by the target %d of %d (%s)", number, of, kind)
    if not took:
        _log.error("an alert reached nobody; it is tried again at the next run")
    return took > 0
