"""Where what ships beside the package is: what a home folder begins with.

That is ``config``, ``templates``, ``flows`` and ``prefect.yaml``; in a wheel they stand inside the
package, in a checkout at its top.
"""

from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent


def shipped(name: str) -> Path:
    """Give the folder that holds the shipped file or folder ``name``."""
    return _HERE / "shipped" if (_HERE / "shipped" / name).exists() else _HERE.parents[1]
