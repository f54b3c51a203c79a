"""MJML and CSS run once, with the Jinja tags protected meanwhile (DESIGN.md, section 7)."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.errors import FileMistakes
from winback.messages.compiling import compile_template, content_hash
from winback.messages.placeholders import drop_control_lines, protect, put_back
from winback.messages.rendering import render
from winback.messages.sample import NAMELESS, sample_context, sample_voucher
from winback.messages.templates import Compiled
from winback.states import Channel

from .kit import HELLO, mail, only, plain, shelf_of


def _compiled(home: Path, text: str, *, name: str = "last.mjml", **more: str) -> Compiled:
    files = {name: text, **{key.replace("__", "."): value for key, value in more.items()}}
    return compile_template(only(shelf_of(home, files), name.partition(".")[0]))


def test_conditions_and_loops_may_stand_anywhere(tmp_path: Path) -> None:
    """Between elements, in text, in rows of a table, in attributes: all come through alive."""
    text = mail(
        "Hi {{ customer.given_name }}{% if customer.purchases > 2 %}, friend{% endif %}",
        extra="{% if voucher %}<mj-text>{{ voucher.code }}</mj-text>{% endif %}\n"
        "<mj-table>{% for key, b in facts.benefits|items %}<tr><td>{{ b.says }}</td></tr>"
        "{% endfor %}</mj-table>\n"
        """<mj-button href="{{ links.shop or 'https://a.example' }}">Go</mj-button>""",
    )
    made = _compiled(tmp_path, text).unpublished()

    with_voucher = render(made, sample_context(plain(), voucher=sample_voucher()))
    without = render(made, sample_context(plain()))

    assert "Hi Ada, friend" in with_voucher.html
    assert "SAMPLE-0000-CODE" in with_voucher.html
    assert "SAMPLE-0000-CODE" not in without.html
    assert re.search(r"<tbody><tr><td[^>]*>next-day delivery</td></tr><tr>", without.html)
    assert 'href="https://shop.example.com"' in without.html
    assert "WBJ" not in with_voucher.html + with_voucher.text


def test_a_hostile_name_cannot_leave_its_place(tmp_path: Path) -> None:
    """P11: markup and tags in data are shown, never run; MJML never sees data."""
    made = _compiled(tmp_path, mail("Hi {{ customer.given_name }}")).unpublished()
    context = sample_context(plain())
    context["customer"]["given_name"] = '<script>"{{ 7*7 }}</td>'

    shown = render(made, context)

    assert "<script>" not in shown.html
    assert "&lt;script&gt;&#34;{{ 7*7 }}&lt;/td&gt;" in shown.html
    assert '<script>"{{ 7*7 }}</td>' in shown.text


def test_the_text_part_says_what_the_mail_says(tmp_path: Path) -> None:
    """Derived from texts and buttons, with the targets of links, in order, lists kept together."""
    text = mail(
        HELLO,
        "one<br />two &amp; <a href='{{ links.why }}'>why</a>",
        "<ul>{% for key, b in facts.benefits|items %}<li>{{ b.says }}</li>{% endfor %}</ul>",
        extra='<mj-button href="{{ links.shop }}">Shop</mj-button><mj-image alt="x" src="" />',
    )
    made = _compiled(tmp_path, text).unpublished()

    shown = render(made, sample_context(plain())).text

    assert "Hello Ada,\n\none\ntwo & why (https://win.example.com/why/" in shown
    assert "- next-day delivery\n- free repairs for life\n" in shown
    assert "Shop: https://shop.example.com\n" in shown
    assert "12 Mill Lane" in shown


def test_a_written_text_part_wins(tmp_path: Path) -> None:
    """A .txt beside the mail is its text part, in the text layout."""
    made = _compiled(
        tmp_path, mail("Long"), last__txt="{% if voucher %}\nV\n{% endif %}\nShort {{ campaign }}."
    )

    shown = render(made.unpublished(), sample_context(plain()))

    assert shown.text.startswith("Short six-month.\n")
    assert "/u/" in shown.text
    assert "Long" in shown.html


def test_html_mails_bring_their_own_page_and_text(tmp_path: Path) -> None:
    """An .html is taken as it is, its CSS inlined; it needs a .txt."""
    head = "<html><head><style>p{color:red}</style></head>"
    page = f"---\nsubject: S\n---\n{head}<body><p>{{{{ step }}}}</p></body></html>"

    with pytest.raises(FileMistakes, match=r"without a text part"):
        _compiled(tmp_path, page, name="last.html")
    made = _compiled(tmp_path, page, name="last.html", last__txt="T")

    assert '<p style="color: red' in made.html
    assert "{{ step }}" in made.html


def test_links_to_our_own_pages_are_not_tracked(tmp_path: Path) -> None:
    """FACTS.md SG-38: /u, /why and /v are never rewritten by the provider, the shop may be."""
    html = _compiled(
        tmp_path,
        mail(
            "<a href='{{ links.reasons.forgot }}'>f</a><a href='{{ links.shop }}'>s</a>",
            extra='{% if voucher %}<mj-button href="{{ voucher.url }}">V</mj-button>{% endif %}',
        ),
    ).html
    anchors = {
        target: "clicktracking" in whole
        for whole, target in re.findall(r'(<a\b[^>]*href="([^"]*)"[^>]*>)', html)
    }

    assert anchors == {
        "{{ links.reasons.forgot }}": True,
        "{{ links.shop }}": False,
        "{{ voucher.url }}": True,
        "{{ links.why }}": True,
        "{{ links.unsubscribe }}": True,
    }


def test_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    """No third-party font or picture: the engine's default font link is kept out."""
    html = _compiled(tmp_path, mail("Hi")).html

    assert "fonts.googleapis" not in html
    assert "<link" not in html
    assert "@import" not in html


@pytest.mark.parametrize(
    ("inside", "line", "what"),
    [
        ("<mj-txt>x</mj-txt>", 6, "did you mean mj-text?"),
        ('<mj-text colour="red">x</mj-text>', 6, "did you mean color?"),
        ("<mj-text>\n<p>x</mj-text>", 7, "<p> is not closed"),
        ("loose words", 6, "text outside of mj-text"),
        ("<mj-section></mj-section>", 6, "put it into <mj-body>"),
        ("<p></p>", 6, "outside of mj-text"),
        ('<mj-image src="" />', 6, "without alt"),
        ("<mj-include path='/etc/passwd' />", 6, "no files are read"),
        ("<mj-social></mj-social>", 6, "third party"),
        ("<mj-text><script>x</script></mj-text>", 6, "no place in a mail"),
        ("<mj-text><a onclick='x'>x</a></mj-text>", 6, "carries a script"),
        ("<mj-text>x</mj-text></mj-group>", 6, "closes nothing"),
        ("<mj-text>{{ x|nope }}</mj-text>", 6, "unknown filter 'nope'"),
        ("<mj-text>{% if x %}</mj-text>", 6, "end of template"),
        ("<mj-text>{{ 'a'.upper() }}</mj-text>", 6, "not part of templates"),
        ("<mj-text><a {{ x }}='y'>x</a></mj-text>", 6, "where mails lose it"),
    ],
)
def test_mistakes_of_form_name_their_line(
    tmp_path: Path, inside: str, line: int, what: str
) -> None:
    """The engine is silent about all of these; our reader names line and right word."""
    front = "---\nsubject: S\npreheader: P\n---\n"
    text = f"{front}<mj-section><mj-column>\n{inside}\n</mj-column></mj-section>\n"

    with pytest.raises(FileMistakes) as wrong:
        _compiled(tmp_path, text)

    (mistake,) = [one for one in wrong.value.mistakes if what in str(one)]
    assert (mistake.file, mistake.line) == ("templates/six-month/last.mjml", line)


@pytest.mark.parametrize(
    ("front", "line", "what"),
    [
        ("subjekt: x", 2, "did you mean subject?"),
        ("subject: [a]", 2, "is no text"),
        ("subject: |\n  a\n  b", 2, "line break"),
        ("- a", 2, "has no keys"),
        ("subject: a: b", 2, "not YAML"),
        ("subject: 2026-02-30", 1, "not YAML"),
        ("subject: '{{ x|nope }}'", 2, "unknown filter"),
    ],
)
def test_mistakes_in_the_front_matter(tmp_path: Path, front: str, line: int, what: str) -> None:
    """The front matter is checked like all files that people edit."""
    text = f"---\n{front}\n---\n<mj-section><mj-column></mj-column></mj-section>"

    with pytest.raises(FileMistakes) as wrong:
        _compiled(tmp_path, text)

    assert [one.line for one in wrong.value.mistakes if what in str(one)] == [line]


def test_layout_and_text_part_count_into_the_hash(tmp_path: Path) -> None:
    """The compiled pair is cached by all that it is made from."""
    one = only(shelf_of(tmp_path / "a", {"last.mjml": mail("x")}), "last")
    same = only(shelf_of(tmp_path / "b", {"last.mjml": mail("x")}), "last")
    twin = only(shelf_of(tmp_path / "c", {"last.mjml": mail("x"), "last.txt": "y"}), "last")
    layout = only(
        shelf_of(tmp_path / "d", {"last.mjml": mail("x")}, layout="<mjml></mjml>"), "last"
    )

    assert content_hash(one) == content_hash(same)
    assert len({content_hash(one), content_hash(twin), content_hash(layout)}) == 3


tags = st.sampled_from(["{{ a }}", "{% if b > 1 %}", "{% endif %}", "{# c #}", "x", "<p>", "\n"])


@given(st.lists(tags))
def test_protecting_loses_nothing(pieces: list[str]) -> None:
    """What was protected comes back as it was, and lines keep their numbers."""
    text = "".join(pieces)
    protected = protect(text)

    assert put_back(protected.text, protected.tags) == text
    assert protect(text, keep_lines=True).text.count("\n") == text.count("\n")


def test_lines_of_conditions_leave_no_line() -> None:
    """In hand-written texts a line that only holds a condition is not a line of the text."""
    text = "a\n  {% if x %}\nb\n{% endif %} {# n #}\nc {% if y %}d{% endif %}\ne"

    assert (
        drop_control_lines(text) == "a\n{% if x %}b\n{% endif %} {# n #}c {% if y %}d{% endif %}\ne"
    )


def test_a_nameless_customer_is_greeted(tmp_path: Path) -> None:
    """FACTS.md SEC-8: no "Hello ,"."""
    made = _compiled(tmp_path, mail(HELLO)).unpublished()

    shown = render(made, sample_context(plain(), customer=NAMELESS))

    assert "Hello there," in shown.text


def test_calls_and_texts_have_no_html(tmp_path: Path) -> None:
    """A script is text for a person."""
    shelf = shelf_of(tmp_path, {"ring.call": "CALL\n{% if reason %}\nx\n{% endif %}\nend"})
    made = compile_template(only(shelf, "ring", Channel.CALL))

    assert made.html == ""
    assert render(made.unpublished(), sample_context(plain())).text == "CALL\nend\n"
