"""What the crash matrix stands on: the variable works, and no commit is without its name."""

import ast
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

from tests.shop import make_shop, winback
from winback.failpoints import EXIT_CODE

SOURCE: Final = Path(__file__).parents[1] / "src" / "winback"


def test_the_variable_lets_any_process_die(tmp_path: Path) -> None:
    """What the matrix does in its children is what WINBACK_FAILPOINT does to a command."""
    make_shop(tmp_path / "home", customers=0, lapsed_on=date(2026, 3, 2))

    died = winback(
        tmp_path / "home",
        "run",
        environment={"WINBACK_FAILPOINT": "start.belong.before_commit"},
    )
    mistyped = winback(tmp_path / "home", "run", environment={"WINBACK_FAILPOINT": "start.belong"})

    assert died.returncode == EXIT_CODE
    assert mistyped.returncode == 2
    assert "names no failpoint" in mistyped.stderr


_HAVE_THEIR_OWN: Final = {
    "failpoints.py": "it puts the points there",
    "cli/demo.py": "it plays with people who do not exist",
    "messages/mjml_reading.py": "it begins and ends tags",
    "rehearsal/": "it writes to a private copy that is thrown away",
    "sandbox/": "it stands for the providers, and dies with nobody",
    "town/": "it plays with people who do not exist",
    "sources/sql.py": "it reads from the shop's database and commits nothing",
    "sources/pulling.py": "a session inside of the transaction that pull.part names",
    "sources/staging.py": "it fills temporary tables, which nobody else sees",
}


def test_no_module_commits_without_a_name() -> None:
    """A transaction that somebody adds tomorrow gets its points, or a reason here."""
    bare = [
        f"{path.relative_to(SOURCE)}:{call.lineno}"
        for path in sorted(SOURCE.rglob("*.py"))
        if not str(path.relative_to(SOURCE)).startswith(tuple(_HAVE_THEIR_OWN))
        for call in _bare_commits(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert bare == []


def _bare_commits(tree: ast.AST) -> Iterator[ast.Call]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = {
        id(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "committing"
    }
    for call in calls:
        is_one = isinstance(call.func, ast.Attribute) and call.func.attr in {"begin", "commit"}
        if is_one and id(call) not in named:
            yield call
