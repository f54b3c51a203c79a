"""The pages lead somewhere, explain what the code cites, and say what the code says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
PAGES = [HERE / "README.md", HERE / "CONTRIBUTING.md", *sorted((HERE / "docs").glob("*.md"))]
RULE = re.compile(r"\b(?:SG|TW|LAW|DS|SEC|MEA)-\d+[bc]?\b")
LINK = re.compile(r"\]\(([^)#\s]+)")


def test_every_rule_that_is_cited_is_told() -> None:
    """A reader of the code finds each id in docs/rules.md."""
    files = [path for room in ("src", "flows") for path in (HERE / room).rglob("*.py")]
    cited = {rule for path in (*files, *PAGES) for rule in RULE.findall(path.read_text("utf-8"))}
    rules = (HERE / "docs" / "rules.md").read_text("utf-8")

    assert cited - set(re.findall(r"(?m)^\| (\S+) \|", rules)) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Relative links name files that are there."""
    links = [link for link in LINK.findall(page.read_text("utf-8")) if ":" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_generated_pages_have_not_drifted() -> None:
    """What docs/generate.py writes is what stands there."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, str(HERE / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
