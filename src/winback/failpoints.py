"""Named points around every commit and every call to a provider: there a test lets it die.

``WINBACK_FAILPOINT=NAME`` or ``NAME:N`` in the environment of a process ends it hard, as a crash
does, when it passes that point for the first or the Nth time. Without it a point costs one look
at a global. What is around a transaction or a call says so in one word:

    with Session(engine) as session, committing(session.begin(), "claim"):
    with calling("sendgrid"):

so that no commit and no such call can be without its two points (FACTS.md DS-20). The heartbeat
has them too; alert targets, and what ``winback check --online`` asks, have none.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Literal, TypeVar, get_args

from winback.errors import ConfigError

EXIT_CODE: Final = 86
"""With what a process ends that dies at a failpoint."""

VARIABLE: Final = "WINBACK_FAILPOINT"
"""Names the point in the environment."""

Commit = Literal[
    "start.upgrade",
    "start.belong",
    "start.as_of",
    "run.begin",
    "run.end",
    "pull.part",
    "detect.version",
    "detect.judge",
    "detect.mark",
    "detect.enroll",
    "worker.begin",
    "worker.beat",
    "worker.end",
    "send.brake",
    "send.settle",
    "queue.wake",
    "queue.stock",
    "queue.plan",
    "send.claim",
    "send.record",
    "send.close",
    "evidence.record",
    "lists.keep",
    "pace.turn",
    "settle.by_hand",
    "pause.by_hand",
    "customer.by_hand",
    "desk.case",
    "events.replay",
    "web.keep",
    "respond.events",
    "respond.purchases",
    "measure.close",
    "measure.part",
    "measure.mark",
    "alert.follow",
    "alert.turn",
    "alert.told",
    "voucher.export",
    "voucher.import",
    "voucher.redeem",
]
"""The transactions that write, each named for the stage and what it does there."""

Call = Literal["sendgrid", "twilio", "sendgrid_logs", "twilio_list", "sendgrid_lists", "heartbeat"]
"""Who is called over HTTP."""

COMMITS: Final[tuple[str, ...]] = get_args(Commit)
CALLS: Final[tuple[str, ...]] = get_args(Call)

FAILPOINTS: Final = (
    *(f"{name}.{edge}" for name in COMMITS for edge in ("before_commit", "after_commit")),
    *(f"{name}.{edge}" for name in CALLS for edge in ("before_call", "after_call")),
)
"""Every point there is."""

T = TypeVar("T")
Watcher = Callable[[str], None]


def reach(point: str) -> None:
    """Pass a point; does nothing unless somebody watches."""
    if _watcher is not None:
        _watcher(point)


@contextmanager
def committing(begun: AbstractContextManager[T], name: Commit) -> Iterator[T]:
    """Put the two points of ``name`` around the commit with which a transaction ends."""
    with begun as transaction:
        yield transaction
        reach(f"{name}.before_commit")
    reach(f"{name}.after_commit")


@contextmanager
def calling(name: Call) -> Iterator[None]:
    """Put the two points of ``name`` around a call; one that raised has no second point."""
    reach(f"{name}.before_call")
    yield
    reach(f"{name}.after_call")


def watch(watcher: Watcher | None) -> None:
    """Tell ``watcher`` of every point that this process passes from now on; None ends it."""
    global _watcher  # noqa: PLW0603 - one process, one watcher
    _watcher = watcher


def dying_at(wanted: str) -> Watcher:
    """Give a watcher that ends the process at ``NAME`` or ``NAME:N``, as a crash does.

    Nothing is cleaned up: no ``finally``, no rollback, no flush. Raises ConfigError for a name
    that is none.
    """
    name, _, times = wanted.partition(":")
    left = int(times) if times.isdecimal() else 1
    if name not in FAILPOINTS or (times and not times.isdecimal()):
        raise ConfigError(f"{VARIABLE} names no failpoint: {wanted!r}")

    def watcher(point: str) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left <= 0:
                os._exit(EXIT_CODE)

    return watcher


_watcher: Watcher | None = dying_at(os.environ[VARIABLE]) if VARIABLE in os.environ else None
