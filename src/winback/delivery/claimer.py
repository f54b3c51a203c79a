"""Whoever claims for the calls of one run: a few at a time, each time in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from winback.database.retrying import retried
from winback.delivery.calling import Desk
from winback.delivery.claiming import Claims, claim, put_off
from winback.delivery.composing import Claimed
from winback.delivery.counts import SendCounts
from winback.delivery.due import Due
from winback.delivery.isolating import Isolation, working_at_rows
from winback.delivery.leases import LeaseLost
from winback.failpoints import committing


@dataclass(slots=True)
class Claimer:
    """Claims, notes what is to be taken up again, and counts what nobody will be called for."""

    desk: Desk
    counts: SendCounts
    due: Due
    waiting: list[Claimed] = field(default_factory=list)
    """Claimed, or perhaps so, and surely not called yet; the first to be called is the last."""
    unprepared: Isolation = field(default_factory=lambda: Isolation("message"))

    def claim(self, ids: Sequence[int]) -> None:
        """Claim these; one that cannot be prepared waits, and keeps no other from being sent.

        Raises LeaseLost where others have ended this worker.
        """
        self.unprepared.work(ids, self._claim_at_once, self._put_off)

    def _claim_at_once(self, ids: Sequence[int]) -> None:
        desk, waiting = self.desk, list(self.waiting)
        engine, worker_id = desk.run.writes, desk.lease.worker_id
        if not desk.holds(desk.clock.now()):
            raise LeaseLost(worker_id)
        resting = desk.channels.standing(desk.run.now)

        def transact() -> Claims:
            self.waiting = waiting
            with Session(engine) as session, committing(session.begin(), "send.claim"):
                with working_at_rows():
                    done = claim(session, desk.run, ids, resting=resting, worker_id=worker_id)
                # Before the commit: where nobody knows whether it went through, they are given
                # back. What waits is called from its end.
                self.waiting = [*reversed(done.claimed), *waiting]
            return done

        claims = retried(transact)
        desk.saw(claims.pauses)
        self.due.hold(claims.held)
        self.due.stop(claims.stopped, claims.pauses)
        self.counts.postponed += claims.postponed
        self.counts.skipped += claims.skipped

    def _put_off(self, message_id: int, kind: str) -> None:
        run = self.desk.run
        with (
            Session(run.writes) as session,
            committing(session.begin(), "send.claim"),
            working_at_rows(),
        ):
            done = put_off(session, run, message_id, kind)
        self.counts.postponed += done.postponed
        self.counts.skipped += done.skipped
