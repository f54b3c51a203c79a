"""What a home folder begins with is at hand, in a checkout and in a wheel."""

import tomllib
from pathlib import Path

import pytest

from winback.errors import ConfigError
from winback.settings import load_settings
from winback.shipped import shipped

NAMES = ("config", "templates", "flows", "prefect.yaml")


def test_a_wheel_holds_what_a_home_begins_with() -> None:
    """Whoever installed the package has no checkout to copy from."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert wheel["force-include"] == {name: f"winback/shipped/{name}" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shipped_is_found(name: str) -> None:
    """The folder that is given holds the file or folder that was asked for."""
    assert (shipped(name) / name).exists()


def test_a_folder_without_settings_is_told_where_to_copy_from(tmp_path: Path) -> None:
    """A new home folder begins with a copy of what is shipped; the sentence says of where."""
    with pytest.raises(ConfigError, match="a new one begins with a copy of") as e:
        load_settings(tmp_path)

    assert str(e.value).endswith(str(shipped("config")))
