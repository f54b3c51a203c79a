"""What the environment says: where we are, with which keys, and whom we can reach."""

import stat
from pathlib import Path

import pytest

from winback.environment import find_home, read_environment, work_at_home
from winback.errors import ConfigError


def test_a_home_is_given_named_or_here(tmp_path: Path) -> None:
    """An argument wins over WINBACK_HOME, which wins over the working folder."""
    assert find_home({"WINBACK_HOME": str(tmp_path)}) == tmp_path.resolve()
    assert find_home({"WINBACK_HOME": "/nowhere"}, tmp_path) == tmp_path.resolve()
    assert find_home({}) == Path.cwd()


def test_a_run_begins_in_the_folder_of_its_own_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker is told when it starts decides where it works, and nothing that deployed."""
    (tmp_path / "flows").mkdir()
    monkeypatch.chdir(tmp_path.parent)

    assert work_at_home({"WINBACK_HOME": str(tmp_path)}) == {"directory": str(tmp_path.resolve())}

    assert Path.cwd() == tmp_path.resolve()


def test_a_worker_without_a_folder_says_what_to_set(tmp_path: Path) -> None:
    """A machine that lacks the project must not run the one that lies where it was started."""
    with pytest.raises(ConfigError, match="started without WINBACK_HOME: set it"):
        work_at_home({})
    with pytest.raises(ConfigError, match="no folder flows is there"):
        work_at_home({"WINBACK_HOME": str(tmp_path)})


def test_a_secret_is_made_once_and_only_for_us(tmp_path: Path) -> None:
    """Without WINBACK_SECRET one is kept under var/, unreadable for others."""
    first = read_environment({}, tmp_path)
    again = read_environment({}, tmp_path)

    assert first.secret.get_secret_value() == again.secret.get_secret_value()
    assert stat.S_IMODE((tmp_path / "var" / "secret").stat().st_mode) == 0o600
    assert read_environment({"WINBACK_SECRET": "x"}, tmp_path).secret.get_secret_value() == "x"


def test_secrets_print_masked(tmp_path: Path) -> None:
    """A log line that shows the environment shows no key."""
    given = {
        "WINBACK_SECRET": "hunter2",
        "SENDGRID_API_KEY": "SG.hunter2",
        "TWILIO_AUTH_TOKEN": "hunter2, hunter2b",
    }

    environment = read_environment(given, tmp_path)

    assert "hunter2" not in repr(environment)
    assert [token.get_secret_value() for token in environment.twilio_auth_tokens] == [
        "hunter2",
        "hunter2b",
    ]


@pytest.mark.parametrize(
    ("sendgrid", "twilio", "is_loopback"),
    [
        ("http://127.0.0.1:1", "http://localhost:2", True),
        ("http://127.0.0.1:1", None, False),
        ("http://[::1]:1", "https://api.twilio.com", False),
        ("https://127.0.0.1.example.com", "http://127.0.0.1", False),
    ],
)
def test_loopback_is_only_this_machine(
    tmp_path: Path, sendgrid: str | None, twilio: str | None, *, is_loopback: bool
) -> None:
    """A name that only begins like ours is somebody else."""
    given = {"WINBACK_SENDGRID_URL": sendgrid or "", "WINBACK_TWILIO_URL": twilio or ""}

    assert read_environment(given, tmp_path).is_loopback is is_loopback
