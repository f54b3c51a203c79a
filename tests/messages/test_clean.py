"""What was found clean is not looked at again, and what may have changed is."""

import subprocess
import sys
from pathlib import Path

import pytest

from winback.messages.clean import CleanList, digest_of

from .kit import mail, shelf_of

SCRIPT = """
import sys
from pathlib import Path
from tests.messages.kit import CAMPAIGN, FACTS
from winback.messages.clean import CleanList
from winback.messages.mistakes import lint_shelf
from winback.messages.shelf import load_shelf

home, hours = Path(sys.argv[1]), sys.argv[2]
facts = FACTS.model_copy(update={"hours": hours})
shelf = load_shelf(home, (CAMPAIGN,), facts, clean=CleanList(home / "clean"))
print(len(lint_shelf(shelf)), "mjml" in sys.modules)
"""
"""Looks at all templates in a process of its own; says what it found, and if it had to compile."""


def looked(home: Path, hours: str = "Mon to Sat 9 to 19") -> str:
    """Look at the templates of a home folder in a new process."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", SCRIPT, str(home), hours],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return done.stdout.strip()


def test_a_clean_template_is_looked_at_once(tmp_path: Path) -> None:
    """A later process takes the word of the first, until file or facts change."""
    shelf_of(tmp_path, {"last.mjml": mail("one")})

    assert looked(tmp_path) == "0 True"
    assert looked(tmp_path) == "0 False"
    assert looked(tmp_path, hours="always") == "0 True"
    shelf_of(tmp_path, {"last.mjml": mail("two")})
    assert looked(tmp_path) == "0 True"


def test_a_failing_template_is_never_listed(tmp_path: Path) -> None:
    """What keeps a template from going live is told by every process anew."""
    shelf_of(tmp_path, {"last.mjml": mail("{{ nobody }}")})

    assert looked(tmp_path) == "1 True"
    assert looked(tmp_path) == "1 True"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"half a line"])
def test_a_broken_list_costs_time_only(tmp_path: Path, content: bytes) -> None:
    """A list that cannot be read holds nothing, and goes on."""
    path = tmp_path / "clean"
    path.write_bytes(content)
    clean = CleanList(path)

    assert "a" not in clean
    clean.add("a")
    assert "a" in clean


def test_a_long_list_begins_anew(tmp_path: Path) -> None:
    """Years of edits do not grow a file without end."""
    path = tmp_path / "clean"
    path.write_text("".join(f"{digest_of(number)}\n" for number in range(1001)), encoding="ascii")

    assert digest_of(1) not in CleanList(path)
    assert not path.exists()
