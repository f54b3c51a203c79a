"""Find names in a template that no context has, before a customer meets them (FACTS.md SEC-8)."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from jinja2 import TemplateSyntaxError, nodes

from winback.errors import Mistake
from winback.messages.language import parse
from winback.yaml_files import nearest

_OWN = frozenset({"loop", "range"})
_COMPILED_IN = frozenset({"content", "subject", "preheader", "language"})
_LIKE_A_NAME: Final = re.compile(r"[a-z_]\w*(?:\.\w+)+")


def unknown_names(
    text: str, known: Mapping[str, Any], *, shown_as: str, line: int | None = None
) -> Iterator[Mistake]:
    """Give a mistake for every name that ``known``, a context with everything in it, lacks.

    ``line`` is where the text stands when it is a line of the front matter.
    """
    for place, _, (what, instead) in _unknown(text, known):
        yield Mistake(shown_as, line or place, f"unknown variable {what}", instead)


def unknown_paths(text: str, known: Mapping[str, Any]) -> frozenset[tuple[str, ...]]:
    """Give the names that ``unknown_names`` tells of, each as its parts."""
    return frozenset(path for _, path, _ in _unknown(text, known))


@lru_cache(maxsize=512)
def names_used(text: str) -> frozenset[str]:
    """Give every dotted name that a template reads: ``voucher.expires_on``.

    Of a text whose syntax is wrong, all that looks like a name is given.
    """
    try:
        return frozenset(".".join(path) for _, path in _paths(parse(text)))
    except TemplateSyntaxError:
        return frozenset(_LIKE_A_NAME.findall(text))


def _unknown(
    text: str, known: Mapping[str, Any]
) -> Iterator[tuple[int, tuple[str, ...], tuple[str, str]]]:
    tree = parse(text)
    local = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    for place, path in _paths(tree):
        root = path[0]
        if root in local or root in _OWN or (root in _COMPILED_IN and len(path) == 1):
            continue
        wrong = _first_unknown(path, known)
        if wrong is not None:
            yield place, path, wrong


def _paths(node: nodes.Node) -> Iterator[tuple[int, tuple[str, ...]]]:
    path = _path(node)
    if path is not None:
        yield node.lineno, path
        return
    for child in node.iter_child_nodes():
        yield from _paths(child)


def _path(node: nodes.Node) -> tuple[str, ...] | None:
    match node:
        case nodes.Name(ctx="load"):
            return (node.name,)
        case nodes.Getattr():
            before = _path(node.node)
            return None if before is None else (*before, node.attr)
        case nodes.Getitem(arg=nodes.Const(value=str())):
            before = _path(node.node)
            return None if before is None else (*before, str(node.arg.as_const()))
        case _:
            return None


def _first_unknown(path: tuple[str, ...], known: Mapping[str, Any]) -> tuple[str, str] | None:
    value: Any = known
    for depth, name in enumerate(path):
        if value is None:
            return None
        if not isinstance(value, Mapping):
            return ".".join(path), f"{'.'.join(path[:depth])} has no parts"
        if name not in value:
            words = sorted(map(str, value))
            return ".".join(path[: depth + 1]), nearest(name, words)
        value = value[name]
    return None
