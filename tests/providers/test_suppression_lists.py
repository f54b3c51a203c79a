"""SendGrid's suppression lists over real HTTP: what is asked, and what is read (SG-40)."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from pytest_httpserver import HTTPServer

from tests.providers.examples import API_KEY
from tests.providers.test_registry import KEYS, environment
from winback.environment import Environment
from winback.errors import ProviderError
from winback.providers.incoming import Origin, read_event
from winback.providers.list_registry import open_lists
from winback.providers.sendgrid_listing import SendGridLists
from winback.providers.sendgrid_lists import LISTS
from winback.providers.suppression_lists import PAGE, Asked, Listed, NoPage, Page
from winback.states import EventKind, SuppressionReason

AT = 1_772_445_600
BOUNCED = {"email": "ann@example.com", "created": AT, "status": "5.1.1", "reason": "550 5.1.1 no"}
ENTRIES: dict[str, dict[str, Any]] = {
    "unsubscribes": {"email": "ann@example.com", "created": AT},
    "groups": {
        "email": "ann@example.com",
        "created_at": AT,
        "group_id": 1,
        "group_name": "Weekly News",
    },
    "spam_reports": {"email": "ann@example.com", "created": AT, "ip": "10.63.202.100"},
    "bounces": BOUNCED,
    "invalid_emails": {"email": "ann@example.com", "created": AT, "reason": "unknown domain"},
}
REASONS = {
    "unsubscribes": SuppressionReason.UNSUBSCRIBED,
    "groups": SuppressionReason.UNSUBSCRIBED,
    "spam_reports": SuppressionReason.COMPLAINED,
    "bounces": SuppressionReason.BOUNCED,
    "invalid_emails": SuppressionReason.INVALID,
}


@pytest.fixture
async def lists(httpserver: HTTPServer) -> AsyncIterator[SendGridLists]:
    """Give the reader of lists, led to the test's server."""
    reader = SendGridLists(API_KEY, base_url=httpserver.url_for(""))
    yield reader
    await reader.close()


def asked(name: str = "bounces", *, since: int | None = None, offset: int = 0) -> Asked:
    """Give a question for a page."""
    return Asked(name, since, AT + 100, offset)


@pytest.mark.parametrize("name", ENTRIES)
async def test_each_list_is_read_in_its_own_shape(
    httpserver: HTTPServer, lists: SendGridLists, name: str
) -> None:
    """SG-40: all five lists, with fields and answers of the published description."""
    httpserver.expect_request(LISTS[name].path, method="GET").respond_with_json([ENTRIES[name]])

    page = await lists.page(asked(name))

    code = "5.1.1" if name == "bounces" else ""
    assert page == Page((Listed("ann@example.com", name, AT, code),), 1, is_last=True)
    ((request, _),) = httpserver.log
    assert request.headers["Authorization"] == f"Bearer {API_KEY}"
    assert request.headers["Accept"] == "application/json"


async def test_pages_are_asked_for_by_time_and_offset(
    httpserver: HTTPServer, lists: SendGridLists
) -> None:
    """A list of any length is read in pages, of a time that does not move meanwhile."""
    path = LISTS["bounces"].path
    httpserver.expect_request(path).respond_with_json([BOUNCED] * PAGE)

    first = await lists.page(asked())
    later = await lists.page(asked(since=AT - 9, offset=PAGE))

    queries = [parse_qs(request.query_string.decode()) for request, _ in httpserver.log]
    assert queries == [
        {"end_time": [f"{AT + 100}"], "limit": ["500"], "offset": ["0"]},
        {
            "end_time": [f"{AT + 100}"],
            "start_time": [f"{AT - 9}"],
            "limit": ["500"],
            "offset": ["500"],
        },
    ]
    assert isinstance(first, Page)
    assert isinstance(later, Page)
    assert (first.is_last, first.passed, later.is_last) == (False, PAGE, False)


async def test_the_list_of_groups_comes_at_once_and_only_news_is_taken(
    httpserver: HTTPServer, lists: SendGridLists
) -> None:
    """Its description knows neither times nor pages: what is older is passed over here."""
    old = ENTRIES["groups"] | {"email": "old@example.com", "created_at": AT - 10}
    many = [ENTRIES["groups"], old] * PAGE
    httpserver.expect_request("/v3/asm/suppressions", query_string="").respond_with_json(many)

    page = await lists.page(asked("groups", since=AT))

    assert isinstance(page, Page)
    assert {one.address for one in page.listed} == {"ann@example.com"}
    assert (page.passed, page.is_last) == (2 * PAGE, True)


@pytest.mark.parametrize(
    ("entry", "counts"),
    [
        ({"status": "5.1.1", "reason": ""}, True),
        ({"status": "", "reason": "550 5.1.1 unknown user"}, True),
        ({"reason": "550 unknown user"}, True),
        ({"status": "4.2.2", "reason": "452 4.2.2 mailbox full"}, False),
        ({"status": "", "reason": ""}, False),
        ({"status": "5.1.1", "email": " "}, False),
        ({"status": "5.1.1", "email": None}, False),
        ({"status": "5.1.1", "created": "soon"}, True),
    ],
)
async def test_only_bounces_for_good_say_something(
    httpserver: HTTPServer,
    lists: SendGridLists,
    entry: dict[str, Any],
    counts: bool,  # noqa: FBT001 - a case of the test
) -> None:
    """SG-20: 5.x.x ends an address, what is for now does not; a broken entry loses no other."""
    given = {"email": "ann@example.com", "created": AT} | entry
    entries = ["no entry", given, BOUNCED | {"email": "paul@example.com"}]
    httpserver.expect_request(LISTS["bounces"].path).respond_with_json(entries)

    page = await lists.page(asked())

    assert isinstance(page, Page)
    found = [one.address for one in page.listed]
    assert found == (["ann@example.com"] if counts else []) + ["paul@example.com"]
    assert page.passed == 3


@pytest.mark.parametrize(
    ("answer", "is_refused"),
    [
        ((401, "{}"), True),
        ((403, '{"errors": [{"message": "access forbidden"}]}'), True),
        ((429, "[]"), False),
        ((500, "[]"), False),
        ((404, "{}"), False),
        ((200, "<html>"), False),
        ((200, '{"result": []}'), False),
    ],
)
async def test_what_is_no_page_is_asked_for_once(
    httpserver: HTTPServer,
    lists: SendGridLists,
    answer: tuple[int, str],
    is_refused: bool,  # noqa: FBT001 - a case of the test
) -> None:
    """SG-15: a 429 or a failure is never met with the same question; a refusal is told apart."""
    status, body = answer
    httpserver.expect_request(LISTS["bounces"].path).respond_with_data(body, status=status)

    page = await lists.page(asked())

    assert isinstance(page, NoPage)
    assert page.is_refused is is_refused
    assert len(httpserver.log) == 1


async def test_a_provider_that_is_away_gives_no_page() -> None:
    """Nobody listens there: told by the kind of error only."""
    lists = SendGridLists(API_KEY, base_url="http://127.0.0.1:9")

    page = await lists.page(asked())

    await lists.close()
    assert page == NoPage("SendGrid cannot be reached: ClientConnectorError")


@pytest.mark.parametrize("name", REASONS)
def test_an_entry_is_kept_without_its_address(name: str) -> None:
    """SEC: what is kept has the keyed hash; read again it says the same fact, and no message."""
    kept = Listed("ann@example.com", name, AT, "5.1.1").record("h" * 64, Origin.SENDGRID_LISTS)

    event = read_event(kept.origin, kept.body)

    assert "ann" not in f"{kept.key}{kept.body}"
    assert len(kept.key) <= 128
    assert (event.kind, event.suppression) == (EventKind.LISTED, REASONS[name])
    assert (event.address_hash, event.address, event.send_id) == ("h" * 64, None, None)


@pytest.mark.parametrize("body", [{}, {"list": "bounces"}, {"list": "x", "address_hash": "h"}])
def test_an_entry_of_no_list_is_a_dead_letter(body: dict[str, Any]) -> None:
    """DS-13: what cannot be read is kept for replay, and guessed at by nobody."""
    with pytest.raises(ProviderError):
        read_event(Origin.SENDGRID_LISTS, body)


async def test_stand_ins_are_asked_only_while_they_run(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    """In the sandbox a day on which nothing is sent starts no server for a list."""
    httpserver.expect_request(LISTS["bounces"].path).respond_with_json([])
    url = httpserver.url_for("").rstrip("/")
    running: list[Environment] = []

    bare = environment(tmp_path, {"WINBACK_SECRET": "s"})
    async with open_lists(bare, lent=lambda: running[0] if running else None) as lists:
        before = lists.is_ready
        given = {"WINBACK_SENDGRID_URL": url, "WINBACK_TWILIO_URL": url}
        running.append(environment(tmp_path, KEYS, given))
        page = await lists.page(asked())

    assert (before, page) == (False, Page((), 0, is_last=True))


async def test_without_a_key_nobody_is_asked(tmp_path: Path) -> None:
    """A URL alone opens no list."""
    async with open_lists(environment(tmp_path, {"WINBACK_SECRET": "s"})) as lists:
        assert not lists.is_ready


async def test_lists_that_cannot_be_made_stop_no_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever breaks, the day goes on; only the kind of error is told."""

    def lent() -> Environment:
        raise OSError("ann@example.com")

    bare = environment(tmp_path, {"WINBACK_SECRET": "s"})
    with caplog.at_level(logging.ERROR):
        async with open_lists(bare, lent=lent) as lists:
            page = await lists.page(asked())

    assert page == NoPage("reading failed with OSError")
    assert "ann@example.com" not in caplog.text
