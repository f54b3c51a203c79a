"""What tests of commands share: a home folder, and a way to call any command in it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from winback.cli import make_app

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a home folder of the shipped example."""
    for folder in ("config", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / "home" / folder)
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, database_url: str) -> Run:
    """Give a way to call any command in that home, in this process, on both databases."""
    app = make_app()
    environment = {
        "WINBACK_HOME": str(home),
        "WINBACK_DATABASE_URL": database_url,
        "WINBACK_SECRET": "made up",
    }

    def call(*args: str) -> Result:
        return CliRunner().invoke(app, [*args], env=environment)

    return call
