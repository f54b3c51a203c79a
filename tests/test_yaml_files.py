"""Files that people edit: every mistake at once, with its line and the nearest right word."""

from contextlib import suppress
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from winback.errors import FileMistakes, Mistake
from winback.yaml_files import Strict, check_values, line_of, load_file, nearest, read_yaml


class Inner(Strict):
    """One level down."""

    color: Literal["red", "green"] = "red"
    size: int = 1


class Outer(Strict):
    """A file."""

    name: str
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = Field(default_factory=dict)


def mistakes_in(tmp_path: Path, text: str | bytes) -> list[Mistake]:
    """Give the mistakes of a file with this text."""
    path = tmp_path / "file.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(FileMistakes) as found:
        load_file(path, Outer, shown_as="config/file.yaml")
    return found.value.mistakes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nam: x\nname: y\n", "config/file.yaml:1: unknown key 'nam'; did you mean name?"),
        (
            "name: x\ninner: {colour: red}\n",
            "config/file.yaml:2: unknown key 'colour'; did you mean color?",
        ),
        (
            "name: x\nmany:\n  - size: 2\n  - {sise: 2}\n",
            "config/file.yaml:4: unknown key 'sise'; did you mean size?",
        ),
        (
            "name: x\nnamed:\n  a:\n    color: gren\n",
            "config/file.yaml:4: named.a.color: 'gren' is not known; did you mean green?",
        ),
        ("inner: {}\n", "config/file.yaml:1: 'name' is missing under the file; add it"),
        ("name: x\nname: y\n", "config/file.yaml:2: 'name' stands here twice; keep one"),
        ("name: x\ninner: {size: big}\n", "config/file.yaml:2: inner.size: "),
        ("name: [\n", "config/file.yaml:2: not YAML: "),
        (b"name: \xff\n", "config/file.yaml:1: not UTF-8 text; save it as UTF-8"),
        ("", "config/file.yaml:1: 'name' is missing under the file; add it"),
        ("name: x\ninner: *nowhere\n", "config/file.yaml:2: not YAML: "),
        ("name: !!python/object:os.system x\n", "config/file.yaml:1: not YAML: "),
        ("- a\n", "config/file.yaml:1: "),
        ("? [a, b]\n: c\n", "config/file.yaml:1: "),
        ("name: &x a\ninner: {color: *x}\n", "config/file.yaml:2: not YAML: an alias"),
        ("name: x\ninner:\n  <<: {size: 2}\n", "config/file.yaml:3: not YAML: a merge key"),
        ("name: " + "[" * 3000, "config/file.yaml:1: not YAML: "),
        ("name: x\x00\n", "config/file.yaml:1: not YAML: "),
    ],
)
def test_a_mistake_is_told_with_file_and_line(
    tmp_path: Path, text: str | bytes, sentence: str
) -> None:
    """File, line, what is wrong, what to write instead."""
    assert any(str(mistake).startswith(sentence) for mistake in mistakes_in(tmp_path, text))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Nobody mends a file ten times."""
    found = mistakes_in(tmp_path, "nam: x\ninner: {color: blue, size: big}\nmore: 1\n")

    assert [mistake.line for mistake in found] == [1, 1, 2, 2, 3]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """With the name that its owner knows."""
    with pytest.raises(FileMistakes, match=r"config/a\.yaml:1: this file is missing"):
        load_file(tmp_path / "a.yaml", Outer, shown_as="config/a.yaml")


def test_every_place_has_its_line(tmp_path: Path) -> None:
    """Keys and items; an unknown place takes the line of what is around it."""
    path = tmp_path / "file.yaml"
    path.write_text("a:\n  - b: 1\n    c: 2\n  - d\n", encoding="utf-8")

    _, lines = read_yaml(path, "file.yaml")

    assert line_of(lines, ("a", 0, "c")) == 3
    assert line_of(lines, ("a", 1, "x", "y")) == 4
    assert line_of(lines, ("z",)) == 1


@pytest.mark.parametrize("word", ["2026-02-30", "2026-01-01 99:00:00", "0b_", "9" * 5000])
def test_what_only_looks_like_a_date_or_a_number_is_a_sentence(tmp_path: Path, word: str) -> None:
    """A day that is in no calendar is a mistake with its line, like any other."""
    [mistake] = mistakes_in(tmp_path, f"inner: {{size: 1}}\nname: {word}\n")

    assert mistake.line == 2
    assert mistake.what == f"not YAML: '{word[:40]}' is no date and no number"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    )
)
def test_any_value_is_right_or_a_sentence(value: object) -> None:
    """Whatever stands in a file, nobody sees a traceback."""
    with suppress(FileMistakes):
        assert check_values(value, {(): 1}, Outer, shown_as="f.yaml").name is not None


@pytest.mark.parametrize(
    ("word", "words", "advice"),
    [
        ("colr", ["color", "size"], "did you mean color?"),
        ("xyz", ["size", "color"], "use one of color, size"),
        ("xyz", [], "remove it"),
    ],
)
def test_the_nearest_word_is_named(word: str, words: list[str], advice: str) -> None:
    """All words where none is near."""
    assert nearest(word, words) == advice


def test_a_repeated_key_hides_no_other_mistake(tmp_path: Path) -> None:
    """All of a file's mistakes come at once; of a key that stands there twice the last counts."""
    found = mistakes_in(tmp_path, "name: x\nname: y\ninner: {colour: red}\n")

    assert [one.what for one in found] == ["'name' stands here twice", "unknown key 'colour'"]


def test_a_folder_in_the_place_of_a_file_is_a_sentence(tmp_path: Path) -> None:
    """No traceback: the file is missing."""
    with pytest.raises(FileMistakes, match="this file is missing"):
        load_file(tmp_path, Outer, shown_as="config/file.yaml")
