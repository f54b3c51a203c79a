"""Tokens open one door of one message, and no other."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.messages.tokens import Purpose, link_id, make_token, read_token

PURPOSES: tuple[Purpose, ...] = ("unsubscribe", "why", "voucher", "reply")
ids = st.integers(min_value=0, max_value=2**63 - 1)

SECRET = "a secret of forty characters, as in tests"
IN_MAILS: dict[Purpose, tuple[str, str, str]] = {
    "unsubscribe": (
        "rkam4rr37hnl2stybjufbu2ooykfzhci7",
        "ensheadgjjhxkiqxcbnpyivky7qa47ks75bcd15",
        "hsdxu4u7j6u6mjw6bw3ufk7eopo5a5ym7fffffffffffffff",
    ),
    "why": (
        "4mlcms5c2vtmwgpkbplygwgzyd6o6jvg7",
        "rmfnesjlmawcl6fos2u7yxabr536jph375bcd15",
        "ikclt4nadfexymvwrstf7brptu5rpgn67fffffffffffffff",
    ),
    "voucher": (
        "5mtzewe6cecacsgtd3yzcziux3uhsdfw7",
        "j6xtxmzvwuyv73fxkdf3pfewpjua52gr75bcd15",
        "pyylgkrokl4srckjupnv6t4edsxsq2o77fffffffffffffff",
    ),
    "reply": (
        "s6radhqzh3ze6bmg3tkf2nilz2spvpxs7",
        "ulqstwfhalg3phyutj4vmwkq4shjj7bk75bcd15",
        "lkefh7v7shdgq2ogesfa4ieku3wly7dg7fffffffffffffff",
    ),
}
"""What stands in mails that left long ago."""


@pytest.mark.parametrize("purpose", PURPOSES)
def test_tokens_that_left_stay_valid(purpose: Purpose) -> None:
    """FACTS.md SEC-10: tokens never expire, so however they are made, their value never changes."""
    message_ids = (7, 123_456_789, 2**63 - 1)

    made = [make_token(SECRET, purpose, message_id) for message_id in message_ids]
    read = [read_token(SECRET, purpose, token) for token in IN_MAILS[purpose]]

    assert tuple(made) == IN_MAILS[purpose]
    assert tuple(read) == message_ids


def test_short_links_that_left_stay_valid() -> None:
    """A text that left leads to the row of its id: a second claim must find the same one."""
    assert link_id(SECRET, 7, "shop") == "yepsy54jwbhr5ppr"
    assert link_id(SECRET, 123_456_789, "voucher") == "vd3n5m6jac66mq5p"


@given(ids, st.sampled_from(PURPOSES), st.sampled_from(PURPOSES))
def test_a_token_is_bound_to_its_purpose(message_id: int, one: Purpose, other: Purpose) -> None:
    """FACTS.md SEC-10: an unsubscribe token cannot redeem, nor a reply token show a voucher."""
    token = make_token("secret", one, message_id)

    assert read_token("secret", other, token) == (message_id if one == other else None)


@given(ids, st.sampled_from(PURPOSES))
def test_survives_the_case_of_mail_systems(message_id: int, purpose: Purpose) -> None:
    """A reply address may come back in capitals; its local part holds 64 characters at most."""
    token = make_token("secret", purpose, message_id)

    assert read_token("secret", purpose, token.upper()) == message_id
    assert set(token) <= set(string.ascii_lowercase + string.digits)
    assert len(f"reply+{token}") <= 64


@given(ids, st.integers(min_value=0, max_value=31), st.sampled_from("abcdefgh234567"))
def test_a_changed_token_is_none(message_id: int, place: int, letter: str) -> None:
    """FACTS.md SEC-10: guessed or changed tokens are refused."""
    token = make_token("secret", "why", message_id)
    changed = token[:place] + letter + token[place + 1 :]

    assert (read_token("secret", "why", changed) is None) == (changed != token)
    assert read_token("other", "why", token) is None


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    """A hostile token is no error."""
    assert read_token("secret", "why", text) is None


def test_two_writings_of_an_id_are_not_both_taken() -> None:
    """Leading zeros would give one message many addresses."""
    token = make_token("secret", "why", 10)

    assert read_token("secret", "why", f"{token[:32]}0{token[32:]}") is None


def test_ids_of_links_are_stable_and_apart() -> None:
    """The second claim of a message gives the same rows; names and messages differ."""
    assert link_id("s", 1, "shop") == link_id("s", 1, "shop")
    assert len({link_id("s", 1, "shop"), link_id("s", 2, "shop"), link_id("s", 1, "why")}) == 3
