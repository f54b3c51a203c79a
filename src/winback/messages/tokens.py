"""Tokens of the public links: signed, bound to one purpose, never expiring (FACTS.md SEC-10).

A token is 160 bits of HMAC-SHA256 over (purpose, message), keyed by the installation's secret,
followed by the message's id. It names recipient and list without holding an address (LAW-15),
and is lower-case base32 and hex throughout, since mail systems may change the case of the local
part of a reply address.
"""

import hashlib
import hmac
import re
from functools import lru_cache
from typing import Final, Literal

from itsdangerous import Signer

Purpose = Literal["unsubscribe", "why", "voucher", "reply"]
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS: Final = [one + other for one in _LETTERS for other in _LETTERS]
"""What base32 writes for each ten bits."""
_TOKEN: Final = re.compile(r"([a-z2-7]{32})([0-9a-f]{1,16})")


def make_token(secret: str, purpose: Purpose, message_id: int) -> str:
    """Make the token that lets its bearer do one thing about one message."""
    return f"{_signature(secret, purpose, message_id)}{message_id:x}"


def read_token(secret: str, purpose: Purpose, token: str) -> int | None:
    """Give the message's id, or None for a token that is not ours or is for something else."""
    found = _TOKEN.fullmatch(token.lower())
    if found is None or (found[2] != "0" and found[2].startswith("0")):
        return None
    message_id = int(found[2], 16)
    known = _signature(secret, purpose, message_id)
    return message_id if hmac.compare_digest(known, found[1]) else None


def link_id(secret: str, message_id: int, name: str) -> str:
    """Give the unguessable id of one short link of one message: the same whenever asked."""
    return _base32(_signed(secret, "link", f"{message_id}:{name}")[:10])


def _signature(secret: str, purpose: str, message_id: int) -> str:
    return _base32(_signed(secret, purpose, str(message_id))[:20])


def _signed(secret: str, purpose: str, text: str) -> bytes:
    signing = _keyed(secret, purpose).copy()
    signing.update(text.encode())
    return signing.digest()


@lru_cache(maxsize=64)
def _keyed(secret: str, purpose: str) -> hmac.HMAC:
    """Give what signs for one purpose: keyed once, only copied, never fed itself."""
    signer = Signer(
        secret, salt=f"winback.{purpose}", key_derivation="hmac", digest_method=hashlib.sha256
    )
    return hmac.new(signer.derive_key(), digestmod="sha256")


def _base32(signed: bytes) -> str:
    # Two letters at a time; the standard library's own is slower, and its letters are capitals.
    number = int.from_bytes(signed)
    return "".join([_PAIRS[number >> at & 1023] for at in range(len(signed) * 8 - 10, -1, -10)])
