"""Forged, stale and altered webhooks are refused, all in the same words."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from winback.errors import CallbackRejected, ProviderConfigError
from winback.providers.signatures import sign_twilio, verify_sendgrid, verify_twilio

# From the public test suite of sendgrid/sendgrid-python, test/unit/test_eventwebhook.py (MIT).
VECTOR: dict[str, Any] = json.loads(
    (Path(__file__).parent / "sendgrid_signed_event.json").read_text(encoding="utf-8")
)
SIGNED_AT = datetime.fromtimestamp(int(VECTOR["timestamp"]), UTC)
URL = "https://win.example.com/webhooks/twilio/status?send_id=a%20b&x="
FORM = [
    ("MessageSid", "SM1"),
    ("MessageStatus", "delivered"),
    ("Body", "  Hé & you  "),
    ("Empty", ""),
    ("To", "+12015550123"),
    ("NewlyAdded", "1"),
]
BODY = urlencode(FORM).encode()


def check_vector(now: datetime = SIGNED_AT, **changes: str) -> None:
    """Verify the vector with some of its inputs changed."""
    given_values = {
        **{name: VECTOR[name] for name in ("public_key", "signature", "timestamp", "payload")},
        **changes,
    }
    verify_sendgrid(
        {
            "X-Twilio-Email-Event-Webhook-Signature": given_values["signature"],
            "X-Twilio-Email-Event-Webhook-Timestamp": given_values["timestamp"],
        },
        given_values["payload"].encode(),
        keys=[given_values["public_key"]],
        now=now,
    )


def test_the_vendors_own_vector_verifies() -> None:
    """SG-26: the published vector, whose body ends in a line break that is signed."""
    assert VECTOR["payload"].endswith("\r\n")

    check_vector()


@pytest.mark.parametrize("name", ["public_key", "signature", "timestamp", "payload"])
def test_one_wrong_input_is_refused(name: str) -> None:
    """SG-26: key, signature, timestamp and body all count."""
    with pytest.raises(CallbackRejected):
        check_vector(**{name: VECTOR["wrong"][name]})
    with pytest.raises(CallbackRejected):
        check_vector(timestamp=str(int(VECTOR["timestamp"]) + 1))


def test_a_body_that_was_parsed_and_written_again_is_refused() -> None:
    """SG-26: the signature covers the raw bytes; this is the commonest failure of receivers."""
    with pytest.raises(CallbackRejected):
        check_vector(payload=json.dumps(json.loads(VECTOR["payload"])))


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"X-Twilio-Email-Event-Webhook-Timestamp": VECTOR["timestamp"]}, id="time"),
        pytest.param(
            {
                "X-Twilio-Email-Event-Webhook-Timestamp": VECTOR["timestamp"],
                "X-Twilio-Email-Event-Webhook-Signature": "not base64!",
            },
            id="base64",
        ),
        pytest.param(
            {
                "X-Twilio-Email-Event-Webhook-Timestamp": VECTOR["timestamp"],
                "X-Twilio-Email-Event-Webhook-Signature": "AAAA",
            },
            id="no DER",
        ),
        pytest.param(
            {
                "X-Twilio-Email-Event-Webhook-Timestamp": "9" * 400,
                "X-Twilio-Email-Event-Webhook-Signature": VECTOR["signature"],
            },
            id="absurd time",
        ),
    ],
)
def test_every_cause_gives_the_same_answer(headers: dict[str, str]) -> None:
    """SG-27: missing headers, broken Base64 and a wrong signature are not told apart."""
    with pytest.raises(CallbackRejected) as caught:
        verify_sendgrid(
            headers, VECTOR["payload"].encode(), keys=[VECTOR["public_key"]], now=SIGNED_AT
        )

    assert str(caught.value) == "the webhook is not signed as it should be"


@pytest.mark.parametrize(
    ("later", "is_fresh"),
    [
        (timedelta(hours=24, minutes=5), True),
        (timedelta(hours=24, minutes=5, seconds=1), False),
        (timedelta(minutes=-5), True),
        (timedelta(minutes=-5, seconds=-1), False),
    ],
)
def test_a_signature_ages(later: timedelta, *, is_fresh: bool) -> None:
    """SG-27: 24 hours and the skew of two clocks, both ends inclusive."""
    if is_fresh:
        check_vector(now=SIGNED_AT + later)
        return
    with pytest.raises(CallbackRejected):
        check_vector(now=SIGNED_AT + later)


def test_any_of_several_keys_will_do() -> None:
    """SG-28: old and new keys overlap during a rotation; with no key nothing verifies."""
    headers = {
        "x-twilio-email-event-webhook-signature": VECTOR["signature"],
        "x-twilio-email-event-webhook-timestamp": VECTOR["timestamp"],
    }
    body, keys = VECTOR["payload"].encode(), [VECTOR["wrong"]["public_key"], VECTOR["public_key"]]

    verify_sendgrid(headers, body, keys=keys, now=SIGNED_AT)
    with pytest.raises(CallbackRejected):
        verify_sendgrid(headers, body, keys=[], now=SIGNED_AT)


def test_a_key_that_is_none_is_a_mistake_in_the_configuration() -> None:
    """A wrong paste is told to the operator, not hidden as a forged webhook."""
    with pytest.raises(ProviderConfigError, match="SENDGRID_WEBHOOK_KEYS"):
        check_vector(public_key=b64encode(b"no key").decode())


TOKEN = "token"


def signed(url: str = URL, token: str = TOKEN) -> dict[str, str]:
    """Give the headers of a request that Twilio's own package signed."""
    signature: str = RequestValidator(token).compute_signature(url, dict(FORM))
    return {"X-Twilio-Signature": signature}


def test_a_twilio_form_verifies() -> None:
    """TW-15, TW-28: unknown, empty and padded fields count, and the query as it came."""
    verify_twilio(signed(), BODY, url=URL, tokens=["token"])


@pytest.mark.parametrize(
    ("url", "body", "tokens"),
    [
        pytest.param(URL.replace("a%20b", "other"), BODY, ["token"], id="another send id"),
        pytest.param(URL.replace("https", "http"), BODY, ["token"], id="behind a proxy"),
        pytest.param(URL.split("?", maxsplit=1)[0], BODY, ["token"], id="query dropped"),
        pytest.param(URL.replace("status?", "status/?"), BODY, ["token"], id="trailing slash"),
        pytest.param(URL.replace("a%20b", "a+b"), BODY, ["token"], id="encoded anew"),
        pytest.param(URL, BODY.replace(b"delivered", b"failed"), ["token"], id="body"),
        pytest.param(URL, BODY.replace(b"Empty=&", b""), ["token"], id="empty field lost"),
        pytest.param(URL, BODY.replace(b"++H", b"H"), ["token"], id="spaces trimmed"),
        pytest.param(URL, b"\xff\xfe", ["token"], id="no UTF-8"),
        pytest.param(URL, BODY, ["other"], id="token"),
        pytest.param(URL, BODY, [], id="no token"),
        pytest.param(URL.replace(".com/", ".com:x/"), BODY, ["token"], id="absurd port"),
    ],
)
def test_an_altered_twilio_request_is_refused(url: str, body: bytes, tokens: list[str]) -> None:
    """TW-28: the public URL and every pair of the form are covered."""
    with pytest.raises(CallbackRejected):
        verify_twilio(signed(), body, url=url, tokens=tokens)


@pytest.mark.parametrize("header", [{}, {"X-Twilio-Signature": ""}, {"X-Twilio-Signature": "é"}])
def test_a_missing_twilio_signature_is_refused(header: dict[str, str]) -> None:
    """SEC-1: unsigned is refused."""
    with pytest.raises(CallbackRejected):
        verify_twilio(header, BODY, url=URL, tokens=["token"])


def test_the_old_token_still_verifies_during_a_rotation() -> None:
    """TW-29: two tokens for a time."""
    verify_twilio(signed(token="old"), BODY, url=URL, tokens=["new", "old"])


@pytest.mark.parametrize(
    ("signed_url", "seen_url"),
    [
        ("https://win.example.com/t", "https://win.example.com:443/t"),
        ("https://win.example.com:443/t", "https://win.example.com/t"),
        ("http://win.example.com:80/t", "http://win.example.com/t"),
        ("https://win.example.com/t", "https://win.example.com:8443/t"),
        ("https://win.example.com:8443/t", "https://win.example.com:8443/t"),
        ("http://[::1]:8484/t", "http://[::1]:8484/t"),
    ],
)
def test_twilio_may_sign_with_or_without_the_port(signed_url: str, seen_url: str) -> None:
    """TW-28: an explicit port."""
    verify_twilio(signed(signed_url), BODY, url=seen_url, tokens=["token"])


def test_a_json_body_counts_by_its_hash() -> None:
    """TW-27: with bodySHA256 in the query the URL is signed alone, and the hash covers the body."""
    body = b'{"a": 1}'
    url = f"https://win.example.com/t?bodySHA256={sha256(body).hexdigest()}"
    headers = {"X-Twilio-Signature": sign_twilio(url, [], token="token")}

    verify_twilio(headers, body, url=url, tokens=["token"])
    with pytest.raises(CallbackRejected):
        verify_twilio(headers, body + b" ", url=url, tokens=["token"])


PAIRS = st.lists(st.tuples(st.sampled_from(["A", "B", "AB", "b"]), st.text(max_size=5)))


@given(PAIRS)
def test_we_sign_as_twilios_package_does(pairs: list[tuple[str, str]]) -> None:
    """Repeated keys and any order: the same signature as the vendor's own."""

    class Repeating(dict[str, list[str]]):
        """A form with repeated names, as the package expects it."""

        def getall(self, name: str) -> list[str]:
            return self[name]

    form = Repeating()
    for name, value in pairs:
        form.setdefault(name, []).append(value)

    theirs = RequestValidator("token").compute_signature(URL, form)

    assert sign_twilio(URL, pairs, token="token") == theirs
