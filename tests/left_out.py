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

LISTS_SPEC: Final = "tsg_suppressions_v3.json"
LISTS_LEFT_OUT: Final = (
    f"left out: the contract test of SendGrid's lists ({LISTS_SPEC} is not in {SPECS_VARIABLE})"
)


def has_specs(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether the folder of the providers' own descriptions is named."""
    return bool(environ.get(SPECS_VARIABLE))


def has_logs_spec(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether that folder holds the description of SendGrid's logs, compressed or not."""
    return _has(LOGS_SPEC, environ)


def has_lists_spec(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether that folder holds the description of SendGrid's lists, compressed or not."""
    return _has(LISTS_SPEC, environ)


def _has(spec: str, environ: Mapping[str, str]) -> bool:
    folder = Path(environ.get(SPECS_VARIABLE) or os.devnull)
    return any((folder / name).exists() for name in (spec, f"{spec}.xz"))


def sentences(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Give what this run leaves out, one sentence each."""
    if not has_specs(environ):
        return [CONTRACT_LEFT_OUT]
    missing = {LOGS_LEFT_OUT: has_logs_spec(environ), LISTS_LEFT_OUT: has_lists_spec(environ)}
    return [sentence for sentence, is_there in missing.items() if not is_there]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say what was left out as the last line of the run; the helpers of a parallel run are mute."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    for sentence in sentences():
        reporter.write_line(sentence)
