"""Tokens of the public links: signed, bound to one purpose, never expiring (FACTS.md SEC-10).

A token is 160 bits of HMAC-SHA256 over (purpose, message), keyed by the installation's secret,
followed by the message's id. It names recipient and list without holding an address (LAW-15),
and is lower-case base32 and hex throughout, since mail systems may change the case of the local
part of a reply address.
"""

import base64
import hashlib
import hmac
import re
from functools import lru_cache
from typing import Final, Literal

from itsdangerous import Signer

Purpose = Literal["unsubscribe", "why", "voucher", "reply"]
_SIGNATURE_LENGTH: Final = 32
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
    signed = hmac.digest(_key(secret, "link"), f"{message_id}:{name}".encode(), "sha256")
    return base64.b32encode(signed[:10]).decode("ascii").lower()


def _signature(secret: str, purpose: str, message_id: int) -> str:
    # By its name: given as a function, it would be looked up anew each time.
    signed = hmac.digest(_key(secret, purpose), str(message_id).encode("ascii"), "sha256")
    return base64.b32encode(signed[:20]).decode("ascii").lower()[:_SIGNATURE_LENGTH]


@lru_cache(maxsize=64)
def _key(secret: str, purpose: str) -> bytes:
    signer = Signer(
        secret, salt=f"winback.{purpose}", key_derivation="hmac", digest_method=hashlib.sha256
    )
    return signer.derive_key()
