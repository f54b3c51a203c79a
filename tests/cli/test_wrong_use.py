"""Whatever is typed, a person reads a sentence; exit codes are 0, 1 and 2 (DESIGN.md section 6)."""

import os
import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.shop import make_shop
from winback.cli import checking
from winback.cli.online import Part
from winback.cli.output import whoever
from winback.errors import WinbackError

FAR = "9" * 23


@pytest.mark.parametrize(
    "words",
    [
        ("settle", FAR, "--not-sent"),
        ("settle", "0", "--not-sent"),
        ("desk", "show", FAR),
        ("desk", "take", FAR),
        ("desk", "outcome", FAR, "resolved"),
        ("events", "replay", "1", FAR),
        ("rehearse", "--as-of", "9999-12-30", "--days", "20"),
        ("report", "--account", "--as-of", "0001-01-02"),
        ("status", "--as-of", "9999-12-31T23:59-10:00"),
        ("rehearse", "--at", "10:00-08:00"),
        ("rehearse", "--at", "10:00:30"),
        ("rehearse", "--at", "24:00"),
        ("up", "--port", "99999"),
        ("up", "--dashboard-port", "99999"),
        ("serve", "--port", "99999"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused_with_a_sentence(run: Run, words: tuple[str, ...]) -> None:
    """No traceback, and nothing of what was typed is left out without a word."""
    refused = run(*words)

    by_us = isinstance(refused.exception, WinbackError) and refused.exception.exit_code == 2
    assert by_us or (refused.exit_code == 2 and "Invalid value" in refused.stderr), refused.output
    assert refused.stdout == ""


def test_who_cannot_listen_does_not_say_so_first(run: Run) -> None:
    """A port that somebody has is wrong use, and nobody is told that it is served."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused = run("serve", "--port", str(other.getsockname()[1]))

    assert isinstance(refused.exception, WinbackError)
    assert refused.exception.exit_code == 2
    assert "nobody can listen on port" in str(refused.exception)
    assert refused.stdout == ""


@pytest.mark.parametrize("words", ["status", "status --json"])
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, words: str) -> None:
    """``winback status | head -3`` ended well, whoever wrote the lines."""
    home = make_shop(tmp_path / "shop", customers=0, lapsed_on=date(2026, 3, 2))
    reads, writes = os.pipe()
    os.close(reads)

    ended = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "winback", *words.split()],
        cwd=home,
        env={"PATH": os.environ["PATH"]},
        stdout=writes,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writes)

    assert (ended.returncode, ended.stderr) == (0, b"")


def test_who_has_no_name_on_this_machine_has_a_number() -> None:
    """In a container without a user of that number, the brake can be pulled all the same."""

    def ask() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    assert whoever(ask) == f"user {os.getuid()}"


def test_what_failed_outside_is_what_check_ends_with(capsys: pytest.CaptureFixture[str]) -> None:
    """The files may be right; nobody reads that below a key that is refused, as if all were."""
    checking._tell(
        [],
        [],
        [Part("SendGrid key", is_ok=False, says="refused"), Part("SPF", is_ok=True, says="there")],
    )

    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "all files are right",
        "failed SendGrid key: refused",
        "ok     SPF: there",
    ]
    assert told.err == "1 of 2 failed online\n"
