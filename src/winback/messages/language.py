"""The closed language that templates are written in: Jinja, less all that could do harm.

The immutable sandbox is the wall (FACTS.md SEC-3, SEC-4), and in front of it stands a list of
what may be written at all: texts, values, conditions, loops two deep, a few filters. There are no
assignments, calls, macros, imports or string building, so what a template can cost is bounded by
its size and by the data it is given (SEC-5, SEC-6), and no time limit per message is needed.
"""

import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

import jinja2
from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from winback.errors import ConfigError
from winback.messages import words
from winback.yaml_files import nearest

SAFE_JINJA: Final = (3, 1, 6)
MAX_RANGE: Final = 100
MAX_LOOP_DEPTH: Final = 2
MAX_ELEMENTS: Final = 12
MAX_VALUE: Final = 20_000
"""Characters of any value that a filter or an addition gives."""

_BUILT_IN_FILTERS: Final = (
    "abs",
    "capitalize",
    "d",
    "default",
    "e",
    "escape",
    "first",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "round",
    "sort",
    "title",
    "trim",
    "truncate",
    "upper",
)
_OWN_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "day": words.day,
    "short_day": words.short_day,
    "weekday": words.weekday,
    "month": words.month,
    "money": words.money,
}
_TESTS: Final = (
    "defined",
    "undefined",
    "none",
    "number",
    "string",
    "odd",
    "even",
    "in",
    "eq",
    "ne",
    "lt",
    "gt",
    "le",
    "ge",
    "==",
    "!=",
    "<",
    ">",
    "<=",
    ">=",
)
_LOOP_WORDS: Final = frozenset(
    {"index", "index0", "first", "last", "length", "revindex", "revindex0"}
)
_WRITABLE: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.If,
    nodes.For,
    nodes.CondExpr,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Filter,
    nodes.Test,
    nodes.Add,
    nodes.Sub,
    nodes.Neg,
    nodes.List,
    nodes.Tuple,
    nodes.Keyword,
)
_INSTEAD: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Concat: "write {{ a }}{{ b }} instead of {{ a ~ b }}",
    nodes.Assign: "write the value where it is needed",
    nodes.AssignBlock: "write the text where it is needed",
    nodes.Include: "the layout is put around every mail by itself",
    nodes.Extends: "the layout is put around every mail by itself",
    nodes.Import: "write the text where it is needed",
    nodes.FromImport: "write the text where it is needed",
    nodes.Macro: "write the text where it is needed",
    nodes.Call: "values are read, not called; only range(n) may be called",
}
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {"+": operator.add, "-": operator.sub}


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox; a dot looks into plain data only, never at a Python attribute."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self, *, autoescape: bool) -> None:
        super().__init__(
            autoescape=autoescape,
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=0,
        )
        known = self.filters
        self.filters = {name: _capped(known[name]) for name in _BUILT_IN_FILTERS}
        self.filters |= _OWN_FILTERS
        self.tests = {name: test for name, test in self.tests.items() if name in _TESTS}
        self.globals = {"range": _short_range}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Give an entry of plain data, or a loop's own word; all else is undefined."""
        # Plain data first: this runs for every value of every message.
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Give an entry of plain data, or a loop's own word; all else is undefined."""
        if isinstance(obj, LoopContext):
            if argument in _LOOP_WORDS:
                return getattr(obj, argument)
        elif isinstance(obj, Mapping | list | tuple):
            try:
                return obj[argument]
            except (KeyError, IndexError, TypeError):
                pass
        return self.undefined(obj=obj, name=str(argument))

    def is_safe_callable(self, obj: Any) -> bool:
        """Let ``range`` be called, and nothing else."""
        return obj is _short_range

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        """Add and subtract numbers; strings and lists cannot be multiplied or formatted."""
        if operator not in _OPERATORS or not (_is_number(left) and _is_number(right)):
            raise jinja2.exceptions.SecurityError(f"{operator} is for whole numbers, + and - only")
        return _OPERATORS[operator](left, right)


@lru_cache(maxsize=2)
def environment(*, autoescape: bool) -> TemplateEnvironment:
    """Give the environment for HTML or for text; raises ConfigError where Jinja is unsafe."""
    refuse_unsafe_jinja(jinja2.__version__)
    return TemplateEnvironment(autoescape=autoescape)


def refuse_unsafe_jinja(version: str) -> None:
    """Raise ConfigError below 3.1.6, whose sandbox can be left (FACTS.md SEC-3)."""
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    if numbers < SAFE_JINJA:
        raise ConfigError(f"jinja2 {version} has an open sandbox; install 3.1.6 or later")


def parse(text: str) -> nodes.Template:
    """Give the tree of a template; raises TemplateSyntaxError, with its line, for all not allowed.

    An unknown filter or test is such an error, with the nearest known word.
    """
    jinja = environment(autoescape=False)
    tree = jinja.parse(text)
    _refuse_unknown_words(tree, jinja)
    _refuse_unwritable(tree, loops=0)
    return tree


@lru_cache(maxsize=1024)
def ready(text: str, *, autoescape: bool) -> jinja2.Template:
    """Give a template ready to render; raises TemplateSyntaxError as ``parse`` does."""
    parse(text)
    template = environment(autoescape=autoescape).from_string(text)
    # Jinja chains the template's globals to the environment's, and walks the chain anew for each
    # message; nothing changes them here.
    template.globals = dict(template.globals)
    return template


def _refuse_unknown_words(tree: nodes.Template, jinja: TemplateEnvironment) -> None:
    for kind, known in ((nodes.Filter, jinja.filters), (nodes.Test, jinja.tests)):
        for node in tree.find_all(kind):
            if node.name not in known:
                what = kind.__name__.lower()
                raise TemplateSyntaxError(
                    f"unknown {what} {node.name!r}: {nearest(node.name, sorted(known))}",
                    node.lineno,
                )


def _refuse_unwritable(node: nodes.Node, *, loops: int) -> None:
    if isinstance(node, nodes.For):
        loops += 1
        if loops > MAX_LOOP_DEPTH or node.recursive:
            raise TemplateSyntaxError("a loop in a loop in a loop: two are enough", node.lineno)
    if isinstance(node, nodes.List | nodes.Tuple) and len(node.items) > MAX_ELEMENTS:
        raise TemplateSyntaxError("a list this long belongs into facts.yaml", node.lineno)
    is_range = isinstance(node, nodes.Call) and _names(node.node, "range")
    if not (isinstance(node, _WRITABLE) or is_range):
        what = type(node).__name__.lower()
        instead = _INSTEAD.get(type(node), "keep to values, conditions and loops")
        raise TemplateSyntaxError(f"{what} is not part of templates: {instead}", node.lineno)
    for child in node.iter_child_nodes():
        _refuse_unwritable(child, loops=loops)


def _names(node: nodes.Node, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name


def _short_range(*bounds: int) -> range:
    """Count, at most a hundred steps."""
    counted = range(*bounds)
    if len(counted) > MAX_RANGE:
        raise jinja2.exceptions.SecurityError(f"range counts to {MAX_RANGE} at most")
    return counted


def _is_number(value: object) -> bool:
    return isinstance(value, int) and abs(value) < 10**12


def _capped(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Give the filter with an end to the length of what it makes."""

    def capped(*args: Any, **options: Any) -> Any:
        made = filter_(*args, **options)
        if isinstance(made, str) and len(made) > MAX_VALUE:
            raise jinja2.exceptions.SecurityError("a value grew longer than a message may be")
        return made

    # Jinja asks a filter by its attributes whether it wants the environment first.
    capped.__dict__.update(getattr(filter_, "__dict__", {}))
    return capped
