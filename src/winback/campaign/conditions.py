"""Conditions of a campaign file: small sandboxed Jinja expressions over a few named facts.

``purchases >= 3 and "vip" in tags``. Only the fields below, comparisons, ``and``/``or``/``not``,
``in``, plus and minus and division, and a few filters and tests are known: everything else is
refused when the file is checked, before it is compiled (FACTS.md SEC-4, SEC-6).
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from winback.states import Reason
from winback.yaml_files import nearest

LONGEST: Final = 500
"""Characters of the longest condition; what is longer is no longer understood by its reader."""

FIELDS: Final[Mapping[str, str]] = {
    "purchases": "how many purchases the customer made",
    "spent": "what the customer spent, in the business's currency, refunds taken off",
    "days_since_last_purchase": "local days since the last purchase",
    "country": "two capitals, as GB; nothing where unknown",
    "locale": "as en-GB; nothing where unknown",
    "value": '"high" or "normal"',
    "tags": "a list of words",
    "interests": "a list of words",
    "reason": "the last reason given, as price or not_now; nothing where none was given",
    "last_product": "what was bought last; nothing where unknown",
}
"""Every field that a condition may name, with what it holds."""

VALUES: Final = ("high", "normal")

_WORDS_OF: Final[Mapping[str, list[str]]] = {
    "value": list(VALUES),
    "reason": [reason.value for reason in Reason],
}
_SAMPLE: Final[Mapping[str, object]] = {
    "purchases": 3,
    "spent": Decimal(120),
    "days_since_last_purchase": 200,
    "country": "GB",
    "locale": "en-GB",
    "value": "high",
    "tags": ["vip"],
    "interests": ["honey"],
    "reason": "price",
    "last_product": "a jar of honey",
}
_FILTERS: Final = ("length", "lower", "upper")
_TESTS: Final = ("none", "in", "defined")
_NODES: Final = (
    nodes.Name,
    nodes.Const,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.Add,
    nodes.Sub,
    # No Mul and no Pow: "a" * 1000000000 is a bomb. Division knows numbers only.
    nodes.Div,
    nodes.List,
    nodes.Tuple,
    nodes.Filter,
    nodes.Test,
)
_log = logging.getLogger(__name__)


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    made.globals.clear()
    made.filters = {name: made.filters[name] for name in _FILTERS}
    made.tests = {name: made.tests[name] for name in _TESTS}
    return made


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition and the fields that it looks at."""

    text: str
    fields: frozenset[str]
    _evaluate: Callable[..., Any]

    def holds(self, facts: Mapping[str, object]) -> bool:
        """Say whether it holds for these facts, which must name every field it looks at.

        Facts that cannot be compared, as an unknown country with a number, make it not hold.
        Raises KeyError when a field is missing.
        """
        known = {field: facts[field] for field in self.fields}
        try:
            return bool(self._evaluate(**known))
        except (TypeError, ArithmeticError) as impossible:
            _log.debug("a condition could not be answered: %s", type(impossible).__name__)
            return False


@lru_cache(maxsize=1024)
def compile_condition(text: str) -> Condition:
    """Check and compile a condition.

    Raises ValueError ("what is wrong: what to write instead") for an unknown field or word, for
    anything beyond the small language above, and for what cannot be compared.
    """
    if len(text) > LONGEST:
        raise ValueError(f"the condition is longer than {LONGEST} characters: shorten it")
    environment = _environment()
    tree = _parse(environment, text)
    fields = frozenset(_fields_in(tree))
    evaluate = environment.compile_expression(text, undefined_to_none=False)
    try:
        evaluate(**{field: _SAMPLE[field] for field in fields})
    except (TypeError, TemplateError) as impossible:
        raise ValueError(
            f"{text!r} cannot be answered ({impossible}): compare numbers with numbers "
            "and words with words"
        ) from None
    except ArithmeticError:
        raise ValueError(f"{text!r} divides by zero: divide by another number") from None
    return Condition(text, fields, evaluate)


def _parse(environment: ImmutableSandboxedEnvironment, text: str) -> nodes.Node:
    try:
        template = environment.parse("{{ " + text + " }}")
    except TemplateSyntaxError as wrong:
        advice = "write == to compare" if "=" in text else "write it as purchases >= 3"
        raise ValueError(f"{text!r} is no condition ({wrong.message}): {advice}") from None
    except (RecursionError, OverflowError, ValueError):
        raise ValueError(f"{text!r} is too deep: write it without so many brackets") from None
    # One expression and nothing else: text that closes the braces itself adds nodes here.
    match template.body:
        case [nodes.Output(nodes=[nodes.Expr() as expression])]:
            return expression
        case _:
            raise ValueError(f"{text!r} is no condition: write it as purchases >= 3")


def _fields_in(tree: nodes.Node) -> Iterator[str]:
    for node in _walk(tree):
        match node:
            case nodes.Name(name=name):
                if name not in FIELDS:
                    raise ValueError(f"{name!r} is no field: {nearest(name, list(FIELDS))}")
                yield name
            case nodes.Compare():
                _check_words(node)
            case nodes.Filter(name=name) if name not in _FILTERS:
                raise ValueError(f"the filter {name!r} is not known: {nearest(name, [*_FILTERS])}")
            case nodes.Test(name=name) if name not in _TESTS:
                raise ValueError(f"the test {name!r} is not known: {nearest(name, [*_TESTS])}")
            case _:
                pass


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    if not isinstance(node, _NODES):
        raise ValueError(
            f"a condition cannot hold {type(node).__name__.lower()!r}: "
            "use fields, comparisons, and, or, not, in"
        )
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _check_words(comparison: nodes.Compare) -> None:
    """Refuse a word that a field of a closed set can never hold."""
    sides = [comparison.expr, *(operand.expr for operand in comparison.ops)]
    for field in (side.name for side in sides if isinstance(side, nodes.Name)):
        for word in _words_among(sides):
            if field in _WORDS_OF and word not in _WORDS_OF[field]:
                raise ValueError(
                    f"{field} is never {word!r}: {nearest(str(word), _WORDS_OF[field])}"
                )


def _words_among(sides: list[nodes.Expr]) -> Iterator[object]:
    for side in sides:
        if isinstance(side, nodes.Const):
            yield side.value
        elif isinstance(side, nodes.List | nodes.Tuple):
            yield from _words_among(side.items)
