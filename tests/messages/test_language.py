"""The language of templates is closed: hostile ones are refused or cut off (FACTS.md SEC-6)."""

from typing import Any

import pytest
from jinja2 import TemplateSyntaxError

from winback.errors import ConfigError, TemplateError
from winback.messages.language import ready, refuse_unsafe_jinja
from winback.messages.rendering import render
from winback.messages.sample import sample_context
from winback.messages.templates import PublishedTemplate
from winback.states import Channel

from .kit import plain


def _sms(text: str) -> PublishedTemplate:
    return PublishedTemplate(
        1, "six-month", "t", Channel.SMS, "", "a", language="en", subject="", preheader="",
        html="", text=text,
    )  # fmt: skip


def _rendered(text: str, **changes: Any) -> str:
    return render(_sms(text), {**sample_context(plain()), **changes}).text


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ customer.__class__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ self.__init__ }}",
        "{{ self._TemplateReference__context }}",
        "{{ namespace(x=1).x }}",
        "{{ customer|attr('format') }}",
        "{{ '{0.__class__}'.format(customer) }}",
        "{{ '%s' % customer }}",
        "{{ 'a' * 10**9 }}",
        "{{ 2 ** 99999 }}",
        "{{ 'a' ~ 'b' }}",
        "{{ 'a' + 'b' }}",
        "{{ [1] + [2] }}",
        "{{ 'a'.ljust(999999999) }}",
        "{{ range(999999999) }}",
        "{{ range(101) | list }}",
        "{% for a in 'x' %}{% for b in 'x' %}{% for c in 'x' %}" + "{% endfor %}" * 3,
        "{% for a in range(99) %}{% for b in range(99) %}" + "x" * 999 + "{% endfor %}{% endfor %}",
        "{% include 'settings.toml' %}",
        "{% import 'a' as b %}",
        "{% from 'a' import b %}",
        "{% extends 'a' %}",
        "{% block a %}{% endblock %}",
        "{% macro a() %}{{ a() }}{% endmacro %}",
        "{% set x = 'a' %}",
        "{% set x %}a{% endset %}",
        "{% filter upper %}a{% endfilter %}",
        "{% call range(2) %}{% endcall %}",
        "{% for k in customer recursive %}{{ loop(k) }}{% endfor %}",
        "{% for a in range(3) %}{{ loop.cycle }}{% endfor %}",
        "{% for a in range(3) %}{{ loop.__init__ }}{% endfor %}",
        "{{ links.shop | safe }}",
        "{{ [1,2,3,4,5,6,7,8,9,10,11,12,13] }}",
        "{{ {'a': 1} }}",
        "{{ ['" + "a" * 5000 + "','" + "b" * 5000 + "'] | join('" + "c" * 15000 + "') }}",
        "{{ customer.given_name.upper }}",
        "{{ facts.benefits.items }}",
        "{{ nobody }}",
        "{{ customer.nothing }}",
        "{{ customer.nothing | upper }}",
        "{% if customer.nothing %}{% endif %}",
        "{{ 1 // 0 }}",
        "{{ 9999999999999 - 1 }}",
        "{{ 'abc' | truncate(1) }}",
        "{{ customer.given_name | day }}",
        "{{ customer.given_name | money }}",
        "{{ none | day }}",
        "{{ 'x' | nofilter }}",
        "{{ 'x' is nottest }}",
        "{{ 'x' is callable }}",
        "{% raw",
    ],
)
def test_attacks_and_slips_are_refused(attack: str) -> None:
    """FACTS.md SEC-4, SEC-5, SEC-6, SEC-8: one clear error, at once, without running away."""
    with pytest.raises(TemplateError) as refused:
        _rendered(f"Hello {attack}")

    assert "Byron" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{ 1 + 2 - 1 }}", "2"),
        ("{{ customer.given_name | upper }}", "ADA"),
        ("{{ customer.greeting_name or 'there' }}", "Ada"),
        ("{{ customer['given_name'] }}", "Ada"),
        ("{% for n in range(3) %}{{ loop.index }}{{ ',' if not loop.last }}{% endfor %}", "1,2,3"),
        ("{% for key, b in facts.benefits|items %}{{ key }} {% endfor %}", "delivery repair"),
        ("{{ 'yes' if customer.purchases > 2 and reason is none else 'no' }}", "yes"),
        ("{{ customer.last_purchased_on | day }}", "2 September 2025"),
        ("{{ customer.last_purchased_on | short_day }}", "2 September"),
        ("{{ customer.last_purchased_on | weekday }}", "Tuesday"),
        ("{{ customer.last_purchased_on | month }}", "September 2025"),
        ("{{ '30.5' | money }}", "£30.50"),
        ("{{ 'it\u2019s \u2013 nice' }}", "it's - nice"),
        ("{# a note #}x", "x"),
    ],
)
def test_what_marketers_need_works(text: str, shown: str) -> None:
    """Values, conditions, loops, dates and money are all there is, and enough."""
    assert _rendered(text) == shown


def test_values_are_escaped_in_html_only() -> None:
    """FACTS.md SEC-4: a customer's name cannot bring markup into a mail."""
    assert ready("{{ n }}", autoescape=True).render(n="<b>&") == "&lt;b&gt;&amp;"
    assert ready("{{ n }}", autoescape=False).render(n="<b>&") == "<b>&"


def test_the_line_of_a_slip_is_known() -> None:
    """Mistakes name their line."""
    with pytest.raises(TemplateSyntaxError) as wrong:
        ready("one\ntwo {{ x|dya }}", autoescape=False)

    assert wrong.value.lineno == 2
    assert "did you mean day?" in str(wrong.value)


@pytest.mark.parametrize("version", ["3.1.5", "3.0.9", "2.11.3"])
def test_an_unsafe_jinja_stops_the_start(version: str) -> None:
    """FACTS.md SEC-3: below 3.1.6 the sandbox can be left."""
    with pytest.raises(ConfigError, match=r"3\.1\.6"):
        refuse_unsafe_jinja(version)
