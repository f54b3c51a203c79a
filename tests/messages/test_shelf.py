"""Files are found by their names, and what cannot be taken is told."""

from pathlib import Path

import pytest

from winback.messages.shelf import load_shelf, locale_chain
from winback.states import Channel

from .kit import CAMPAIGN, FACTS, mail, shelf_of


@pytest.mark.parametrize(
    ("locale", "chain"),
    [
        (None, ("",)),
        ("", ("",)),
        ("de", ("de", "")),
        ("de_AT", ("de-AT", "de", "")),
        ("pt-BR", ("pt-BR", "pt", "")),
    ],
)
def test_where_a_locale_is_looked_for(locale: str | None, chain: tuple[str, ...]) -> None:
    """Exact, then the language, then the default."""
    assert locale_chain(locale) == chain


def test_names_say_channel_locale_and_variant(tmp_path: Path) -> None:
    """``<template>[.<locale>][.<variant>].<suffix>``, as DESIGN.md section 7 has it."""
    files = {
        "a.mjml": mail("x"),
        "a.b.mjml": mail("x"),
        "a.de.b.mjml": mail("x"),
        "a.de-AT.mjml": mail("x"),
        "a.sms": "x",
        "a.call": "x",
        "a.letter": "x",
        "a.txt": "x",
    }
    shelf = shelf_of(tmp_path, files)

    assert {key[2:] for key in shelf.sources} == {
        (Channel.EMAIL, "", "a"),
        (Channel.EMAIL, "", "b"),
        (Channel.EMAIL, "de", "b"),
        (Channel.EMAIL, "de-AT", "a"),
        (Channel.SMS, "", "a"),
        (Channel.CALL, "", "a"),
        (Channel.LETTER, "", "a"),
    }
    assert [s.variant for s in shelf.find("six-month", "a", Channel.EMAIL, "fr")] == ["a", "b"]
    assert [s.twin for s in shelf.find("six-month", "a", Channel.EMAIL)] == ["x", None]
    assert shelf.find("six-month", "nothing", Channel.EMAIL) == ()
    assert shelf.mistakes == ()


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("A b.mjml", "x", "this name says no template"),
        ("a.mjm", "x", "this name says no template"),
        ("lone.txt", "x", "a text part without a mail"),
        ("big.sms", "x" * 65537, "larger than 64 KB"),
    ],
)
def test_what_cannot_be_taken_is_told(tmp_path: Path, name: str, text: str, what: str) -> None:
    """FACTS.md SEC-5: at most 64 KB; a name that says nothing is no silent loss."""
    (mistake,) = shelf_of(tmp_path, {name: text}).mistakes

    assert what in mistake.what
    assert mistake.file == f"templates/six-month/{name}"


def test_two_files_for_one_mail(tmp_path: Path) -> None:
    """An .mjml and an .html of one name: which one goes out must not be a matter of luck."""
    shelf = shelf_of(tmp_path, {"a.mjml": mail("x"), "a.html": "x"})

    assert "stands for the same mail" in shelf.mistakes[0].what


def test_not_text(tmp_path: Path) -> None:
    """A file in another encoding is told, not guessed."""
    path = tmp_path / "templates" / "six-month" / "a.sms"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe")

    assert "not UTF-8" in load_shelf(tmp_path, (CAMPAIGN,), FACTS).mistakes[0].what
