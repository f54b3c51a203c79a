"""Found the demo's home folder: the made-up shop's settings, the shipped templates, its data."""

import shutil
from pathlib import Path
from typing import Final

from winback.errors import ConfigError
from winback.shipped import shipped

_HERE: Final = Path(__file__).parent


def found_home(home: Path) -> None:
    """Write config and templates of the demo into an empty or missing folder.

    Raises ConfigError when the folder already holds a ``config``: nothing of anybody is ever
    overwritten.
    """
    if (home / "config").exists():
        raise ConfigError(f"{home} already is somebody's home; choose an empty folder")
    home.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_HERE / "home" / "config", home / "config")
    shutil.copytree(shipped("templates") / "templates", home / "templates")
