"""What a test run leaves out, said in its last line; nothing is skipped silently."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

SPECS_VARIABLE: Final = "WINBACK_PROVIDER_SPECS"
CONTRACT_LEFT_OUT: Final = (
    f"left out: the contract tests of both providers ({SPECS_VARIABLE} names no folder)"
)

LOGS_SPEC: Final = "tsg_logs_v3.json"
LOGS_LEFT_OUT: Final = (
    f"left out: the contract test of SendGrid's logs ({LOGS_SPEC} is not in {SPECS_VARIABLE})"
)


def has_specs(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether the folder of the providers' own descriptions is named."""
    return bool(environ.get(SPECS_VARIABLE))


def has_logs_spec(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether that folder holds the description of SendGrid's logs, compressed or not."""
    folder = Path(environ.get(SPECS_VARIABLE) or os.devnull)
    return any((folder / name).exists() for name in (LOGS_SPEC, f"{LOGS_SPEC}.xz"))


def sentences(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Give what this run leaves out, one sentence each."""
    if not has_specs(environ):
        return [CONTRACT_LEFT_OUT]
    return [] if has_logs_spec(environ) else [LOGS_LEFT_OUT]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say what was left out as the last line of the run; the helpers of a parallel run are mute."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    for sentence in sentences():
        reporter.write_line(sentence)
