"""The links of one message: built from tokens, shortened for texts (FACTS.md SEC-13, TW-10)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from winback.messages.tokens import link_id, make_token
from winback.states import Reason

Links = dict[str, str | dict[str, str] | None]
"""What templates see as ``links``."""

SHORTENED: Final = ("shop", "voucher", "why", "unsubscribe")
_REASONS: Final = tuple(sorted(reason.value for reason in Reason))


@dataclass(frozen=True, slots=True)
class ShortLink:
    """One row of the ``links`` table: the target behind ``/l/ID``."""

    id: str
    message_id: int
    url: str


def build_links(secret: str, base_url: str, *, message_id: int, website: str | None) -> Links:
    """Give the full links of one message, as mails carry them.

    ``shop`` and ``referral`` are the business's website, and None where it has none. Reasons are
    the answer page with the reason chosen; it acts only when its button is pressed.
    """
    why = f"{base_url}/why/{make_token(secret, 'why', message_id)}"
    return {
        "reasons": reason_links(why, _REASONS),
        "referral": website,
        "shop": website,
        "unsubscribe": f"{base_url}/u/{make_token(secret, 'unsubscribe', message_id)}",
        "voucher": f"{base_url}/v/{make_token(secret, 'voucher', message_id)}",
        "why": why,
    }


def reason_links(why: str, reasons: Iterable[str]) -> dict[str, str]:
    """Give the answer page with each reason chosen; a reason is a word that needs no quoting."""
    return {reason: f"{why}?reason={reason}" for reason in reasons}


def short_links(
    secret: str, base_url: str, *, message_id: int, links: Links
) -> tuple[Links, tuple[ShortLink, ...]]:
    """Give the links of a text, short and on our own domain, and the rows that resolve them.

    Ids come from the secret, so a second claim of the same message gives the same rows: insert
    them with ON CONFLICT DO NOTHING. Reasons are tapped in mails and stay long.
    """
    short: Links = dict(links)
    rows: list[ShortLink] = []
    for name in SHORTENED:
        target = links.get(name)
        if isinstance(target, str):
            row = ShortLink(link_id(secret, message_id, name), message_id, target)
            rows.append(row)
            short[name] = f"{base_url}/l/{row.id}"
    return short, tuple(rows)


def reply_address(secret: str, reply_domain: str, *, message_id: int) -> str:
    """Give the address that replies to one message go to."""
    return f"reply+{make_token(secret, 'reply', message_id)}@{reply_domain}"
