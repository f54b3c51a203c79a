"""The public pages: nothing happens on a GET, one POST is enough, nobody learns anything."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from tests.web.served import Served, TestClient
from winback.database.tables import Customer, Link, Message, Voucher
from winback.states import Channel, VoucherState
from winback.web.clicks import is_plain_target

MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click"),
        ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click\r\n"),
        ("application/x-www-form-urlencoded; charset=utf-8", b"List-Unsubscribe=One-Click\n"),
        ("multipart/form-data; boundary=x", MULTIPART),
        ("multipart/form-data", b"broken"),
        ("text/plain", b"List-Unsubscribe=One-Click"),
        ("", b""),
    ],
)
def test_one_click_unsubscribes_with_nothing_but_the_address(
    client: TestClient, served: Served, content_type: str, body: bytes
) -> None:
    """RFC 8058, FACTS.md LAW-13: both forms, no cookie, no redirect, as often as they like."""
    enrollment_id, message = served.shop.written()
    path = f"/u/{served.token('unsubscribe', message.id)}"
    for _ in range(2):
        answer = client.post(path, content=body, headers={"Content-Type": content_type})
        assert answer.status_code == 200
        assert "location" not in answer.headers
        assert "set-cookie" not in answer.headers
    assert served.shop.state(enrollment_id) == "suppressed"
    assert served.shop.is_silenced(enrollment_id, Channel.SMS)


@pytest.mark.parametrize("path", ["/u/{}", "/why/{}", "/why/{}?reason=price", "/v/{}", "/l/abc"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_nothing(
    client: TestClient, served: Served, path: str, method: str
) -> None:
    """FACTS.md LAW-14: scanners fetch every link, some of them twice."""
    enrollment_id, message = served.shop.written()
    purpose = {"u": "unsubscribe", "w": "why", "v": "voucher", "l": "why"}[path[1]]
    token = served.token(purpose, message.id)  # type: ignore[arg-type]
    for _ in range(2):
        client.request(method, path.format(token))
    assert served.shop.events() == []
    assert served.shop.state(enrollment_id) == "active"


def test_one_altered_character_unsubscribes_nobody(client: TestClient, served: Served) -> None:
    """FACTS.md SEC-10, LAW-15: and a token is good for its own purpose only."""
    enrollment_id, message = served.shop.written()
    token = served.token("unsubscribe", message.id)
    altered = ("b" if token[3] != "b" else "c").join((token[:3], token[4:]))
    for wrong in (altered, served.token("why", message.id), f"{token}0", "x", "%00", "../u"):
        assert client.post(f"/u/{wrong}").status_code in (404, 405)
    assert served.shop.state(enrollment_id) == "active"
    unknown = client.get(f"/u/{served.token('unsubscribe', 10**6)}")
    assert (unknown.status_code, unknown.text) == (404, client.get(f"/u/{altered}").text)


def test_preferences_stop_one_channel_or_all(client: TestClient, served: Served) -> None:
    """FACTS.md LAW-10: one page, and "stop all" is always offered."""
    enrollment_id, message = served.shop.written()
    path = f"/u/{served.token('unsubscribe', message.id)}"
    assert 'value="all"' in client.get(path).text
    assert 'value="all"' in client.post(path, data={"choice": "sms"}).text
    assert served.shop.is_silenced(enrollment_id, Channel.SMS)
    assert not served.shop.is_silenced(enrollment_id, Channel.EMAIL)
    client.post(path, data={"choice": "all"})
    assert served.shop.is_silenced(enrollment_id, Channel.EMAIL)


def test_a_reason_is_shown_chosen_and_acts_on_post(client: TestClient, served: Served) -> None:
    """DESIGN.md, section 6: ``?reason=KEY`` shows it with one button; POST acts."""
    enrollment_id, message = served.shop.written()
    path = f"/why/{served.token('why', message.id)}"
    shown = client.get(f"{path}?reason=service").text
    assert 'name="reason" value="service"' in shown
    assert shown.count("<button") == 1
    assert served.shop.enrollment(enrollment_id).reason is None
    assert client.post(path, data={"reason": "service"}).status_code == 200
    assert served.shop.enrollment(enrollment_id).reason == "service"


def test_not_now_asks_for_a_month_and_refuses_what_is_none(
    client: TestClient, served: Served
) -> None:
    """A month of the page, else the page again with its choice; none is ever guessed."""
    enrollment_id, message = served.shop.written()
    path = f"/why/{served.token('why', message.id)}"
    shown = client.get(f"{path}?reason=not_now").text
    assert '<option value="2026-04">April 2026</option>' in shown
    form = shown[shown.index("<form") : shown.index("</form>")]
    assert 'name="reason" value="not_now"' in form
    assert '<select id="month" name="month">' in form
    assert 'value=""' not in form
    assert 'name="reason" value="not_now"' not in client.get(path).text
    for chosen in (
        {},
        {"month": ""},
        {"month": "2020-01"},
        {"month": "soon"},
        {"month": "<script>"},
    ):
        refused = client.post(path, data={"reason": "not_now", **chosen})
        assert refused.status_code == 422
        assert '<select id="month" name="month">' in refused.text
        assert served.shop.enrollment(enrollment_id).reason is None
        assert "<script>" not in refused.text
    client.post(path, data={"reason": "not_now", "month": "2026-06"})
    row = served.shop.enrollment(enrollment_id)
    assert (row.is_asleep, str(row.due_on)) == (True, "2026-06-01")


def test_unknown_reasons_do_nothing(client: TestClient, served: Served) -> None:
    """FACTS.md SEC-2: what comes in a query or a form is never shown back."""
    enrollment_id, message = served.shop.written()
    path = f"/why/{served.token('why', message.id)}"
    evil = "<script>alert(1)</script>"
    for answer in (
        client.get(path, params={"reason": evil}),
        client.post(path, data={"reason": evil}),
    ):
        assert evil not in answer.text
        assert "alert(1)" not in answer.text
    assert served.shop.enrollment(enrollment_id).reason is None


def test_pages_are_in_the_readers_language(client: TestClient, served: Served) -> None:
    """The customer's locale where we speak it, English else."""
    _, message = served.shop.written()
    path = f"/u/{served.token('unsubscribe', message.id)}"
    for locale, lang in (("de-AT", "de"), ("xx", "en"), (None, "en")):
        with Session(served.shop.engine) as session, session.begin():
            session.execute(update(Customer).values(locale=locale))
        assert f'<html lang="{lang}">' in client.get(path).text


def _voucher(served: Served, message: Message, **fields: object) -> str:
    values = {
        "campaign": "six-month",
        "offer": "welcome-back",
        "code": "ABCD-1234",
        "code_key": "ABCD1234",
        "state": VoucherState.ISSUED,
        "made_at": served.shop.now,
        "enrollment_id": message.enrollment_id,
        "issued_at": served.shop.now,
        "expires_at": served.shop.now.replace(hour=0) + timedelta(days=20),
    } | fields
    with Session(served.shop.engine) as session, session.begin():
        voucher_id = session.execute(insert(Voucher).values(values).returning(Voucher.id)).scalar()
        session.execute(
            update(Message).where(Message.id == message.id).values(voucher_id=voucher_id)
        )
    return f"/v/{served.token('voucher', message.id)}"


def test_a_voucher_page_shows_the_code_and_its_true_last_day(
    client: TestClient, served: Served
) -> None:
    """Promise P5: expiry is the end of a local day, exclusive; the day before is the last."""
    _, message = served.shop.written()
    shown = client.get(_voucher(served, message)).text
    assert "ABCD-1234" in shown
    assert "15% off" in shown
    assert "Saturday, 21 March 2026" in shown


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": VoucherState.REDEEMED}, "already used"),
        ({"state": VoucherState.VOIDED}, "no longer valid"),
        ({"expires_at": None}, "could not find"),
    ],
)
def test_a_voucher_that_is_over_says_so_kindly(
    client: TestClient, served: Served, fields: dict[str, object], words: str
) -> None:
    """No code is shown that does not work."""
    _, message = served.shop.written()
    shown = client.get(_voucher(served, message, **fields)).text
    assert words in shown
    assert "ABCD-1234" not in shown


def test_an_expired_voucher_says_until_when_it_was_valid(
    client: TestClient, served: Served
) -> None:
    """Expired is computed from the clock."""
    _, message = served.shop.written()
    path = _voucher(served, message)
    served.clock.instant += timedelta(days=40)
    shown = client.get(path).text
    assert "was valid until" in shown
    assert "ABCD-1234" not in shown


def test_a_link_leads_to_its_stored_target_and_is_noted(client: TestClient, served: Served) -> None:
    """FACTS.md SEC-13: an id, never a URL; unknown ids and unsafe targets are 404."""
    enrollment_id, message = served.shop.written()
    served.tick()
    with Session(served.shop.engine) as session, session.begin():
        for name, url in (("good", "https://shop.example.com/a"), ("bad", "javascript:alert(1)")):
            session.execute(insert(Link).values(id=name, message_id=message.id, url=url))
    head = client.head("/l/good")
    assert (head.status_code, served.shop.events()) == (302, [])
    human = {"User-Agent": "Mozilla/5.0 (iPhone)"}
    answer = client.get("/l/good", headers=human)
    assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example.com/a")
    assert served.shop.messages(enrollment_id)[0].clicked_at is not None
    for name in ("bad", "none", "https:%2F%2Fevil.example"):
        assert client.get(f"/l/{name}", headers=human).status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "//evil",
        "\\evil",
        "https:\\\\evil",
        "javascript:x",
        "https://a@evil/",
        "ftp://a/",
        "https://",
        "https://[bad",
        "https://a/ b",
        "",
    ],
)
def test_only_plain_web_addresses_are_targets(url: str) -> None:
    """FACTS.md SEC-13."""
    assert not is_plain_target(url)
    assert is_plain_target("https://shop.example.com/a?b=c")


@pytest.mark.parametrize("path", ["/u/x", "/why/x", "/v/x", "/l/x", "/nowhere", "/health"])
def test_every_answer_has_the_safe_headers(client: TestClient, path: str) -> None:
    """FACTS.md SEC-14; and there is no script on any page."""
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["cache-control"] == "no-store"
    assert "<script" not in answer.text
    assert "style=" not in answer.text


def test_the_style_sheet_is_ours_and_may_be_kept(client: TestClient) -> None:
    """The policy allows nothing from elsewhere."""
    answer = client.get("/static/pages.css")
    assert answer.status_code == 200
    assert "max-age" in answer.headers["cache-control"]
    assert "url(" not in answer.text
