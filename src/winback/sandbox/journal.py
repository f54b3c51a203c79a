"""Commits together what is accepted together: answers wait for their commit, and share it."""

import asyncio
from collections.abc import Callable, Sequence

from winback.sandbox.record import Mail, Record, Text


class Journal:
    """Collects what one round of the loop accepts, and commits it at once (group commit)."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._mails: list[Mail] = []
        self._texts: list[Text] = []
        self._then: list[Callable[[], None]] = []
        self.pause_seconds = 0.0
        """How long a commit waits for company: no longer than an answer takes anyway."""
        self.kept = asyncio.Event()
        """Set whenever something was kept."""

    def keep(self, accepted: Sequence[Mail] | Sequence[Text], then: Callable[[], None]) -> None:
        """Keep what was accepted, and call ``then`` once it is committed."""
        if not self._then:
            # At least all that the loop reads in this round is committed together.
            asyncio.get_running_loop().call_later(self.pause_seconds, self._commit)
        for one in accepted:
            if isinstance(one, Mail):
                self._mails.append(one)
            else:
                self._texts.append(one)
        self._then.append(then)

    def _commit(self) -> None:
        mails, self._mails = self._mails, []
        texts, self._texts = self._texts, []
        then, self._then = self._then, []
        # An error here leaves the calls without an answer, and nothing was accepted.
        self._record.add(mails, texts)
        self.kept.set()
        for call in then:
            call()
