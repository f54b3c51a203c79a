"""Compile each content of a template once in a process: each day reads its files anew."""

from winback.errors import FileMistakes, Mistake
from winback.messages.compiling import compile_template, content_hash
from winback.messages.templates import Compiled, Source

KEPT_AT_MOST = 1000
"""Contents that are remembered; then all are forgotten."""

_COMPILED: dict[tuple[str, str, str], Compiled | tuple[Mistake, ...]] = {}


def compiled(source: Source) -> Compiled | tuple[Mistake, ...]:
    """Give the compiled template or its mistakes of form; the same content compiles once."""
    key = content_key(source)
    if key not in _COMPILED:
        if len(_COMPILED) > KEPT_AT_MOST:
            _COMPILED.clear()
        try:
            _COMPILED[key] = compile_template(source)
        except FileMistakes as wrong:
            _COMPILED[key] = tuple(wrong.mistakes)
    return _COMPILED[key]


def content_key(source: Source) -> tuple[str, str, str]:
    """Give what tells one content of one file from all others."""
    return (source.shown_as, source.campaign, content_hash(source))
