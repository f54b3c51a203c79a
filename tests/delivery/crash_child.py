"""What lives and dies in a process of its own: commands as a person types them, and a receiver.

Children are forked by a small server that has imported winback already (``forkserver`` of
``multiprocessing``): real processes with real ends, without a second of imports for each.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final, NoReturn

from tests.delivery.crash_fates import NOTHING, Fate, meet

_CONTEXT: Final = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.delivery.crash_imports"])

PATIENCE_SECONDS: Final = 120
"""A child that takes longer hangs."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process lives: a home folder and an environment, otherwise bare."""

    home: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """What its processes wrote to stdout and stderr."""
        return self.home / "log"

    def told(self) -> str:
        """Give what its processes said last, for whoever reads a failed test."""
        return self.log.read_text(encoding="utf-8")[-3000:]


@dataclass(slots=True)
class Server:
    """A process that serves, and how it ended once it did."""

    url: str
    exit_code: int | None = None


def run(place: Place, commands: Sequence[Sequence[str]], fate: Fate = NOTHING) -> int:
    """Run commands one after the other in one new process; gives its exit code."""
    return _ended(_CONTEXT.Process(target=_live, args=(place, commands, fate)))


@contextmanager
def serving(place: Place, fate: Fate = NOTHING) -> Iterator[Server]:
    """Serve the web part in one new process; at the end it is stopped as by a service manager."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    child = _CONTEXT.Process(target=_serve, args=(place, theirs, fate))
    child.start()
    theirs.close()
    with ours:
        server = Server(ours.recv() if ours.poll(PATIENCE_SECONDS) else "")
    try:
        yield server
    finally:
        child.terminate()
        server.exit_code = _awaited(child)


def beat_once(place: Place, fate: Fate) -> int:
    """Be a worker that beats once, in one new process; gives its exit code."""
    return _ended(_CONTEXT.Process(target=_beat, args=(place, fate)))


def _ended(child: ForkServerProcess) -> int:
    child.start()
    return _awaited(child)


def _awaited(child: ForkServerProcess) -> int:
    child.join(PATIENCE_SECONDS)
    code = child.exitcode
    if code is None:
        child.kill()
        child.join()
        raise AssertionError("a process of the crash matrix hangs")
    child.close()
    return code


def _live(place: Place, commands: Sequence[Sequence[str]], fate: Fate) -> NoReturn:
    from winback.cli import main  # noqa: PLC0415 - in the child

    def live() -> None:
        for words in commands:
            sys.argv = ["winback", *words]
            try:
                main()
            except SystemExit as left:
                if left.code:
                    raise

    _be(place, fate, live)


def _serve(place: Place, tells: Connection, fate: Fate) -> NoReturn:
    from winback.clock import SystemClock  # noqa: PLC0415 - in the child
    from winback.house import open_business  # noqa: PLC0415 - in the child
    from winback.web.app import WebhookKeys, make_app  # noqa: PLC0415 - in the child
    from winback.web.receiver import receiving  # noqa: PLC0415 - in the child

    def live() -> None:
        # The thread that serves is another; this one waits for the end.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        with open_business(writes=True) as (business, _now):
            given = business.environment
            keys = WebhookKeys(
                sendgrid_events=given.sendgrid_webhook_keys,
                twilio_tokens=tuple(one.get_secret_value() for one in given.twilio_auth_tokens),
            )
            app = make_app(business, webhook_keys=keys, clock=SystemClock())
            with receiving(lambda _url: app) as receiver:
                tells.send(receiver.url)
                tells.close()
                signal.sigwait({signal.SIGTERM})

    _be(place, fate, live)


def _beat(place: Place, fate: Fate) -> NoReturn:
    from winback.clock import SystemClock  # noqa: PLC0415 - in the child
    from winback.delivery.leases import leased  # noqa: PLC0415 - in the child
    from winback.house import open_business  # noqa: PLC0415 - in the child

    def live() -> None:
        with (
            open_business(writes=True) as (business, _now),
            leased(business.engine, SystemClock()) as lease,
        ):
            lease.renew(business.engine, SystemClock())

    _be(place, fate, live)


def _be(place: Place, fate: Fate, live: Callable[[], None]) -> NoReturn:
    """Become a process as one started by hand would be, and end as it would."""
    os.chdir(place.home)
    os.environ.clear()
    os.environ.update(place.environment)
    with place.log.open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    meet(fate)
    code: Any = 0
    try:
        live()
    except SystemExit as left:
        code = left.code
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)
