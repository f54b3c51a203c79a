"""P5, rule by rule: what keeps a template from going live, with file, line and what to write."""

from pathlib import Path

import pytest

from winback.campaign.facts import Facts
from winback.campaign.loading import plain_campaign
from winback.messages.compiling import compile_template
from winback.messages.lint import positions_of, warnings
from winback.messages.mistakes import lint_shelf, mistakes_of
from winback.messages.positions import positions_in
from winback.messages.shelf import load_shelf
from winback.states import Channel

from .kit import CAMPAIGN, FACTS, HELLO, LAYOUT, SIGNED, mail, mistakes_in, only, shelf_of

FOLDER = "templates/six-month"
GOOD_SMS = "{{ business.name }}: hello. Reply STOP to opt out."
RATES = "Msg & data rates may apply. Reply HELP for help."
FIRST_SMS = f"{GOOD_SMS}{{% if customer.country == 'US' %}} {RATES}{{% endif %}}"
GIFT = "{{ voucher.code }} until {{ voucher.expires_on|day }}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hello.mjml", mail(HELLO, SIGNED)),
        ("hello.mjml", mail("Feel free to reply. {{ business.sender_name }}")),
        ("ask.sms", FIRST_SMS),
        ("again.sms", f"{GIFT} {GOOD_SMS}"),
        ("gift.mjml", mail(GIFT, "Expires soon")),
        ("gift.mjml", mail("15% off, {{ voucher.minimum_spend|money }}", GIFT)),
        ("last.mjml", mail("We fixed it: {{ facts.fixed.delivery.now }}")),
        ("last.mjml", mail("{% if voucher %}{{ voucher.code }}{% endif %}")),
        ("last.mjml", mail('<img alt="" src="{{ business.website }}/a.png" />')),
        (
            "bye.mjml",
            mail("{% if links.referral %}<a href='{{ links.referral }}'>x</a>{% endif %}"),
        ),
        ("unused.mjml", mail(GIFT)),
        ("ring.call", "CALL {{ customer.given_name }}"),
        ("ring.letter", "{{ business.postal_address }} {{ today|day }}"),
    ],
)
def test_good_templates_go_live(tmp_path: Path, name: str, text: str) -> None:
    """No false alarm."""
    assert mistakes_in(tmp_path, name, text) == []


@pytest.mark.parametrize(
    ("name", "text", "line", "what"),
    [
        ("last.mjml", mail("{{ customer.given_nam }}"), 6, "did you mean given_name?"),
        ("last.mjml", mail("{{ custmer.given_name }}"), 6, "did you mean customer?"),
        ("last.mjml", mail("{{ facts.benefits.repairs.says }}"), 6, "did you mean repair?"),
        ("last.mjml", mail("{{ customer.locale.x }}"), 6, "has no parts"),
        ("last.mjml", mail("{{ customer['given_nam'] }}"), 6, "unknown variable"),
        ("last.mjml", mail("x", subject="{{ nobody }}"), 2, "unknown variable nobody"),
        ("last.mjml", mail("x", subject=""), 1, "the subject is empty"),
        ("last.mjml", mail("x", subject="{% if voucher %}x{% endif %}"), 1, "subject is empty"),
        ("last.mjml", mail("x", subject="Re: your order"), 2, "pretends to be a reply"),
        ("last.mjml", mail("x", subject="fwd: hello"), 2, "pretends to be a reply"),
        ("last.mjml", mail("x", "Hurry!"), 7, "'Hurry' without an expiry"),
        ("last.mjml", mail("It expires Friday"), 6, "without an expiry"),
        ("last.mjml", mail("Now we have improved it"), 6, "names no kept promise"),
        ("last.mjml", mail("We've fixed it"), 6, "keys: delivery"),
        ("last.mjml", mail("<a href='https://bit.ly/x'>x</a>"), 6, "public shortener"),
        ("last.mjml", mail("see tinyurl.com/abc"), 6, "public shortener"),
        ("last.mjml", mail("<img alt='' src='https://cdn.example/x.png' />"), 6, "fetched from"),
        ("last.mjml", mail("<a href='http://a.example'>x</a>"), 6, "a link without https"),
        ("last.mjml", mail("<a href='javascript:x'>x</a>"), 6, "a link without https"),
        ("last.mjml", mail("{{ voucher.code }}"), 6, "last carries no voucher"),
        ("last.mjml", mail("Hi {{ customer.greeting_name }},"), 1, "greets nobody"),
        ("last.mjml", mail("You took {{ customer.last_product }}"), 1, "shows None"),
        ("hello.mjml", mail("A discount!", SIGNED), 6, "'discount' in a first touch"),
        ("hello.mjml", mail("Now 15% off", SIGNED), 6, "'15%' in a first touch"),
        ("hello.mjml", mail("From £30", SIGNED), 6, "in a first touch"),
        ("hello.mjml", mail("30 EUR", SIGNED), 6, "in a first touch"),
        ("hello.mjml", mail("Dein Gutschein", SIGNED), 6, "in a first touch"),
        ("hello.mjml", mail(SIGNED, subject="A free gift"), 2, "'free' in a first touch"),
        ("hello.mjml", mail(SIGNED, "{% if voucher %}x{% endif %}"), 1, "voucher in a first"),
        ("hello.mjml", mail("Just reply."), 1, "no person signs"),
        ("hello.mjml", mail("{{ business.signature }}"), 1, "invites no reply"),
        ("gift.mjml", mail("Come back"), 1, "no voucher is shown"),
        ("gift.mjml", mail("{{ voucher.code }}"), 1, "without its expiry"),
        ("ask.sms", "Hello. STOP to end", 1, "does not say who writes"),
        ("again.sms", "{{ business.name }}: hello", 1, "offers no way out"),
        ("ask.sms", GOOD_SMS, 1, "US law"),
        ("again.sms", GOOD_SMS + "x" * 1600, 1, "at most 1600"),
        (
            "bye.mjml",
            mail("<a href='{{ links.referral }}'>a</a>", "<a href='{{ links.referral }}'>b</a>"),
            7,
            "second referral",
        ),
    ],
)
def test_what_keeps_a_template_from_going_live(
    tmp_path: Path, name: str, text: str, *, line: int, what: str
) -> None:
    """DESIGN.md P5; FACTS.md LAW-7, LAW-31, TW-10, SEC-8."""
    found = mistakes_in(tmp_path, name, text)

    assert any(one.line == line and what in str(one) for one in found), found
    assert all(one.file == f"templates/six-month/{name}" for one in found)


@pytest.mark.parametrize(
    ("gone", "what"),
    [
        ("{{ business.postal_address }}", "no postal address in the mail"),
        ("{{ links.unsubscribe }}", "no way out in the text part"),
        ("{{ links.why }}", "no link to say why in the mail"),
    ],
)
def test_a_layout_without_its_footer(tmp_path: Path, gone: str, what: str) -> None:
    """FACTS.md LAW-8: address and way out stand in both parts of every mail."""
    layout = (Path(__file__).parents[2] / "templates/_layout/email.mjml").read_text("utf-8")
    shelf = shelf_of(tmp_path, {"last.mjml": mail("x")}, layout=layout.replace(gone, "x"))
    source = only(shelf, "last")

    assert any(what in str(one) for one in mistakes_of(shelf, source))


def test_a_claim_without_a_fact_cannot_go_live(tmp_path: Path) -> None:
    """P5: where nothing was fixed, nothing can be said to be."""
    found = mistakes_in(
        tmp_path, "last.mjml", mail("{{ facts.fixed.delivery.now }}"), facts=Facts()
    )

    assert any("unknown variable facts.fixed.delivery" in str(one) for one in found)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("again.sms", GOOD_SMS + "x" * 300, "segments"),
        ("again.sms", GOOD_SMS + "ł", "'ł' more than doubles"),
        ("last.mjml", mail("{% for n in range(20) %}" + "word " * 900 + "{% endfor %}"), "KB"),
        ("last.mjml", mail("x", preheader=""), "no preheader"),
    ],
)
def test_warnings(tmp_path: Path, name: str, text: str, what: str) -> None:
    """FACTS.md TW-7: what is dear or cut off is told, and goes live all the same."""
    shelf = shelf_of(tmp_path, {name: text})
    (source,) = shelf.sources.values()
    made = compile_template(source)
    places = positions_of(CAMPAIGN, source.template, source.channel)

    assert mistakes_in(tmp_path, name, text) == []
    assert any(what in str(one) for one in warnings(made, positions=places, facts=FACTS))


def test_positions_know_their_place() -> None:
    """The rules of the first touch, of the first text and of offers depend on the step."""
    (hello,) = positions_of(CAMPAIGN, "hello", Channel.EMAIL)
    (ask,) = positions_of(CAMPAIGN, "ask", Channel.SMS)
    (ask_by_mail,) = positions_of(CAMPAIGN, "ask", Channel.EMAIL)
    (gift,) = positions_of(CAMPAIGN, "gift", Channel.EMAIL)
    (again,) = positions_of(CAMPAIGN, "again", Channel.SMS)
    (bye,) = positions_of(CAMPAIGN, "bye", Channel.EMAIL)

    assert [p.is_first_touch for p in (hello, ask, gift, bye)] == [True, False, False, False]
    assert [p.is_first_text for p in (ask, ask_by_mail, again)] == [True, False, False]
    assert (gift.has_offer, again.has_offer, again.may_have_voucher) == (True, False, True)
    assert bye.is_goodbye
    assert positions_of(CAMPAIGN, "hello", Channel.SMS) == ()


def test_one_mistake_hides_no_other(tmp_path: Path) -> None:
    """P5: an unknown variable, wrong words and what is not shown are told in one go."""
    text = mail("{{ customer.nme }}", "20% off", "We have fixed it", "Hurry")

    says = " | ".join(map(str, mistakes_in(tmp_path, "hello.mjml", text)))

    assert "unknown variable customer.nme" in says
    assert "'20%' in a first touch" in says
    assert "no kept promise" in says
    assert "'Hurry' without an expiry" in says
    assert "no person signs" in says
    assert "invites no reply" in says
    assert "cannot be rendered" not in says


def test_what_is_not_shown_is_seen_behind_an_unknown_variable(tmp_path: Path) -> None:
    """The rest is rendered with a word in the place of a name that nobody knows."""
    says = " | ".join(
        map(str, mistakes_in(tmp_path, "gift.mjml", mail("Hi {{ customer.nme }}, come back")))
    )

    assert "unknown variable customer.nme" in says
    assert "carries an offer, but no voucher is shown" in says


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("{{ customer.given_name", "unexpected"),
        ("<mj-txt>x</mj-txt>", "<mj-txt> is not used here"),
    ],
)
def test_a_mistake_of_form_hides_no_mistake_of_words(tmp_path: Path, wrong: str, what: str) -> None:
    """A file that cannot be compiled is held to the rules of words all the same."""
    shelf = shelf_of(tmp_path, {"hello.mjml": mail("20% off", SIGNED, extra=wrong)})

    says = " | ".join(map(str, mistakes_of(shelf, only(shelf, "hello"))))

    assert what in says
    assert "'20%' in a first touch" in says
    assert "signs" not in says


def test_a_mistake_of_the_layout_is_told_once_and_at_the_layout(tmp_path: Path) -> None:
    """Every mail stands in it: the place to mend is one (FACTS.md LAW-8)."""
    layout = LAYOUT.replace("{{ business.postal_address }}", "here")
    mails = {"last.mjml": mail("x"), "bye.mjml": mail("y"), "thanks.mjml": mail("z")}

    (found,) = lint_shelf(shelf_of(tmp_path, mails, layout=layout))

    assert found.file == "templates/_layout/email.mjml"
    assert "</mj-body>" in layout.splitlines()[found.line - 1]
    assert "no postal address in the mail" in found.what
    assert "no postal address in the text part" in found.what


def test_a_layout_that_speaks_of_a_voucher(tmp_path: Path) -> None:
    """Few mails carry one: told once, at the layout's line."""
    layout = LAYOUT.replace("{{ content }}", "{{ content }}<!-- {{ voucher.code }} -->")
    mails = {"last.mjml": mail("x"), "bye.mjml": mail("y")}

    (found,) = lint_shelf(shelf_of(tmp_path, mails, layout=layout))

    assert found.file == "templates/_layout/email.mjml"
    assert "voucher.code" in layout.splitlines()[found.line - 1]
    assert "not every mail carries a voucher" in found.what


def test_a_layout_whose_syntax_is_wrong_hides_nothing_of_the_mails(tmp_path: Path) -> None:
    """The mails are read within a bare footer; theirs is not missing."""
    layout = LAYOUT.replace("{{ content }}", "{{ content }}{{ business.name")

    told = lint_shelf(shelf_of(tmp_path, {"gift.mjml": mail("Come back")}, layout=layout))

    assert [one.file for one in told] == ["templates/_layout/email.mjml", f"{FOLDER}/gift.mjml"]
    assert "no voucher is shown" in told[1].what


def test_no_layout_is_told_once(tmp_path: Path) -> None:
    """The file to write is named, not each mail that misses it."""
    shelf = shelf_of(tmp_path, {"last.mjml": mail("x"), "bye.mjml": mail("y")})
    (tmp_path / "templates/_layout/email.mjml").unlink()

    told = lint_shelf(load_shelf(tmp_path, shelf.campaigns, FACTS))

    assert ["there is no layout" in one.what for one in told if "_layout" in one.file] == [True]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (mail("x", "{{ customer.purchases|day }}"), 7, "cannot be rendered for last"),
        (mail("x", "{% for n in range(900) %}{% endfor %}"), 7, "range counts to 100"),
        (mail("x", subject="{{ customer.purchases|day }}"), 2, "cannot be rendered for last"),
    ],
)
def test_a_failing_rendering_names_its_line(
    tmp_path: Path, text: str, line: int, what: str
) -> None:
    """The line is that of the author's file, not of what is compiled from it."""
    (found,) = mistakes_in(tmp_path, "last.mjml", text)

    assert (found.file, found.line) == ("templates/six-month/last.mjml", line)
    assert what in found.what


@pytest.mark.parametrize("channel", [Channel.EMAIL, Channel.SMS])
def test_places_are_read_from_a_file_with_mistakes(channel: Channel) -> None:
    """What is unchecked gives the places that the checked campaign gives."""
    written = {**plain_campaign(CAMPAIGN), "cooldown": "12 moons"}

    for template in ("hello", "ask", "gift", "again", "last", "bye", "thanks"):
        asked = (template, channel)
        assert positions_in(written, *asked) == positions_of(CAMPAIGN, *asked)
