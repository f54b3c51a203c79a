"""Run every benchmark, one after the other: ``make bench``.

Each script prints its own ratios against a floor measured in the same run, with the conditions.
"""

import subprocess
import sys
from pathlib import Path

SCRIPTS = ("pull.py", "lapse.py", "commands.py")


def main() -> None:
    """Run the scripts; the exit code is that of the first that failed."""
    here = Path(__file__).parent
    for script in SCRIPTS:
        print(f"\n=== benchmarks/{script} ===", flush=True)
        ended = subprocess.run([sys.executable, here / script], check=False)  # noqa: S603
        if ended.returncode:
            sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
