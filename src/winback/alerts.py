"""Tell the operator what must not wait for the weekly report, once and not again each run.

An alert is a fact that stands (a channel that is closed, a campaign that was braked, work that
was due and nothing ran). It is kept in the database, told to every target in
``WINBACK_ALERT_URLS`` (Apprise's URLs: mail, chat, pager, a webhook), and ended when the fact no
longer stands. Texts hold ids and counts, nobody's name or address.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Engine, bindparam, insert, select, update

from winback.database.bulk import on_conflict
from winback.database.tables import Alert, table_of
from winback.failpoints import committing

_log = logging.getLogger(__name__)
_TITLE: Final = "winback: {business}"

_ALERTS: Final = table_of(Alert)
_RAISE: Final = on_conflict(insert(_ALERTS))
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


def follow(engine: Engine, standing: Mapping[str, str], *, now: datetime) -> None:
    """Let exactly these alerts stand: key to sentence. New ones are raised, others are ended.

    Safe to repeat: one that stands already keeps its first words and is not told again. Owns its
    transaction, and has none where nothing changed.
    """
    with engine.execution_options(winback_reads_only=True).connect() as reader:
        known = set(reader.scalars(_STANDING))
    new = [
        {"key": key, "text": text, "raised_at": now}
        for key, text in standing.items()
        if key not in known
    ]
    over = [{"b_key": key, "b_now": now} for key in sorted(known - standing.keys())]
    if not new and not over:
        return
    with committing(engine.begin(), "alert.follow") as connection:
        if new:
            connection.execute(_RAISE, new)
        if over:
            connection.execute(_END, over)


def tell(engine: Engine, targets: Sequence[str], *, business: str, now: datetime) -> list[str]:
    """Tell what stands and was not told yet; gives its sentences.

    Blocks while it talks to the targets: call it in a thread from a loop. What no target takes is
    tried again the next time. Raises nothing for a target that is away or mistyped: it is logged
    without its URL, which holds secrets.
    """
    with engine.execution_options(winback_reads_only=True).connect() as reader:
        waiting = reader.execute(_UNTOLD).tuples().all()
    if not waiting:
        return []
    for _, text in waiting:
        _log.warning("alert: %s", text)
    # Without targets the log, and Prefect's where a flow runs, are all there is to tell it to.
    told = [id_ for id_, text in waiting if not targets or _notify(targets, business, text)]
    if told:
        with committing(engine.begin(), "alert.told") as connection:
            connection.execute(_TOLD, [{"b_id": id_, "b_now": now} for id_ in told])
    return [text for _, text in waiting]


def _notify(targets: Sequence[str], business: str, text: str) -> bool:
    import apprise  # noqa: PLC0415 - loads a hundred services, and is seldom needed

    # It logs the URLs of targets that fail.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    heard = apprise.Apprise()
    known = [heard.add(target) for target in targets]
    if not all(known):
        _log.error("WINBACK_ALERT_URLS: %d of %d cannot be read", known.count(False), len(known))
    took = bool(heard) and heard.notify(body=text, title=_TITLE.format(business=business))
    if not took:
        _log.error("an alert reached nobody; it is tried again at the next run")
    return bool(took)
