"""The public pages in a real browser: one tap is enough, without any script, for everybody."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from tests.responses.ears import Ears
from tests.web.served import Served
from winback.database.tables import Message, Voucher
from winback.states import Channel, VoucherState
from winback.web.receiver import receiving

NEEDED = "no browser for the pages' tests; install one with: make browser"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a headless Chromium; without one the test fails with the sentence that helps."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    found = found or shutil.which("google-chrome")
    if found is None:
        pytest.fail(NEEDED)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    """Give SQLite only: what the pages do in the database is tested on both elsewhere."""
    shutil.copy(sqlite_template, tmp_path / "winback.db")
    return f"sqlite:///{tmp_path / 'winback.db'}"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Give a page on a small phone, in which scripts are switched off."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.fixture
def site(served: Served) -> Iterator[str]:
    """Serve the shop on loopback."""
    with receiving(lambda _: served.app) as receiver:
        yield receiver.url


def test_one_tap_unsubscribes(page: Page, site: str, served: Served) -> None:
    """FACTS.md LAW-10: one page, one button, no script."""
    enrollment_id, message = _written(served)
    page.goto(f"{site}/u/{served.token('unsubscribe', message.id)}")
    assert served.shop.state(enrollment_id) == "active"
    page.get_by_role("button", name="Stop all messages").click()
    assert page.get_by_role("status").is_visible()
    assert served.shop.is_silenced(enrollment_id, Channel.EMAIL)


def test_not_now_takes_a_month_and_two_taps(page: Page, site: str, served: Served) -> None:
    """Choosing, then confirming with the month."""
    enrollment_id, message = _written(served)
    page.goto(f"{site}/why/{served.token('why', message.id)}")
    page.get_by_role("link", name="Not now").click()
    page.get_by_label("When may we ask again?").select_option("2026-09")
    page.get_by_role("button", name="Yes, that is it").click()
    assert page.get_by_role("status").is_visible()
    assert str(served.shop.enrollment(enrollment_id).due_on) == "2026-09-01"


def test_a_reason_from_the_mail_is_confirmed_with_one_button(
    page: Page, site: str, served: Served
) -> None:
    """What was tapped in the mail stands there, with one button."""
    enrollment_id, message = _written(served)
    page.goto(f"{site}/why/{served.token('why', message.id)}?reason=service")
    page.get_by_role("button").click()
    assert served.shop.state(enrollment_id) == "handed_over"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_fit_a_small_phone(
    browser: Browser, site: str, served: Served, scheme: Any
) -> None:
    """No rule of WCAG that axe knows is broken, and nothing has to be scrolled sideways."""
    _, message = _written(served)
    _give_voucher(served.shop, message)
    unsubscribe = f"/u/{served.token('unsubscribe', message.id)}"
    why = f"/why/{served.token('why', message.id)}"
    paths = [unsubscribe, why, f"{why}?reason=not_now", f"{why}?reason=price"]
    paths += [f"/v/{served.token('voucher', message.id)}", "/u/unknown"]
    # axe is injected past the pages' own policy, which allows no script at all.
    context = browser.new_context(
        viewport={"width": 320, "height": 640}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    for path in paths:
        page.goto(f"{site}{path}")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 320
    assert [error for error in errors if "404" not in error] == []
    context.close()


def _written(served: Served) -> tuple[int, Message]:
    """Send the first step from a thread: Playwright's own loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(served.shop.written).result()


def _give_voucher(shop: Ears, message: Message) -> None:
    with Session(shop.engine) as session, session.begin():
        voucher_id = session.execute(
            insert(Voucher)
            .values(
                campaign="six-month",
                offer="welcome-back",
                code="ABCD-1234-EFGHJ",
                code_key="ABCD1234EFGHJ",
                state=VoucherState.ISSUED,
                made_at=shop.now,
                enrollment_id=message.enrollment_id,
                expires_at=shop.now.replace(year=2030),
            )
            .returning(Voucher.id)
        ).scalar_one()
        session.execute(update(Message).values(voucher_id=voucher_id))
