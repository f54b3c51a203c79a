"""Published is the newest version that lints clean (DESIGN.md, section 7)."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from winback.database.tables import TemplateVersion
from winback.errors import TemplateError
from winback.messages.mistakes import lint_shelf
from winback.messages.publishing import (
    failing_edits,
    published,
    published_variants,
    template_by_id,
)
from winback.messages.rendering import render
from winback.messages.sample import sample_context
from winback.messages.shelf import Shelf
from winback.messages.templates import PublishedTemplate
from winback.states import Channel

from .kit import mail, plain, shelf_of

BROKEN = mail("{{ nobody }}")


def _live(
    session: Session, shelf: Shelf, now: datetime, *, locale: str | None = None, variant: str = "a"
) -> PublishedTemplate:
    return published(
        session,
        shelf,
        campaign="six-month",
        template="last",
        channel=Channel.EMAIL,
        locale=locale,
        variant=variant,
        now=now,
    )


def test_the_same_content_is_one_version(session: Session, tmp_path: Path, now: datetime) -> None:
    """A content is stored once, whoever asks how often, and can be read back whole."""
    first = _live(session, shelf_of(tmp_path, {"last.mjml": mail("one")}), now)
    session.commit()
    again = _live(session, shelf_of(tmp_path, {"last.mjml": mail("one")}), now)

    assert again == first == template_by_id(session, first.id)
    assert session.scalar(select(func.count()).select_from(TemplateVersion)) == 1


def test_a_failing_edit_changes_nothing(session: Session, tmp_path: Path, now: datetime) -> None:
    """A slip on disk keeps the last clean version live, and is listed with its reason."""
    good = _live(session, shelf_of(tmp_path, {"last.mjml": mail("one")}), now)
    session.commit()
    shelf = shelf_of(tmp_path, {"last.mjml": BROKEN})

    assert _live(session, shelf, now) == good
    (failing,) = failing_edits(session, shelf)
    assert failing.live_since == now
    assert "unknown variable nobody" in str(failing.mistakes[0])
    assert lint_shelf(shelf) == list(failing.mistakes)


def test_nothing_clean_is_nothing_live(session: Session, tmp_path: Path, now: datetime) -> None:
    """P5: what never was clean does not go out."""
    shelf = shelf_of(tmp_path, {"last.mjml": BROKEN})

    with pytest.raises(TemplateError, match="no email template that can go live"):
        _live(session, shelf, now)
    assert failing_edits(session, shelf)[0].live_since is None


def test_an_edit_taken_back_is_the_newest_again(
    session: Session, tmp_path: Path, now: datetime
) -> None:
    """After A, B, A a failing edit leaves A live, not B."""
    hour = timedelta(hours=1)
    one = _live(session, shelf_of(tmp_path, {"last.mjml": mail("one")}), now)
    session.commit()
    two = _live(session, shelf_of(tmp_path, {"last.mjml": mail("two")}), now + hour)
    session.commit()
    back = _live(session, shelf_of(tmp_path, {"last.mjml": mail("one")}), now + 2 * hour)
    session.commit()

    still = _live(session, shelf_of(tmp_path, {"last.mjml": BROKEN}), now + 3 * hour)

    assert one.id == back.id == still.id != two.id


def test_a_version_that_was_rolled_back_is_stored_again(
    session: Session, tmp_path: Path, now: datetime
) -> None:
    """What a shelf keeps in memory is never an id that the database does not know."""
    shelf = shelf_of(tmp_path, {"last.mjml": mail("one")})
    _live(session, shelf, now)
    session.rollback()

    again = _live(session, shelf, now)
    session.commit()

    assert template_by_id(session, again.id) == _live(session, shelf, now)
    assert list(shelf.kept.values()) == [again]


def test_variants_of_the_best_locale(session: Session, tmp_path: Path, now: datetime) -> None:
    """Exact locale, else its language, else the default; a broken variant is left out."""
    files = {
        "last.mjml": mail("default"),
        "last.b.mjml": mail("default b"),
        "last.c.mjml": BROKEN,
        "last.de.mjml": mail("deutsch"),
        "last.de-AT.mjml": mail("jänner"),
    }
    shelf = shelf_of(tmp_path, files)

    def found(locale: str | None) -> list[tuple[str, str, str]]:
        return [
            (one.locale, one.variant, one.language)
            for one in published_variants(
                session,
                shelf,
                campaign="six-month",
                template="last",
                channel=Channel.EMAIL,
                locale=locale,
                now=now,
            )
        ]

    assert found("de_AT") == [("de-AT", "a", "de-AT")]
    assert found("de-CH") == [("de", "a", "de")]
    assert found("fr") == found(None) == [("", "a", "en"), ("", "b", "en")]
    assert _live(session, shelf, now, variant="b").variant == "b"
    assert _live(session, shelf, now, variant="z").variant == "a"


def test_an_old_message_is_reproduced_exactly(
    session: Session, tmp_path: Path, now: datetime
) -> None:
    """Issue point 7: stored context and version give the same bytes, after edits, in any order."""
    text = mail("{% for k, b in facts.benefits|items %}{{ k }}{{ b.says }}{% endfor %}")
    version = _live(session, shelf_of(tmp_path, {"last.mjml": text}), now)
    session.commit()
    context = sample_context(plain())
    sent = render(version, context)
    _live(session, shelf_of(tmp_path, {"last.mjml": mail("newer")}), now)

    # JSONB gives keys back in an order of its own.
    stored = {key: context[key] for key in sorted(context, reverse=True)}
    stored["facts"]["benefits"] = dict(reversed(stored["facts"]["benefits"].items()))

    assert render(template_by_id(session, version.id), stored) == sent


def test_an_unknown_version_is_told(session: Session) -> None:
    """A version that is not there is an error that names it."""
    with pytest.raises(TemplateError, match="no template version 7"):
        template_by_id(session, 7)
