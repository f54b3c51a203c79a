"""Where the folders that ship beside the package are: ``templates``, ``flows``.

In a wheel they stand inside the package; in a checkout at its top.
"""

from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent


def shipped(name: str) -> Path:
    """Give the folder that holds the shipped folder ``name``."""
    return _HERE / "shipped" if (_HERE / "shipped" / name).is_dir() else _HERE.parents[1]
