"""Every mistake in ``config/sources.yaml`` is said with its line and what to write instead."""

from pathlib import Path

import pytest

from winback.errors import FileMistakes
from winback.sources.config import Files, Sql, load_sources, notes_on


def _write(home: Path, text: str) -> Path:
    (home / "config").mkdir(exist_ok=True)
    (home / "config" / "sources.yaml").write_text(text, encoding="utf-8")
    return home


BOTH = """\
sources:
  till:
    kind: files
    customers:
      path: data/customers.csv
      columns: {external_id: id, given_name: first, email_consent: news, sms_consent: texts}
    purchases:
      path: data/orders-*.csv
      columns: {customer: customer_id, purchased_at: date, amount: total}
  shop:
    kind: sql
    url: ${SHOP_DATABASE_URL}
    overlap: 3 days
    customers: {query: "select id as external_id from customer where updated_at >= :since"}
"""


def test_both_kinds_are_read(tmp_path: Path) -> None:
    """The example of DESIGN.md, section 7; the address comes from the environment, masked."""
    till, shop = load_sources(
        _write(tmp_path, BOTH), {"SHOP_DATABASE_URL": "postgresql://u:secret@h/db"}
    )

    assert isinstance(till.how, Files)
    assert isinstance(shop.how, Sql)
    assert shop.how.overlap.days == 3
    assert "secret" not in repr(shop)


def test_no_file_is_no_source(tmp_path: Path) -> None:
    """A folder before its first source is no error."""
    assert load_sources(tmp_path, {}) == ()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        pytest.param("given_name:", "givenname:", "did you mean given_name", id="near word"),
        pytest.param(
            "kind: sql",
            "kind: sqll",
            "sources.yaml:11: sources.shop.kind: 'sqll' is not known; write files or sql; "
            "did you mean sql?",
            id="unknown kind",
        ),
        pytest.param(
            "kind: sql",
            "row_limit: 5",
            "sources.yaml:10: 'kind' is missing under sources.shop; write files or sql",
            id="no kind",
        ),
        pytest.param(
            "kind: files",
            "kind: files\n    url: x",
            "unknown key 'url'; use one of customers, date_format, encoding, kind, purchases",
            id="a key of the other kind",
        ),
        pytest.param("external_id: id, ", "", "'external_id' is missing", id="no id"),
        pytest.param("overlap: 3 days", "overlap: soon", "no period", id="bad period"),
        pytest.param("news", "no", "in quotes", id="a word YAML reads as a flag"),
        pytest.param("${SHOP_DATABASE_URL}", "nonsense", "no database address", id="bad url"),
        pytest.param(
            "kind: files", "kind: files\n    encoding: utf9", "no encoding", id="encoding"
        ),
        pytest.param(
            "kind: files",
            "kind: files\n    date_format: '%Y'",
            "no day and month",
            id="date format",
        ),
        pytest.param(
            "${SHOP_DATABASE_URL}", "${NOT_THERE}", "${NOT_THERE} is not set", id="environment"
        ),
    ],
)
def test_mistakes_are_told_with_what_to_write(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    """All are sentences with file and line; nothing is guessed."""
    _write(tmp_path, BOTH.replace(old, new))

    with pytest.raises(FileMistakes) as mistakes:
        load_sources(tmp_path, {"SHOP_DATABASE_URL": "sqlite:///shop.db"})

    assert sentence in str(mistakes.value)


SECRET_URL = "postgresql://bob:hun'ter2@127.0.0.1:1/shop"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("kind: sql", "kind: sqll", id="unknown kind"),
        pytest.param("kind: sql", "row_limit: 5", id="no kind"),
        pytest.param("kind: sql", "kind: ${SHOP_DATABASE_URL}", id="as the kind"),
        pytest.param("3 days", "${SHOP_DATABASE_URL}", id="as a period"),
        pytest.param("kind: sql", "kind: sql\n    time_zone: ${SHOP_DATABASE_URL}", id="zone"),
        pytest.param("kind: sql", "kind: sql\n    row_limit: ${SHOP_DATABASE_URL}", id="number"),
        pytest.param("kind: sql", "kind: sql\n    urll: ${SHOP_DATABASE_URL}", id="unknown key"),
        pytest.param("kind: sql", "kind: sql\n    row_limit: a ${SHOP_DATABASE_URL}", id="part"),
        pytest.param(
            "kind: files", "kind: files\n    encoding: ${SHOP_DATABASE_URL}", id="encoding"
        ),
        pytest.param("${SHOP_DATABASE_URL}", "no ${SHOP_DATABASE_URL}", id="as a bad url"),
    ],
)
def test_no_mistake_shows_what_the_environment_holds(tmp_path: Path, old: str, new: str) -> None:
    """SEC-22: wherever a password is filled in, the sentence shows the file's words, not it."""
    _write(tmp_path, BOTH.replace(old, new, 1))

    with pytest.raises(FileMistakes) as mistakes:
        load_sources(tmp_path, {"SHOP_DATABASE_URL": SECRET_URL})

    assert "ter2" not in str(mistakes.value)
    assert "bob" not in str(mistakes.value)
    assert "config/sources.yaml:" in str(mistakes.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bob:hunter2:bad:%zz",
        "postgresql://bob:hunter2@db:port/shop",
        "postgresql://bob:hunter2@db:99999/shop",
        "hunter2",
    ],
)
def test_an_address_that_cannot_be_read_is_refused(tmp_path: Path, url: str) -> None:
    """``check`` says so before the first pull does, and never shows a part of the address."""
    _write(tmp_path, BOTH)

    with pytest.raises(
        FileMistakes, match=r"sources\.shop\.url: this is no database address"
    ) as no:
        load_sources(tmp_path, {"SHOP_DATABASE_URL": url})

    assert "hunter2" not in str(no.value)


def test_what_is_right_but_open_is_noted(tmp_path: Path) -> None:
    """``check`` says that corrections need an id, and that text consents are not written."""
    sources = load_sources(_write(tmp_path, BOTH), {"SHOP_DATABASE_URL": "sqlite:///shop.db"})

    live = "\n".join(notes_on(sources, is_sandbox=False))

    assert "till: purchases have no external_id column" in live
    assert "no text will be sent" in live
    assert "assumed here in the sandbox" in "\n".join(notes_on(sources, is_sandbox=True))
