"""What leaves for a provider, built with the vendors' packages, without any network."""

from typing import Any

import pytest
from sendgrid.helpers.mail import (
    Category,
    Content,
    CustomArg,
    Email,
    Header,
    Mail,
    Personalization,
    ReplyTo,
    To,
)

from tests.providers.examples import ACCOUNT, TOKEN, mail, text
from winback.providers.outgoing import NotSendable
from winback.providers.sendgrid import RESERVED_HEADERS, build_mail, write_mail
from winback.providers.twilio import TextBuilder, TextRequest

BUILDER = TextBuilder(ACCOUNT, TOKEN)


def test_a_mail_has_one_personalization_with_one_recipient_and_our_send_id() -> None:
    """One HTTP result belongs to one customer, and an unclear one can be resolved (SG-2, SG-12)."""
    payload = build_mail(mail())

    assert payload["personalizations"] == [
        {
            "to": [{"name": "Mary, Ann", "email": "mary@example.com"}],
            "custom_args": {"wb_send_id": "send-1"},
        }
    ]
    assert "custom_args" not in payload


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="all there is"),
        pytest.param({"to_name": None}, id="no name"),
        pytest.param({"reply_to": None}, id="no reply address"),
        pytest.param({"headers": {}, "categories": ()}, id="no headers, no categories"),
    ],
)
def test_a_mail_is_what_the_package_would_build(changes: dict[str, Any]) -> None:
    """What we write in plainly, since it differs by mail, is what SendGrid's objects give."""
    one = mail(**changes)
    theirs = Mail(Email(one.from_address, one.from_name), subject=one.subject)
    person = Personalization()
    person.add_to(To(one.to_address, one.to_name))
    person.add_custom_arg(CustomArg("wb_send_id", one.send_id))
    theirs.add_personalization(person)
    theirs.content = [Content("text/plain", one.text), Content("text/html", one.html)]
    if one.reply_to:
        theirs.reply_to = ReplyTo(one.reply_to)
    for name, value in one.headers.items():
        theirs.add_header(Header(name, value))
    for category in reversed(one.categories):
        theirs.add_category(Category(category))
    payload = build_mail(one)
    del payload["tracking_settings"]

    assert payload == theirs.get()


def test_a_mail_names_the_person_nowhere_but_as_recipient() -> None:
    """Categories and arguments are kept by SendGrid for ever: no person in them (SG-4, SG-5)."""
    payload = build_mail(mail())

    assert payload["categories"] == ["six-month", "concern"]
    assert payload["reply_to"] == {"email": "reply+abc@reply.example.com"}
    assert payload["from"] == {"email": "anna@example.com", "name": "Anna at Olive & Oak"}


def test_mails_share_what_a_step_shares_and_nothing_of_a_person() -> None:
    """What one mail was built from never shows in the next one."""
    first = build_mail(mail())
    second = build_mail(mail(send_id="send-2", to_address="bo@example.com", to_name=None))

    assert first == build_mail(mail())
    assert second == first | {
        "personalizations": [
            {"to": [{"email": "bo@example.com"}], "custom_args": {"wb_send_id": "send-2"}}
        ]
    }


def test_an_address_is_written_as_it_is() -> None:
    """The package would take one that stands alone apart, and write to another."""
    odd = '"a, b <c>"@example.com'

    payload = build_mail(mail(to_address=odd, to_name=None, reply_to=odd))

    assert payload["personalizations"][0]["to"] == [{"email": odd}]
    assert payload["reply_to"] == {"email": odd}


def test_text_comes_before_html() -> None:
    """SendGrid refuses HTML before plain text."""
    kinds = [part["type"] for part in build_mail(mail())["content"]]

    assert kinds == ["text/plain", "text/html"]


def test_unsubscribing_has_one_owner_and_suppressions_are_never_bypassed() -> None:
    """Our List-Unsubscribe stands alone (SG-37), and no bypass flag is set (SG-9)."""
    payload = build_mail(mail())

    assert payload["tracking_settings"] == {
        "click_tracking": {"enable": True, "enable_text": False},
        "open_tracking": {"enable": True},
        "subscription_tracking": {"enable": False},
    }
    assert payload["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert b"bypass" not in write_mail(mail())


@pytest.mark.parametrize("name", sorted(RESERVED_HEADERS))
def test_a_reserved_header_is_refused(name: str) -> None:
    """SendGrid's reserved headers are refused in any case of letters (SG-7)."""
    with pytest.raises(NotSendable):
        build_mail(mail(headers={name.upper(): "x"}))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"subject": "Hello\r\nBcc: x@example.com"}, id="subject"),
        pytest.param({"to_name": "Mary\nBcc: x@example.com"}, id="name"),
        pytest.param({"to_address": "a@example.com\nb@example.com"}, id="address"),
        pytest.param({"reply_to": "a@example.com\r\n"}, id="reply"),
        pytest.param({"from_name": "Anna\0"}, id="sender"),
        pytest.param({"from_address": "anna@example.com\n"}, id="sender's address"),
        pytest.param({"headers": {"X-Ours": "a\r\nBcc: b"}}, id="header"),
        pytest.param({"headers": {"X-Ours:\rBcc": "b"}}, id="header's name"),
    ],
)
def test_a_line_break_cannot_add_a_recipient(changes: dict[str, Any]) -> None:
    """A name from a CSV adds no header (SEC-7)."""
    with pytest.raises(NotSendable):
        build_mail(mail(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"categories": tuple("abcdefghijk")}, id="eleven categories"),
        pytest.param({"categories": ("x" * 256,)}, id="long category"),
        pytest.param({"send_id": "x" * 10_000}, id="long send id"),
        pytest.param({"send_id": ""}, id="no send id"),
        pytest.param({"html": "x" * (30 * 1024 * 1024)}, id="over 30 MB"),
        pytest.param({"text": "\ud800"}, id="lone surrogate"),
    ],
)
def test_a_mail_over_the_limits_is_refused_before_the_call(changes: dict[str, Any]) -> None:
    """SG-3, SG-4 and SG-8 are checked by us, not found out by 400."""
    with pytest.raises(NotSendable):
        write_mail(mail(**changes))


def test_a_text_carries_service_validity_and_our_send_id() -> None:
    """TW-1, TW-3, TW-12: service, validity and send id; nothing that changes what is sent."""
    request = BUILDER.build(text())

    assert request.form == {
        "To": "+12015550123",
        "MessagingServiceSid": "MG" + "0" * 32,
        "Body": "Olive & Oak: we miss you. STOP to end",
        "StatusCallback": "https://win.example.com/webhooks/twilio/status?send_id=send-2",
        "ValidityPeriod": "3600",
    }
    assert request.url == (f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json")


def test_the_callback_keeps_its_own_query() -> None:
    """The send id joins what stands there and replaces an older one."""
    request = BUILDER.build(
        text(status_callback="https://win.example.com/t?shop=a%20b&send_id=old")
    )

    assert request.form["StatusCallback"] == "https://win.example.com/t?shop=a+b&send_id=send-2"


def test_the_base_url_can_be_moved() -> None:
    """The package knows no base URL of its own, so ours replaces scheme and host."""
    built = TextBuilder(ACCOUNT, TOKEN, base_url="http://127.0.0.1:4010/").build(text())

    assert isinstance(built, TextRequest)
    assert built.url == f"http://127.0.0.1:4010/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"to_number": "07700 900123"}, id="national number"),
        pytest.param({"to_number": "+0123456789"}, id="zero country"),
        pytest.param({"messaging_service": "MG1"}, id="service"),
        pytest.param({"body": ""}, id="empty"),
        pytest.param({"body": "x" * 1601}, id="too long"),
        pytest.param({"valid_for_seconds": 0}, id="validity 0"),
        pytest.param({"valid_for_seconds": 36_001}, id="validity too long"),
        pytest.param({"status_callback": "https://my_shop.example.com/t"}, id="underscore"),
        pytest.param({"status_callback": "/t"}, id="no host"),
        pytest.param({"send_id": ""}, id="no send id"),
    ],
)
def test_a_text_over_the_limits_is_refused_before_the_call(changes: dict[str, Any]) -> None:
    """TW-1, TW-2 and TW-3 are checked by us: the stand-in of others would say yes."""
    with pytest.raises(NotSendable):
        BUILDER.build(text(**changes))


def test_the_longest_validity_is_allowed() -> None:
    """36,000 s is the upper end, inclusive (TW-3)."""
    assert BUILDER.build(text(valid_for_seconds=36_000)).form["ValidityPeriod"] == "36000"
