"""Break what carries the promises, one thing at a time, and see that a test fails for each.

``python -m tests.mutations`` copies the tree, changes a few words of it, runs the tests that are
named beside the change, and expects them to fail (FACTS.md DS-25). A mutant that survives, or a
change that no longer fits the code, makes the script fail: then a promise is held by nothing but
habit.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
_COPIED: Final = (
    *("config", "docs", "flows", "src", "templates", "tests"),
    *("prefect.yaml", "pyproject.toml"),
)
_FAILED: Final = 1
"""What pytest exits with where a test failed, and nothing else went wrong."""


@dataclass(frozen=True, slots=True)
class Change:
    """Words of one file, and what stands there instead; they occur once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """One thing that is taken away, and the tests that must not like it."""

    name: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]


_MATRIX: Final = "tests/delivery/test_crash_matrix.py"
_DIES: Final = (
    f"{_MATRIX}::test_a_day_that_dies_around_a_call_sends_nothing_twice_and_loses_nothing"
)
_ONE_ROW: Final = (
    "tests/delivery/test_one_row.py::test_a_second_row_of_a_step_is_refused_by_the_database"
)
_SEND: Final = "src/winback/delivery/"
_BAD_LINES: Final = "tests/simulation/test_year.py::test_a_month_of_lost_replies_breaks_no_promise"
_GATE: Final = f"{_SEND}gate.py"
_NEVER: Final = "    if False:\n        yield"
_NO_CONSENT: Final = '    if False:\n        yield f"no consent'
_YEARS: Final = tuple(
    f"tests/simulation/test_year.py::test_a_year_keeps_every_promise[{seed}]" for seed in range(5)
)
"""The years of every day: what one of them finds is found there, by no test of the very line."""

MUTATIONS: Final = (
    Mutation(
        "no unique index on (enrollment, step)",
        (
            Change(
                "src/winback/database/tables/messages.py",
                '"step",\n            unique=True,',
                '"step",\n            unique=False,',
            ),
            Change(
                "src/winback/database/migrations/versions/0001_first_schema.py",
                '["enrollment_id", "step"],\n            unique=True,',
                '["enrollment_id", "step"],\n            unique=False,',
            ),
            Change(
                "src/winback/database/migrations/versions/0003_lighter_messages.py",
                '["enrollment_id", "step"],\n        unique=True,',
                '["enrollment_id", "step"],\n        unique=False,',
            ),
        ),
        (
            f"{_ONE_ROW}[sqlite-queued-False]",
            f"{_ONE_ROW}[postgresql-accepted-True]",
        ),
    ),
    Mutation(
        "the claim is written after the call, with its result",
        (
            Change(
                f"{_SEND}taking.py",
                "    _write(session, run, claimed, worker_id)\n",
                "    del worker_id\n",
            ),
            Change(
                f"{_SEND}outbox.py",
                "            record_results(session, self.desk.run, ended)\n",
                "            made = [one.claimed for one in ended]\n"
                "            worker_id = self.desk.lease.worker_id\n"
                "            taking._write(session, self.desk.run, made, worker_id)\n"
                "            record_results(session, self.desk.run, ended)\n",
            ),
            Change(
                f"{_SEND}outbox.py",
                "from winback.delivery.calling import Desk\n",
                "from winback.delivery import taking\nfrom winback.delivery.calling import Desk\n",
            ),
        ),
        (f"{_DIES}[sqlite-sendgrid.after_call]", f"{_DIES}[postgresql-sendgrid.after_call]"),
    ),
    Mutation(
        "no last look in the claim",
        (
            Change(
                f"{_SEND}claiming.py",
                "without=without)\n    never =",
                "without=without)\n"
                "    asked = [replace(one, verdict=Allow()) for one in asked]\n    never =",
            ),
            Change(
                f"{_SEND}claiming.py",
                "from dataclasses import dataclass, field\n",
                "from dataclasses import dataclass, field, replace\n",
            ),
        ),
        ("tests/delivery/test_no_means_no.py",),
    ),
    Mutation(
        "suppression is not asked by the gate",
        (
            Change(
                f"{_SEND}gate.py",
                "if asked.is_suppressed or state is EnrollmentState.SUPPRESSED:",
                "if False:",
            ),
        ),
        ("tests/delivery/test_gate.py",),
    ),
    Mutation(
        "suppression is not looked up",
        (
            Change(
                f"{_SEND}planning.py",
                "is_suppressed=sight.is_suppressed(customer_id)",
                "is_suppressed=False",
            ),
            Change(
                f"{_SEND}planning.py",
                "is_channel_suppressed=sight.is_channel_suppressed(customer_id, channel)",
                "is_channel_suppressed=False",
            ),
        ),
        ("tests/delivery/test_no_means_no.py",),
    ),
    Mutation(
        "a worker that was given up still claims",
        (
            Change(
                f"{_SEND}claiming.py",
                "    if not is_alive(session, worker_id):\n        raise LeaseLost(worker_id)\n",
                "",
            ),
        ),
        ("tests/delivery/test_fencing.py",),
    ),
    Mutation(
        "a worker that was given up still calls",
        (Change(f"{_SEND}calling.py", "if not self.holds(now):", "if not now:"),),
        ("tests/delivery/test_fencing.py",),
    ),
    Mutation(
        "a result is written down whoever claimed the row since",
        (
            Change(
                f"{_SEND}recording.py",
                "        and row.send_id == one.claimed.send_id\n",
                "",
            ),
        ),
        ("tests/delivery/test_fencing.py",),
    ),
    Mutation(
        "what is in doubt goes back to the queue",
        (
            Change(
                f"{_SEND}machine.py",
                "(S.SENDING, E.DOUBT): S.UNCONFIRMED,",
                "(S.SENDING, E.DOUBT): S.QUEUED,",
            ),
        ),
        (f"{_DIES}[sqlite-sendgrid.after_call]", f"{_DIES}[postgresql-twilio.after_call]"),
    ),
    Mutation(
        "a lost reply is written down as accepted",
        (
            Change(
                f"{_SEND}recording.py",
                "    _doubt(session, run, by_kind[Unclear])\n",
                "    taken = [\n"
                '        (replace(one, result=Accepted(f"lost-{row.id}")), row)\n'
                "        for one, row in by_kind[Unclear]\n"
                "    ]\n"
                "    _accept(session, run, taken)\n",
            ),
            Change(
                f"{_SEND}recording.py",
                "from functools import partial\n",
                "from dataclasses import replace\nfrom functools import partial\n",
            ),
        ),
        (_BAD_LINES,),
    ),
    Mutation(
        "every third message is never taken up",
        (
            Change(
                f"{_SEND}due.py",
                "        due.setdefault(channel, []).append(id_)\n",
                "        if id_ % 3:\n            due.setdefault(channel, []).append(id_)\n",
            ),
        ),
        (_BAD_LINES,),
    ),
    Mutation(
        "the rows of a dead worker are never doubted",
        (Change(f"{_SEND}doubting.py", "    end_dead(session, at)\n", ""),),
        (f"{_DIES}[sqlite-sendgrid.before_call]",),
    ),
    Mutation(
        "caps do not count what is in doubt",
        (
            Change(
                f"{_SEND}looking.py",
                "or_(aside(Message.state).in_(IN_FLIGHT_OR_IN_DOUBT), "
                "Message.accepted_at.is_not(None))",
                "Message.accepted_at.is_not(None)",
            ),
        ),
        ("tests/delivery/test_hours.py",),
    ),
    Mutation(
        "our own switch is not looked at, in the claim and before the call",
        (
            Change(
                f"{_SEND}claiming.py",
                "rows = [row for row in found if pauses.stops(row.campaign, row.channel) is None]",
                "rows = list(found)",
            ),
            Change(
                f"{_SEND}calling.py",
                "        why = self._paused(claimed)\n",
                "        why = None\n",
            ),
        ),
        _YEARS,
    ),
    Mutation(
        "a purchase since does not stop a message",
        (Change(_GATE, "    if asked.has_purchased_since:\n        yield", _NEVER),),
        _YEARS,
    ),
    Mutation(
        "a voucher that has expired is sent",
        (
            Change(_GATE, "    if asked.has_lost_voucher:\n        yield", _NEVER),
            Change(f"{_SEND}taking.py", " if carried.expires_at > run.now}", "}"),
        ),
        _YEARS,
    ),
    Mutation(
        "consent is not asked by the gate",
        (Change(_GATE, '    if not asked.has_consent:\n        yield f"no consent', _NO_CONSENT),),
        _YEARS,
    ),
    Mutation(
        "the state of the enrollment is not asked by the gate",
        (
            Change(
                _GATE,
                "if not asked.is_answer and state is not EnrollmentState.ACTIVE:",
                "if False:",
            ),
            Change(
                _GATE,
                "    if state is not EnrollmentState.ACTIVE:\n        return f",
                "    if False:\n        return f",
            ),
        ),
        _YEARS,
    ),
    Mutation(
        "what is stale is not dropped",
        (
            Change(_GATE, "    if asked.now >= asked.drop_at:\n", "    if False:\n"),
            Change(
                f"{_SEND}planning.py",
                "    if asked.now >= asked.drop_at:\n        why",
                "    if False:\n        why",
            ),
        ),
        _YEARS,
    ),
    Mutation(
        "a no in a written reply is taken for a reply",
        (
            Change(
                "src/winback/responses/replies.py",
                "            say_no(hand, matched, event, SuppressionReason.STOPPED)\n",
                "            _hand_over(hand, matched, event, text=text, understood=understood)\n",
            ),
        ),
        _YEARS,
    ),
    Mutation(
        "a written reply does not hand over",
        (
            Change(
                "src/winback/responses/replies.py",
                "progress.hand_over(hand.session, enrollment.id, now=hand.now, why=why)",
                "False",
            ),
        ),
        _YEARS,
    ),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutant."""

    mutation: Mutation
    says: str
    seconds: float
    is_killed: bool


def try_mutation(mutation: Mutation) -> Verdict:
    """Copy the tree, change it, and run the tests that are named; they must fail."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        _copy(tree)
        says = _change(tree, mutation.changes) or _run(tree, mutation.tests)
    is_killed = not says
    return Verdict(mutation, says or "killed", time.monotonic() - begun, is_killed)


def sound(chosen: Sequence[Mutation]) -> str:
    """Say what fails of the named tests where nothing is changed; nothing should."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        _copy(tree)
        tests = sorted({test for mutation in chosen for test in mutation.tests})
        done = _pytest(tree, tests)
    return "" if done.returncode == 0 else done.stdout[-2000:]


def _copy(tree: Path) -> None:
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / name)


def _change(tree: Path, changes: Sequence[Change]) -> str:
    for change in changes:
        path = tree / change.file
        text = path.read_text(encoding="utf-8")
        count = text.count(change.old)
        if count != 1:
            return f"does not fit: {change.file} has its words {count} times"
        path.write_text(text.replace(change.old, change.new), encoding="utf-8")
    return ""


def _run(tree: Path, tests: Sequence[str]) -> str:
    done = _pytest(tree, tests)
    has_errors = "\nERROR " in done.stdout
    if done.returncode == _FAILED and "\nFAILED " in done.stdout and not has_errors:
        return ""
    if done.returncode == 0:
        return "SURVIVED: its tests pass"
    return f"pytest ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}"


def _pytest(tree: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    # Before the installed one, which is the tree that nothing is changed in.
    environment = os.environ | {"PYTHONPATH": str(tree / "src")}
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", *tests],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def main(words: Sequence[str] | None = None) -> int:
    """Try every mutation, or those whose names hold a word; the exit code says if all died."""
    parser = argparse.ArgumentParser(description="See that each promise is held by a test.")
    parser.add_argument("only", nargs="?", default="", help="part of a mutation's name")
    only = parser.parse_args(words).only
    chosen = [mutation for mutation in MUTATIONS if only in mutation.name]
    if broken := sound(chosen):
        sys.stderr.write(f"the tests fail before anything is changed:\n{broken}\n")
        return 1
    verdicts = []
    for mutation in chosen:
        verdict = try_mutation(mutation)
        verdicts.append(verdict)
        sys.stdout.write(f"{verdict.seconds:6.1f} s  {mutation.name}: {verdict.says}\n")
        sys.stdout.flush()
    return 0 if verdicts and all(verdict.is_killed for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
