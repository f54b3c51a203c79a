"""What a test run leaves out, said in its last line; nothing is skipped silently."""

import os
from collections.abc import Mapping
from typing import Final

import pytest

SPECS_VARIABLE: Final = "WINBACK_PROVIDER_SPECS"
CONTRACT_LEFT_OUT: Final = (
    f"left out: the contract test of both providers ({SPECS_VARIABLE} names no folder)"
)


def has_specs(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether the folder of the providers' own descriptions is named."""
    return bool(environ.get(SPECS_VARIABLE))


def sentences(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Give what this run leaves out, one sentence each."""
    return [] if has_specs(environ) else [CONTRACT_LEFT_OUT]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say what was left out as the last line of the run; the helpers of a parallel run are mute."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    for sentence in sentences():
        reporter.write_line(sentence)
