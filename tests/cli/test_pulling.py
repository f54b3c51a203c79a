"""``winback pull``, ``rejects``, ``desk``, ``db`` and every ``--help``, as a person uses them."""

import json
from datetime import date
from pathlib import Path

import click
import pytest
import typer

from tests.shop import make_shop, winback
from winback.cli import make_app

COMMANDS = (
    "demo check pull rejects lapsed run send respond serve up status report preview campaign "
    "customer desk voucher events db pause resume rehearse settle"
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Give a home folder with two customers, and an order of nobody's."""
    home = make_shop(tmp_path / "shop", customers=2, lapsed_on=date(2026, 3, 2))
    with (home / "data" / "orders.csv").open("a", encoding="utf-8") as orders:
        orders.write("9,1,yesterday,40.00\n")
    return home


def test_what_is_pulled_and_what_is_rejected(shop: Path) -> None:
    """Counts of this run, for each source; each rejected row with its place and reason."""
    assert winback(shop, "db", "upgrade").returncode == 0
    pulled = winback(shop, "pull", "--as-of", "2026-03-02", "--json")
    rejected = winback(shop, "rejects", "--json")

    assert pulled.returncode == 0, pulled.stderr
    counts = {"read": 5, "added": 4, "changed": 0, "rejected": 1}
    assert json.loads(pulled.stdout) == counts | {"sources": {"till": counts}}
    told = json.loads(rejected.stdout)
    assert told["count"] == 1
    assert told["rejected"][0]["place"].endswith("orders.csv:4")
    assert "yesterday" in json.dumps(told["rejected"][0])


def test_rejected_rows_of_an_instant(shop: Path) -> None:
    """DESIGN.md section 6: a command that only reads stands at --as-of; later rows are not yet."""
    assert winback(shop, "pull", "--as-of", "2026-03-02", "--json").returncode == 0

    before = winback(shop, "rejects", "--as-of", "2026-03-01", "--json")
    after = winback(shop, "rejects", "--as-of", "2026-03-02", "--json")

    assert json.loads(before.stdout) == {"count": 0, "rejected": []}
    assert json.loads(after.stdout)["count"] == 1


def test_an_unknown_source_and_an_empty_desk_are_told(shop: Path) -> None:
    """One sentence each: what there is instead, and that nobody waits."""
    unknown = winback(shop, "pull", "tille")
    desk = winback(shop, "desk")

    assert unknown.returncode == 2
    assert "till" in unknown.stderr
    assert "Traceback" not in unknown.stderr
    assert (desk.returncode, desk.stdout) == (0, "nobody waits for a person\n")


def test_help_lists_every_command_and_each_shows_an_example() -> None:
    """DESIGN.md, section 6: exactly the commands that exist now, each with one to copy."""
    root = typer.main.get_command(make_app())
    commands = getattr(root, "commands", {})
    assert sorted(commands) == sorted(COMMANDS.split())
    for name, command in commands.items():
        for one in getattr(command, "commands", {"": command}).values():
            assert "Example:" in one.get_help(click.Context(one, info_name=name)), name
