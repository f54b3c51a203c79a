"""The links of a message lead to our own pages; texts carry short ones."""

from winback.messages.links import build_links, reply_address, short_links
from winback.messages.tokens import read_token
from winback.states import Reason

BASE = "https://win.example.com"


def test_every_reason_has_its_link() -> None:
    """The reasons of DESIGN.md section 6 are tapped in the mail, by one token of the message."""
    links = build_links("s", BASE, message_id=7, website="https://shop.example.com")
    reasons = links["reasons"]

    assert isinstance(reasons, dict)
    assert set(reasons) == {reason.value for reason in Reason}
    assert reasons["not_now"] == f"{links['why']}?reason=not_now"
    assert str(links["unsubscribe"]).startswith(f"{BASE}/u/")
    assert read_token("s", "unsubscribe", str(links["unsubscribe"]).rpartition("/")[2]) == 7


def test_a_business_without_a_website_has_no_shop_link() -> None:
    """An unknown address is None, never an invented one."""
    links = build_links("s", BASE, message_id=7, website=None)

    assert links["shop"] is None
    assert links["referral"] is None


def test_short_links_are_ids_on_our_own_domain() -> None:
    """FACTS.md TW-10, SEC-13: no public shortener, and the target is stored, not carried."""
    links = build_links("s", BASE, message_id=7, website="https://shop.example.com")

    short, rows = short_links("s", BASE, message_id=7, links=links)

    assert {row.url for row in rows} == {
        links[name] for name in ("shop", "voucher", "why", "unsubscribe")
    }
    assert all(
        short[name] == f"{BASE}/l/{row.id}"
        for name, row in zip(("shop", "voucher", "why", "unsubscribe"), rows, strict=True)
    )
    assert short_links("s", BASE, message_id=7, links=links) == (short, rows)


def test_replies_come_back_to_their_message() -> None:
    """P7: the address of a reply names the message that it answers."""
    local, _, domain = reply_address("s", "reply.example.com", message_id=7).partition("@")

    assert domain == "reply.example.com"
    assert read_token("s", "reply", local.removeprefix("reply+")) == 7
