"""Run every benchmark, one after the other: ``make bench``.

Each script prints its own ratios against a floor measured in the same run, with the conditions.
"""

import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "pull.py",
    "lapse.py",
    "commands.py",
    "send.py",
    "webhooks.py",
    "scale.py",
    "day.py",
)


def main() -> None:
    """Run all scripts, also after one that failed; fails when one of them did."""
    here, failed = Path(__file__).parent, []
    for script in SCRIPTS:
        print(f"\n=== benchmarks/{script} ===", flush=True)
        ended = subprocess.run([sys.executable, here / script], check=False)  # noqa: S603
        if ended.returncode:
            failed.append(script)
    if failed:
        sys.exit(f"a floor was not kept, or a run broke: {', '.join(failed)}")


if __name__ == "__main__":
    main()
