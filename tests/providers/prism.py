"""Prism, a mock that refuses what breaks an OpenAPI description; installed once, pinned.

``npm install`` goes through npm's own settings into a cache folder outside the repository.
"""

import lzma
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

PACKAGE: Final = "@stoplight/prism-cli"
VERSION: Final = "5.14.2"
"""5.15 and later ask for node 24."""
_START_SECONDS: Final = 60


def prism_command() -> list[str]:
    """Give the command that starts Prism, installing it at the first call."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "winback" / f"prism-{VERSION}"
    command = folder / "node_modules" / ".bin" / "prism"
    if not command.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("the contract test needs npm and node 20 or later")
        folder.mkdir(parents=True, exist_ok=True)
        flags = ["--no-audit", "--no-fund", "--no-save", "--prefix", str(folder)]
        subprocess.run(  # noqa: S603 - npm as found, and a pinned package
            [npm, "install", *flags, f"{PACKAGE}@{VERSION}"], check=True, capture_output=True
        )
    return [str(command)]


def unpacked(specs: Path, name: str, folder: Path) -> Path:
    """Unpack a description, compressed or not, into a folder."""
    target = folder / name
    plain = specs / name
    if plain.exists():
        target.write_bytes(plain.read_bytes())
    else:
        target.write_bytes(lzma.decompress((specs / f"{name}.xz").read_bytes()))
    return target


@contextmanager
def running_prism(description: Path) -> Iterator[str]:
    """Run Prism on a free loopback port for a description; gives its base URL."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    arguments = ["mock", "--errors", "-h", "127.0.0.1", "-p", str(port), str(description)]
    with subprocess.Popen(  # noqa: S603 - the command that was just installed
        [*prism_command(), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(url, process)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(10)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise RuntimeError("Prism ended before it answered")
        try:
            urlopen(url, timeout=1).close()  # noqa: S310 - loopback
        except HTTPError as answered:
            answered.close()
            return
        except (URLError, OSError):
            # Starting takes a second or two; there is nothing else to wait on.
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("Prism did not answer")
