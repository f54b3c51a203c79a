"""The secrets of one pair of stand-ins, made anew at each start or from a seed."""

from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from random import Random

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an account has at SendGrid and at Twilio; secrets are left out when printed."""

    account_sid: str
    api_key: str = field(repr=False)
    auth_token: str = field(repr=False)
    webhook_key: str
    """The public key of the event webhook, as SendGrid shows it: Base64 DER."""
    parse_webhook_key: str
    """The public key of the inbound mail webhook: Base64 DER."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What SendGrid keeps for itself: the private keys of the two webhooks."""

    event_key: ec.EllipticCurvePrivateKey = field(repr=False)
    parse_key: ec.EllipticCurvePrivateKey = field(repr=False)


def make_credentials(rng: Random) -> tuple[Credentials, SigningKeys]:
    """Make the secrets of one pair of stand-ins: the account's, and the providers' own."""
    account_sid = "AC" + hexadecimal(rng, 32)
    api_key = f"SG.{letters(rng, 22)}.{letters(rng, 43)}"
    auth_token = hexadecimal(rng, 32)
    keys = SigningKeys(event_key=_private(rng), parse_key=_private(rng))
    own = Credentials(
        account_sid=account_sid,
        api_key=api_key,
        auth_token=auth_token,
        webhook_key=_public(keys.event_key),
        parse_webhook_key=_public(keys.parse_key),
    )
    return own, keys


def hexadecimal(rng: Random, length: int) -> str:
    """Give that many hexadecimal digits."""
    return f"{rng.getrandbits(4 * length):0{length}x}"


def letters(rng: Random, length: int) -> str:
    """Give that many letters of Base64url."""
    # One draw for all: the system's generator costs a system call per draw.
    return urlsafe_b64encode(rng.randbytes(length)).decode()[:length]


def _private(rng: Random) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(rng.getrandbits(250) + 1, ec.SECP256R1())


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    written = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(written).decode()
