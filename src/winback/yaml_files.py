"""Read the YAML files that people edit, and say of every mistake where it is and what to write.

A file is checked whole against a pydantic model; all of its mistakes are reported at once, each
with its line. Unknown keys are refused with the nearest right word.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from winback.errors import FileMistakes, Mistake
from winback.logs import hide_passwords

M = TypeVar("M", bound=BaseModel)
Place = tuple[str | int, ...]
_SHORT: Final = 5
_LONGEST_WORD: Final = 40


class Strict(BaseModel):
    """Base of every model of an edited file: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class _Lines(yaml.SafeLoader):
    """The safe loader that tells where it could not read on."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's own
        """Say of a word that only looks like a date or a number where it stands."""
        try:
            return super().construct_object(node, deep)
        except ValueError as wrong:
            problem = f"{str(node.value)[:_LONGEST_WORD]!r} is no date and no number"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from wrong


class _Loader(_Lines):
    """The loader without aliases: a few lines of them unfold to more than memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse ``*name`` and the merge key, with their line."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "an alias: write it out", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:merge":
            mark = node.start_mark
            raise yaml.composer.ComposerError(None, None, "a merge key: write it out", mark)
        return node


def read_yaml(path: Path, shown_as: str) -> tuple[Any, dict[Place, int]]:
    """Read one file into plain values, and the line (from 1) of every place in it.

    Raises FileMistakes when it is missing, not UTF-8, not YAML, or repeats a key.
    """
    return parse_yaml(read_text(path, shown_as), shown_as)


def read_repeating(path: Path, shown_as: str) -> tuple[Any, dict[Place, int], list[Mistake]]:
    """Read one file as ``read_yaml`` does, and give repeated keys as mistakes; the last counts.

    So one of these hides no other mistake of the file. Raises FileMistakes for all else.
    """
    return _parse(read_text(path, shown_as), shown_as)


def read_text(path: Path, shown_as: str) -> str:
    """Read one file as it stands; raises FileMistakes when it is missing or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise FileMistakes([Mistake(shown_as, 1, "this file is missing", "create it")]) from None
    except UnicodeDecodeError:
        raise FileMistakes([Mistake(shown_as, 1, "not UTF-8 text", "save it as UTF-8")]) from None
    except OSError as refused:
        what = f"this file cannot be read: {refused.strerror}"
        raise FileMistakes([Mistake(shown_as, 1, what, "let winback read it")]) from None


def parse_yaml(text: str, shown_as: str) -> tuple[Any, dict[Place, int]]:
    """Give what a text says as ``read_yaml`` does; raises FileMistakes, too."""
    value, lines, repeated = _parse(text, shown_as)
    if repeated:
        raise FileMistakes(repeated)
    return value, lines


def read_nodes(path: Path, shown_as: str) -> tuple[Any, yaml.Node | None]:
    """Read a file of another program, which may use aliases, with the nodes that know its lines.

    Raises FileMistakes when it is missing, not UTF-8 or not YAML.
    """
    return _load(_Lines, read_text(path, shown_as), shown_as)


def _parse(text: str, shown_as: str) -> tuple[Any, dict[Place, int], list[Mistake]]:
    value, node = _load(_Loader, text, shown_as)
    lines: dict[Place, int] = {(): 1}
    repeated: list[Mistake] = []
    if node is not None:
        _note_lines(node, (), lines, repeated=repeated, shown_as=shown_as)
    return value, lines, repeated


def _load(
    loader_type: type[yaml.SafeLoader], text: str, shown_as: str
) -> tuple[Any, yaml.Node | None]:
    try:
        loader = loader_type(text)
        node: yaml.Node | None = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), node
    except yaml.MarkedYAMLError as broken:
        line = broken.problem_mark.line + 1 if broken.problem_mark else 1
        what = f"not YAML: {broken.problem or broken.context or 'cannot be read'}"
        raise FileMistakes(
            [Mistake(shown_as, line, what, "check the indentation and quotes")]
        ) from None
    except yaml.reader.ReaderError as broken:
        line = text.count("\n", 0, broken.position) + 1
        what = "not YAML: a character that cannot be shown"
        raise FileMistakes([Mistake(shown_as, line, what, "remove it")]) from None
    except RecursionError:
        raise FileMistakes([Mistake(shown_as, 1, "not YAML: too deep", "make it flat")]) from None


def load_file(path: Path, model: type[M], *, shown_as: str) -> M:
    """Read and check one file; ``shown_as`` is its name in the sentences.

    Raises FileMistakes with every mistake of the file.
    """
    value, lines, repeated = read_repeating(path, shown_as)
    try:
        loaded = check_values(value, lines, model, shown_as=shown_as)
    except FileMistakes as found:
        raise FileMistakes(found.mistakes + repeated) from None
    if repeated:
        raise FileMistakes(repeated)
    return loaded


def check_values(
    value: Any, lines: dict[Place, int], model: type[M], *, shown_as: str, written: Any = None
) -> M:
    """Check values that were read before; raises FileMistakes with every mistake.

    ``written`` is what the file says where ``value`` was made of it by filling in the
    environment: a sentence shows the file's own words, never what they stand for.
    """
    try:
        return model.model_validate({} if value is None else value)
    except ValidationError as invalid:
        mistakes = [_as_mistake(error, lines, model, shown_as) for error in invalid.errors()]
        if written is not None:
            hidden = _filled_in(value, written)
            mistakes = [_as_written(mistake, hidden) for mistake in mistakes]
        raise FileMistakes(mistakes) from None


def line_of(lines: dict[Place, int], place: Place) -> int:
    """Give the line of a place, or of the nearest place around it."""
    while place not in lines and place:
        place = place[:-1]
    return lines.get(place, 1)


def nearest(word: str, words: list[str]) -> str:
    """Give advice that names the nearest right word, or all when none is near."""
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"use one of {', '.join(sorted(words))}" if words else "remove it"


def _note_lines(
    node: yaml.Node,
    place: Place,
    lines: dict[Place, int],
    *,
    repeated: list[Mistake],
    shown_as: str,
) -> None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = _Loader("").construct_object(key_node)
            here = (*place, key)
            line = key_node.start_mark.line + 1
            if here in lines:
                repeated.append(Mistake(shown_as, line, f"{key!r} stands here twice", "keep one"))
            lines[here] = line
            _note_lines(value_node, here, lines, repeated=repeated, shown_as=shown_as)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            here = (*place, index)
            lines[here] = item.start_mark.line + 1
            _note_lines(item, here, lines, repeated=repeated, shown_as=shown_as)


def _as_mistake(
    error: Any, lines: dict[Place, int], model: type[BaseModel], shown_as: str
) -> Mistake:
    # Pydantic puts the names of union members into the place; what is not in the file is dropped.
    place: Place = ()
    for part in error["loc"]:
        if (*place, part) in lines:
            place = (*place, part)
    name = str(error["loc"][-1]) if error["loc"] else "the file"
    line = line_of(lines, place)
    dotted = ".".join(str(part) for part in place) or "the file"
    match error["type"]:
        case "extra_forbidden":
            keys = _keys(_models_at(model, error["loc"][:-1], lines))
            return Mistake(shown_as, line, f"unknown key {name!r}", nearest(name, keys))
        case "missing":
            return Mistake(shown_as, line, f"{name!r} is missing under {dotted}", "add it")
        case "union_tag_invalid" | "union_tag_not_found":
            what, instead = _wrong_kind(error, _models_at(model, error["loc"], lines), dotted)
            key = (*place, error["ctx"]["discriminator"].strip("'"))
            return Mistake(shown_as, line_of(lines, key), what, instead)
        case "value_error":
            what, _, instead = str(error["ctx"]["error"]).partition(": ")
            return Mistake(shown_as, line, f"{dotted}: {what}", instead)
        case "enum" | "literal_error":
            words = [
                w.strip(" '") for w in error["ctx"]["expected"].replace(" or ", ", ").split(",")
            ]
            return Mistake(
                shown_as,
                line,
                f"{dotted}: {_shown(error['input']) or 'this'} is not known",
                nearest(str(error["input"]), words),
            )
        case _:
            message = error["msg"][0].lower() + error["msg"][1:]
            shown = _shown(error["input"])
            found = f"found {shown}" if shown else ""
            return Mistake(shown_as, line, f"{dotted}: {message}", found)


def _shown(value: Any) -> str:
    """Give a single value as a sentence shows it; nothing of what holds others."""
    is_single = value is None or isinstance(value, str | int | float)
    return hide_passwords(repr(value)) if is_single else ""


def _wrong_kind(error: Any, models: Sequence[type[BaseModel]], dotted: str) -> tuple[str, str]:
    """Say which word chooses between the forms of a part, and which words there are."""
    key = error["ctx"]["discriminator"].strip("'")
    words = sorted({word for one in models for word in _words_of(one, key)})
    write = f"write {' or '.join(words)}"
    if error["type"] == "union_tag_not_found":
        return f"{key!r} is missing under {dotted}", write
    tag = str(error["ctx"]["tag"])
    near = difflib.get_close_matches(tag, words, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{dotted}.{key}: {_shown(tag)} is not known", f"{write}{hint}"


def _filled_in(value: Any, written: Any) -> dict[str, str]:
    """Give every text that the environment filled in, with the words that stand in the file."""
    if isinstance(value, dict) and isinstance(written, dict):
        return {
            text: words
            for key, inner in value.items()
            for text, words in _filled_in(inner, written.get(key)).items()
        }
    if isinstance(value, str) and isinstance(written, str) and value != written:
        shown = (value, value.strip(), repr(value)[1:-1], hide_passwords(repr(value))[1:-1])
        # A word as short as "5" may stand in any sentence: it is looked for in quotes only.
        return {repr(text) if len(text) < _SHORT else text: written for text in shown if text}
    return {}


def _as_written(mistake: Mistake, hidden: dict[str, str]) -> Mistake:
    what, instead = mistake.what, mistake.instead
    # The longest first: one may be a part of another.
    for text in sorted(hidden, key=len, reverse=True):
        what, instead = what.replace(text, hidden[text]), instead.replace(text, hidden[text])
    return Mistake(mistake.file, mistake.line, what, instead)


def _models_at(
    model: type[BaseModel], loc: Sequence[str | int], lines: dict[Place, int]
) -> list[type[BaseModel]]:
    """Give the models that a place may hold; one, where the file says its kind."""
    found: list[type[BaseModel]] = [model]
    place: Place = ()
    for part in loc:
        if (*place, part) in lines:
            place = (*place, part)
            # A list index or a free key stays in the models that the collection holds.
            found = _inside(found, part) or found
        else:
            found = [one for one in found if _is_kind(one, part)] or found
    return found


def _inside(models: Sequence[type[BaseModel]], part: str | int) -> list[type[BaseModel]]:
    return [
        inner
        for one in models
        for name, field in one.model_fields.items()
        if part in (name, field.alias)
        for inner in _models_in(field.annotation)
    ]


def _is_kind(model: type[BaseModel], part: str | int) -> bool:
    """Say whether pydantic means this member of a union by a part that is not in the file."""
    return part == model.__name__ or any(
        part in _words_of(model, key) for key in model.model_fields
    )


def _words_of(model: type[BaseModel], key: str) -> tuple[Any, ...]:
    """Give the words of a field that knows only these; none of any other field."""
    field = model.model_fields.get(key)
    is_closed = field is not None and get_origin(field.annotation) is Literal
    return get_args(field.annotation) if field is not None and is_closed else ()


def _keys(models: Sequence[type[BaseModel]]) -> list[str]:
    """Give the keys that are known in models."""
    return [field.alias or name for one in models for name, field in one.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if get_args(annotation):
        return [model for inner in get_args(annotation) for model in _models_in(inner)]
    return (
        [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
    )
