"""Webhooks: signed or refused, stored before the answer, applied right after."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.web.served import TOKEN, Served, TestClient
from winback.business import Business
from winback.clock import SetClock
from winback.errors import ConfigError
from winback.states import Mode
from winback.web.app import WebhookKeys, make_app
from winback.web.webhooks import EVENTS_LIMIT, NO_ANSWER

EVENTS = "/webhooks/sendgrid/events"
INBOUND = "/webhooks/twilio/inbound"
BATCH = b'[{"event": "open",\r\n "sg_event_id": "e1", "timestamp": 1772445600}]\r\n'


def test_a_signed_batch_is_stored_and_applied(client: TestClient, served: Served) -> None:
    """FACTS.md SG-21, DS-13: stored raw, answered, applied in the same process."""
    answer = client.post(EVENTS, content=BATCH, headers=served.signed(BATCH))
    assert answer.status_code == 200
    (event,) = served.shop.events()
    assert (event.state, event.origin, event.body["sg_event_id"]) == (
        "applied",
        "sendgrid.events",
        "e1",
    )


def test_a_replayed_batch_is_stored_once(client: TestClient, served: Served) -> None:
    """FACTS.md SG-22."""
    for _ in range(2):
        assert client.post(EVENTS, content=BATCH, headers=served.signed(BATCH)).is_success
    assert len(served.shop.events()) == 1


def test_a_body_written_again_fails(client: TestClient, served: Served) -> None:
    """FACTS.md SG-26: the signature is over the bytes, closing CR LF included."""
    rewritten = json.dumps(json.loads(BATCH)).encode()
    for body in (rewritten, BATCH.rstrip(), BATCH + b" "):
        assert client.post(EVENTS, content=body, headers=served.signed(BATCH)).status_code == 403
    assert served.shop.events() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Twilio-Email-Event-Webhook-Signature": "%%%"},
        {"X-Twilio-Email-Event-Webhook-Signature": "AAAA"},
        {"X-Twilio-Email-Event-Webhook-Timestamp": "1"},
        {"X-Twilio-Email-Event-Webhook-Timestamp": "never"},
    ],
)
def test_every_cause_gets_the_same_403(
    client: TestClient, served: Served, headers: dict[str, str]
) -> None:
    """FACTS.md SG-27: missing, malformed, wrong and old look alike, and tell nothing."""
    signed = served.signed(BATCH) | headers if headers else {}
    answer = client.post(EVENTS, content=BATCH, headers=signed)
    assert (answer.status_code, answer.content) == (403, b"")
    assert served.shop.events() == []


def test_a_refusal_is_told_once_a_minute_and_names_nobody(
    client: TestClient, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """DESIGN.md P11: logged without personal data; a flood is one line, which counts it."""
    body = b'[{"event": "open", "email": "ann1@example.com"}]'
    foreign = served.signed(BATCH)
    began = served.clock.now()
    for seconds in (0, 1, 59, 60, 61):
        served.clock.set_to(began + timedelta(seconds=seconds))
        assert client.post(EVENTS, content=body, headers=foreign).status_code == 403
    assert client.post(f"{INBOUND}?x=ann1@example.com", content=body).status_code == 403
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.split(":")[0] for line in told] == [
        f"refused at {EVENTS}, 1 since the last such line",
        f"refused at {EVENTS}, 3 since the last such line",
        f"refused at {INBOUND}, 1 since the last such line",
    ]
    assert "not signed with our key; if it was the provider, check SENDGRID_WEBHOOK_KEYS" in told[0]
    assert "no signature that can be read" in told[2]
    said_by_the_caller = ("ann1", *foreign.values())
    assert not any(said in line for line in told for said in said_by_the_caller)


def test_an_old_webhook_is_told_from_a_foreign_one(
    client: TestClient, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """FACTS.md SG-27: the caller learns nothing, the operator that a clock may be wrong."""
    headers = served.signed(BATCH)
    served.clock.set_to(served.clock.now() + timedelta(days=2))
    answer = client.post(EVENTS, content=BATCH, headers=headers)
    assert (answer.status_code, answer.content) == (403, b"")
    assert "signed too long ago" in caplog.text


def test_a_body_that_is_too_large_is_refused(client: TestClient, served: Served) -> None:
    """Two megabytes of events are more than SendGrid ever posts."""
    body = b"[" + b" " * EVENTS_LIMIT + b"]"
    assert client.post(EVENTS, content=body, headers=served.signed(body)).status_code == 413


def test_an_unknown_event_and_a_broken_one_are_kept_and_answered(
    client: TestClient, served: Served
) -> None:
    """FACTS.md SG-19, SG-21: one bad element does not lose the others."""
    body = b'[{"event": "brand_new", "sg_event_id": "a"}, 7, {"event": "open", "sg_event_id": "b"}]'
    assert client.post(EVENTS, content=body, headers=served.signed(body)).status_code == 200
    assert sorted(event.state for event in served.shop.events()) == ["applied", "applied", "dead"]


def test_a_text_that_says_stop_takes_effect_at_once(client: TestClient, served: Served) -> None:
    """FACTS.md LAW-3, TW-22: suppressed when the answer is out, and no reply of our own."""
    enrollment_id, _ = served.shop.written()
    form = {"MessageSid": "SM1", "From": "+447911100001", "Body": " Stop please ", "To": ""}
    answer = client.post(INBOUND, data=form, headers=served.texted(INBOUND, form))
    assert (answer.status_code, answer.text) == (200, NO_ANSWER)
    assert answer.headers["content-type"].startswith("text/xml")
    assert served.shop.state(enrollment_id) == "suppressed"


def test_twilio_signs_our_public_url_and_not_the_host_header(
    client: TestClient, served: Served
) -> None:
    """FACTS.md TW-28: the proxy ends TLS; the query counts as it came, percent signs included."""
    path = "/webhooks/twilio/status?send_id=a%2Bb&x=%20"
    form = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    headers = served.texted(path, form) | {"Host": "evil.example.com", "X-Forwarded-Host": "x"}
    assert client.post(path, data=form, headers=headers).status_code == 204
    assert served.shop.events()[0].body["wb_send_id"] == "a+b"
    forged = client.post(path.replace("a%2Bb", "c"), data=form, headers=headers)
    assert (forged.status_code, forged.content) == (403, b"")


def test_a_mail_reply_is_taken_as_a_signed_form(client: TestClient, served: Served) -> None:
    """FACTS.md SG-31, SG-33, SG-36."""
    enrollment_id, message = served.shop.written()
    served.tick()
    token = served.token("reply", message.id)
    parts = {
        "from": "Ann <ann1@example.com>",
        "subject": "Re: hello",
        "text": "<script>alert(1)</script> I would like to know more",
        "headers": "",
        "envelope": json.dumps({"to": [f"reply+{token}@reply.example.com"], "from": "a@b.c"}),
    }
    body = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in parts.items()
    )
    body += b"--b--\r\n"
    headers = served.signed(body) | {"Content-Type": "multipart/form-data; boundary=b"}
    assert client.post("/webhooks/sendgrid/inbound", content=body).status_code == 403
    assert client.post("/webhooks/sendgrid/inbound", content=body, headers=headers).is_success
    assert served.shop.state(enrollment_id) == "handed_over"


def test_an_error_after_the_answer_loses_nothing(served: Served) -> None:
    """The events are committed; the respond stage applies them."""
    served.shop.written()
    app = make_app(
        served.shop.business,
        webhook_keys=WebhookKeys(twilio_tokens=(TOKEN,)),
        clock=served.clock,
        public_url="https://win.example.com",
        applies_at_once=False,
    )
    form = {"MessageSid": "SM1", "From": "+447911100001", "Body": "stop"}
    with TestClient(app) as client:
        assert client.post(INBOUND, data=form, headers=served.texted(INBOUND, form)).is_success
    assert [event.state for event in served.shop.events()] == ["received"]
    assert served.shop.respond().suppressed == 1


def test_mode_live_does_not_start_with_an_open_door(business: Business, now: datetime) -> None:
    """FACTS.md SEC-1, SG-33: the sentence names what to set."""
    live = business.settings.model_copy(update={"mode": Mode.LIVE})
    business = replace(business, settings=live)
    clock = SetClock(now)
    with pytest.raises(ConfigError, match=r"SENDGRID_WEBHOOK_KEYS.*SENDGRID_PARSE_KEYS.*TWILIO"):
        make_app(business, webhook_keys=WebhookKeys(), clock=clock)
    assert "secret" not in repr(WebhookKeys(twilio_tokens=("secret",)))


def test_health_says_that_the_database_answers(client: TestClient) -> None:
    """For a load balancer: no data, no history."""
    answer = client.get("/health")
    assert answer.json() == {"database": "ok", "version": answer.json()["version"]}
