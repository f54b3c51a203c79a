"""What providers report, split for storing and read in our words."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winback.errors import ProviderError
from winback.providers.incoming import (
    Origin,
    ProviderEvent,
    message_id_prefixes,
    read_event,
    split_sendgrid_events,
    split_sendgrid_inbound,
    split_twilio_inbound,
    split_twilio_status,
)
from winback.states import EventKind, SuppressionReason

K = EventKind
S = SuppressionReason


def sendgrid(**fields: Any) -> ProviderEvent:
    """Read a SendGrid event with these fields."""
    return read_event(Origin.SENDGRID_EVENTS, fields)


def test_an_event_is_read_with_our_send_id() -> None:
    """SG-12, SG-29, SG-30: send id at the top level, epoch seconds, the sender's message id."""
    event = sendgrid(
        event="delivered",
        email="mary@example.com",
        timestamp=1772445600,
        response="250 OK",
        sg_message_id="abc.filter1.0",
        sg_event_id="e1",
        wb_send_id="send-1",
        category="concern",
    )

    assert event == ProviderEvent(
        kind=K.DELIVERED,
        send_id="send-1",
        provider_message_id="abc.filter1.0",
        address="mary@example.com",
        occurred_at=datetime(2026, 3, 2, 10, 0, tzinfo=UTC),
        code="delivered",
        reason="250 OK",
        extra={
            "event": "delivered",
            "category": "concern",
            "response": "250 OK",
            "sg_event_id": "e1",
        },
    )


@pytest.mark.parametrize(
    ("fields", "kind", "suppression"),
    [
        ({"event": "processed"}, K.ACCEPTED, None),
        ({"event": "deferred", "attempt": "3"}, K.DEFERRED, None),
        ({"event": "delivered"}, K.DELIVERED, None),
        ({"event": "open"}, K.OPENED, None),
        ({"event": "click", "url": "https://shop.example.com"}, K.CLICKED, None),
        ({"event": "spamreport"}, K.COMPLAINED, S.COMPLAINED),
        ({"event": "unsubscribe"}, K.UNSUBSCRIBED, S.UNSUBSCRIBED),
        ({"event": "group_unsubscribe", "asm_group_id": 1}, K.UNSUBSCRIBED, S.UNSUBSCRIBED),
        ({"event": "group_resubscribe"}, K.UNKNOWN, None),
        ({"event": "account_status_change"}, K.UNKNOWN, None),
        ({"event": None}, K.UNKNOWN, None),
        ({}, K.UNKNOWN, None),
    ],
)
def test_every_event_has_its_kind(
    fields: dict[str, Any], kind: EventKind, suppression: SuppressionReason | None
) -> None:
    """SG-19: every documented event, and unknown ones, which are kept and harm nothing."""
    event = sendgrid(**fields)

    assert (event.kind, event.suppression) == (kind, suppression)


@pytest.mark.parametrize(
    ("type_", "classification", "kind", "suppression"),
    [
        ("bounce", None, K.BOUNCED, S.BOUNCED),
        (None, None, K.BOUNCED, S.BOUNCED),
        ("bounce", "Invalid Address", K.BOUNCED, S.BOUNCED),
        ("bounce", "Unclassified", K.BOUNCED, S.BOUNCED),
        ("bounce", "Mailbox Unavailable", K.BOUNCED, None),
        ("bounce", "Reputation", K.BOUNCED, None),
        ("bounce", "Content", K.BOUNCED, None),
        ("blocked", None, K.BLOCKED, None),
        ("block", "Reputation", K.BLOCKED, None),
        ("expired", None, K.BLOCKED, None),
    ],
)
def test_a_block_is_no_bounce(
    type_: str | None,
    classification: str | None,
    kind: EventKind,
    suppression: SuppressionReason | None,
) -> None:
    """SG-19, SG-20: the message was refused, not the address; both words of the docs count."""
    event = sendgrid(event="bounce", type=type_, bounce_classification=classification)

    assert (event.kind, event.suppression) == (kind, suppression)
    assert event.alarm == ("refused: reputation" if classification == "Reputation" else "")


@pytest.mark.parametrize(
    ("reason", "suppression", "alarm"),
    [
        ("Unsubscribed Address", S.UNSUBSCRIBED, ""),
        ("Spam Reporting Address", S.COMPLAINED, ""),
        ("Bounced Address", S.BOUNCED, ""),
        ("Invalid", S.INVALID, ""),
        ("Recipient List over Package Quota", None, "dropped: package quota"),
        ("Invalid SMTPAPI header", None, "dropped: smtpapi"),
        ("Spam Content (if Spam Checker app enabled)", None, "dropped: spam content"),
        ("new: mary@example.com", None, "dropped for a reason that is not listed"),
    ],
)
def test_a_drop_says_why(reason: str, suppression: SuppressionReason | None, alarm: str) -> None:
    """SG-19: drops for the address suppress it; drops for the account alert an operator."""
    event = sendgrid(event="dropped", reason=reason)

    assert (event.kind, event.suppression) == (K.DROPPED, suppression)
    assert event.alarm == alarm


@pytest.mark.parametrize(
    ("said", "is_machine"),
    [(True, True), ("true", True), (False, False), ("false", False), (None, False)],
)
def test_a_machines_open_is_marked(said: object, *, is_machine: bool) -> None:
    """SG-19: an open by Apple's proxy is never engagement."""
    assert sendgrid(event="open", sg_machine_open=said).is_machine is is_machine


@pytest.mark.parametrize("stamp", ["soon", None, "nan", "inf", 1e30, -1e30, [], {}], ids=repr)
def test_a_timestamp_that_is_none_is_left_out(stamp: object) -> None:
    """The time of receipt stands in."""
    assert sendgrid(event="open", timestamp=stamp).occurred_at is None


def test_milliseconds_are_read_as_such() -> None:
    """A stand-in of others writes milliseconds where SendGrid writes seconds."""
    assert sendgrid(event="open", timestamp=1772445600000).occurred_at == datetime(
        2026, 3, 2, 10, 0, tzinfo=UTC
    )


def test_a_message_id_matches_by_prefix() -> None:
    """SG-11: X-Message-Id may itself hold dots; equality alone would miss both kinds."""
    assert "14c5d75ce93.dfd.64b469" in message_id_prefixes(
        "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0"
    )
    assert message_id_prefixes("abc.x") == ("abc.x", "abc")


def test_one_bad_element_does_not_lose_the_others() -> None:
    """SG-21: text, numbers and null among events are kept as what they are."""
    raws = split_sendgrid_events(
        b'[{"event":"open","sg_event_id":"e1"}, 7, null, "x", {"event":"click"}]'
    )

    assert raws[0].key == "sendgrid.events:e1"
    assert len({raw.key for raw in raws}) == 5
    assert [read_event(raw.origin, raw.body).kind for raw in (raws[0], raws[4])] == [
        K.OPENED,
        K.CLICKED,
    ]
    for bad in raws[1:4]:
        with pytest.raises(ProviderError):
            read_event(bad.origin, bad.body)


def test_a_replay_has_the_same_keys() -> None:
    """SG-22: sg_event_id, and the hash of the element where it is absent or absurd."""
    batch = [
        {"event": "open", "sg_event_id": "e1"},
        {"event": "open", "sg_event_id": "x" * 101},
        {"event": "open", "sg_event_id": 5},
        {"event": "open", "big": 10**40},
    ]

    first = split_sendgrid_events(json.dumps(batch).encode())
    again = split_sendgrid_events(json.dumps(batch[::-1], sort_keys=True, indent=1).encode())

    assert {raw.key for raw in first} == {raw.key for raw in again}
    assert len({raw.key for raw in first}) == 4
    assert all(len(raw.key) <= 128 for raw in first)


@given(st.binary(max_size=200))
def test_no_signed_body_is_ever_lost(body: bytes) -> None:
    """SG-32: whatever stands in a signed body is kept, in words that a database takes."""
    for raw in (
        *split_sendgrid_events(body),
        *split_twilio_status(body, url="https://win.example.com/t?send_id=%00a"),
        *split_twilio_inbound(body),
        *split_sendgrid_inbound(body, content_type="multipart/form-data; boundary=x"),
    ):
        written = json.dumps(raw.body, ensure_ascii=False)
        assert len(raw.key) <= 128
        assert written.encode()
        assert "\\u0000" not in written


@pytest.mark.parametrize(
    "body", [b'[{"event":"a\\u0000b","x":"\\ud800","n":NaN}]', b"[" * 100_000, b"\xff", b""]
)
def test_a_body_that_a_database_would_refuse_is_cleaned(body: bytes) -> None:
    """NUL, lone surrogates, NaN and endless nesting poison nothing."""
    (raw,) = split_sendgrid_events(body)

    written = json.dumps(raw.body, allow_nan=False, ensure_ascii=False)
    assert written.encode()
    assert "\\u0000" not in written


def status(query: str = "?send_id=send-2", **form: str) -> ProviderEvent:
    """Split and read a Twilio status callback."""
    (raw,) = split_twilio_status(
        urlencode({"MessageSid": "SM1", **form}).encode(), url=f"https://win.example.com/t{query}"
    )
    return read_event(raw.origin, raw.body)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("accepted", K.ACCEPTED),
        ("scheduled", K.ACCEPTED),
        ("queued", K.ACCEPTED),
        ("sending", K.ACCEPTED),
        ("sent", K.ACCEPTED),
        ("delivered", K.DELIVERED),
        ("undelivered", K.FAILED),
        ("failed", K.FAILED),
        ("canceled", K.FAILED),
        ("read", K.DELIVERED),
        ("partially_delivered", K.ACCEPTED),
        ("receiving", K.UNKNOWN),
        ("received", K.UNKNOWN),
        ("brand_new", K.UNKNOWN),
    ],
)
def test_every_status_has_its_kind(word: str, kind: EventKind) -> None:
    """TW-11, TW-16: sent is not delivered, and an unknown status is kept."""
    event = status(MessageStatus=word)

    assert (event.kind, event.send_id, event.provider_message_id) == (kind, "send-2", "SM1")


@pytest.mark.parametrize(
    ("code", "suppression", "alarm"),
    [
        ("30005", S.INVALID, ""),
        ("21610", S.STOPPED, ""),
        ("30003", None, ""),
        ("30007", None, "30007 filtered by the carrier"),
        ("30034", None, "30034 number not registered for US texts"),
        ("99999", None, "99999 unlisted code"),
        ("x", None, "failed without a readable code"),
    ],
)
def test_a_failed_text_says_why(
    code: str, suppression: SuppressionReason | None, alarm: str
) -> None:
    """TW-17: the table decides; an unlisted code suppresses nobody and is shown."""
    event = status(MessageStatus="undelivered", ErrorCode=code)

    assert (event.kind, event.code) == (K.FAILED, code)
    assert (event.suppression, event.alarm) == (suppression, alarm)


def test_a_blocked_text_may_be_a_no() -> None:
    """TW-17, 30004: no more than perhaps, so it suppresses nobody by itself and asks a person."""
    blocked = status(MessageStatus="undelivered", ErrorCode="30004")

    assert (blocked.may_be_a_no, blocked.suppression) == (True, None)
    assert not status(MessageStatus="undelivered", ErrorCode="30007").may_be_a_no
    assert not status(MessageStatus="sent", ErrorCode="30004").may_be_a_no


def test_a_status_is_kept_once_per_sid_and_status() -> None:
    """TW-31: the same status again is the same record; another status is another."""
    keys = [
        split_twilio_status(body, url="https://x.example.com/t")[0].key
        for body in (
            b"MessageSid=SM1&MessageStatus=sent",
            b"MessageStatus=sent&MessageSid=SM1&New=1",
            b"MessageSid=SM1&MessageStatus=delivered",
            b"SmsSid=SM1&SmsStatus=sent",
        )
    ]

    assert keys == ["twilio.status:SM1:sent"] * 2 + [
        "twilio.status:SM1:delivered",
        "twilio.status:SM1:sent",
    ]


def text(**form: str) -> ProviderEvent:
    """Split and read an inbound text."""
    (raw,) = split_twilio_inbound(
        urlencode({"MessageSid": "SM9", "From": "+12015550123", **form}).encode()
    )
    assert raw.key == "twilio.inbound:SM9"
    return read_event(raw.origin, raw.body)


@pytest.mark.parametrize(
    ("form", "kind", "code"),
    [
        ({"Body": " stop please "}, K.REPLIED, ""),
        ({"Body": "whatever", "OptOutType": "STOP"}, K.UNSUBSCRIBED, "STOP"),
        ({"Body": "start", "OptOutType": "START"}, K.REPLIED, "START"),
        ({"Body": "stop it, I need help", "OptOutType": "HELP"}, K.REPLIED, "HELP"),
    ],
)
def test_the_opt_out_type_is_obeyed_before_words(
    form: dict[str, str], kind: EventKind, code: str
) -> None:
    """TW-21: what Twilio understood stands; where it says nothing, our matcher reads the words."""
    event = text(**form)

    assert (event.kind, event.code, event.text) == (kind, code, form["Body"])
    assert event.address == "+12015550123"
    assert (event.suppression is S.STOPPED) is (kind is K.UNSUBSCRIBED)


BOUNDARY = "xYzZY"


def parse_post(**fields: bytes) -> list[Any]:
    """Split an inbound mail posted with these fields."""
    parts = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
        % (BOUNDARY.encode(), name.replace("_", "-").encode(), value)
        for name, value in fields.items()
    )
    parts += (
        b'--%s\r\nContent-Disposition: form-data; name="attachment1"; filename="a.pdf"\r\n'
        b"Content-Type: application/pdf\r\n\r\n%%PDF\r\n--%s--\r\n"
        % (BOUNDARY.encode(), BOUNDARY.encode())
    )
    return split_sendgrid_inbound(parts, content_type=f"multipart/form-data; boundary={BOUNDARY}")


def test_a_reply_is_read_in_its_charsets() -> None:
    """SG-31: each field in its own charset; an unknown charset loses nothing but its letters."""
    (raw,) = parse_post(
        charsets=json.dumps(
            {"text": "iso-8859-1", "subject": "shift_jis", "from": "klingon"}
        ).encode(),
        text="Café, danke schön".encode("iso-8859-1"),
        subject="ありがとう".encode("shift_jis"),
        headers=b"From: Mary <mary@example.com>\nAuto-Submitted: auto-replied\n",
        envelope=b'{"to":["reply+tok@reply.example.com"],"from":""}',
        **{"from": b"Mary <mary@example.com>"},
    )

    event = read_event(raw.origin, raw.body)

    assert (event.kind, event.address) == (K.REPLIED, "mary@example.com")
    assert event.text == "Café, danke schön"
    assert event.extra["subject"] == "ありがとう"
    assert event.extra["to"] == ["reply+tok@reply.example.com"]
    assert event.extra["envelope_from"] == ""
    assert event.extra["headers"]["auto-submitted"] == "auto-replied"
    assert event.extra["attachment_names"] == ["a.pdf"]


def test_a_reply_that_came_raw_is_read() -> None:
    """SG-31: with "send raw" the whole mail stands in one field."""
    mail = (
        "From: Mary <mary@example.com>\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\n"
        "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nDanke schön"
    ).encode("iso-8859-1")

    (raw,) = parse_post(email=mail, envelope=b'{"to":["r@reply.example.com"]}')
    event = read_event(raw.origin, raw.body)

    assert (event.address, event.text) == ("mary@example.com", "Danke schön")
    assert event.extra["subject"] == "Café"


def test_a_reply_in_html_only_gives_its_words() -> None:
    """Without a text part the words of the HTML count, without style and script."""
    (raw,) = parse_post(
        html=b"<style>p{}</style><div>Please <b>stop</b></div><p>Mary</p><script>x()</script>"
    )

    assert read_event(raw.origin, raw.body).text == "Please stop\nMary"


def test_a_retried_reply_is_the_same_record() -> None:
    """Scores may differ between two tries of one mail; the mail does not."""
    first = parse_post(text=b"Hello", headers=b"Message-ID: <1>", spam_score=b"1")
    again = parse_post(text=b"Hello", headers=b"Message-ID: <1>", spam_score=b"2")
    other = parse_post(text=b"Hello", headers=b"Message-ID: <2>", spam_score=b"1")

    assert first[0].key == again[0].key != other[0].key


def test_a_reply_that_is_no_form_is_a_dead_letter() -> None:
    """A body of another kind is kept, and told apart when it is read."""
    (raw,) = split_sendgrid_inbound(b"{}", content_type="application/json")

    with pytest.raises(ProviderError):
        read_event(raw.origin, raw.body)
