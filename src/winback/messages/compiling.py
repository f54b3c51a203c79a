"""Compile a template: front matter off, layout around, MJML and CSS inlined, tags put back.

Runs once per content; per message only Jinja runs (``rendering``).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import yaml
from jinja2 import TemplateSyntaxError

from winback.errors import FileMistakes, Mistake
from winback.messages.language import parse
from winback.messages.mjml_reading import check_mjml, forms_of, text_of
from winback.messages.placeholders import (
    Protected,
    drop_control_lines,
    in_form,
    lost,
    protect,
    put_back,
)
from winback.messages.templates import Compiled, Source
from winback.states import Channel
from winback.yaml_files import nearest

COMPILER: Final = "1"
"""Part of every content's hash: another number compiles everything anew."""
FRONT_KEYS: Final = ("subject", "preheader", "language")
_FRONT: Final = re.compile(r"---\n(.*?\n)?---[ \t]*(?:\n|$)", re.DOTALL)
_OWN_PAGES: Final = re.compile(r"\b(?:links\.(?:unsubscribe|why|reasons|voucher)|voucher\.url)\b")
_ANCHOR: Final = re.compile(r"<a\b(?P<rest>[^>]*\bhref=\"(?P<href>[^\"]*)\"[^>]*)>")


@dataclass(frozen=True, slots=True)
class Parts:
    """A file taken apart; ``body`` keeps the lines of the front matter as empty ones."""

    subject: str
    preheader: str
    language: str
    body: str
    mistakes: tuple[Mistake, ...]


def content_hash(source: Source) -> str:
    """Give the hash of all that a compiled template is made from."""
    told = (COMPILER, source.suffix, source.text, source.twin or "", *_pairs(source.layout))
    digest = hashlib.sha256()
    for part in told:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()


def take_apart(source: Source) -> Parts:
    """Give front matter and body of a file; what is wrong in the front matter is noted."""
    found = _FRONT.match(source.text)
    if found is None:
        return Parts("", "", _language(source, ""), source.text, ())
    body = "\n" * found[0].count("\n") + source.text[found.end() :]
    try:
        written = yaml.safe_load(found[1] or "") or {}
    except (yaml.YAMLError, ValueError) as broken:
        # ValueError: a day such as 2026-02-30, which YAML takes for a date.
        mark = getattr(broken, "problem_mark", None)
        line = mark.line + 2 if mark else 1
        wrong = Mistake(
            source.shown_as, line, "the front matter is not YAML", 'put the words into "quotes"'
        )
        return Parts("", "", _language(source, ""), body, (wrong,))
    mistakes = tuple(_front_mistakes(source, written))
    front = written if isinstance(written, dict) else {}
    subject, preheader, language = (str(front.get(key) or "") for key in FRONT_KEYS)
    return Parts(subject.strip(), preheader.strip(), _language(source, language), body, mistakes)


def compile_template(source: Source) -> Compiled:
    """Compile one template; raises FileMistakes with every mistake of form in it."""
    parts = take_apart(source)
    mistakes = [*parts.mistakes, *_syntax_mistakes(source, parts)]
    if source.suffix == "mjml":
        mistakes += _mjml_mistakes(source, parts)
    if source.suffix == "html" and source.twin is None:
        mistakes.append(
            Mistake(source.shown_as, 1, "an HTML mail without a text part", "add a .txt beside it")
        )
    if mistakes:
        raise FileMistakes(mistakes)
    html, text = (
        _mail(source, parts)
        if source.channel is Channel.EMAIL
        else ("", drop_control_lines(parts.body))
    )
    return _as_compiled(source, parts, html=html, text=text.strip() + "\n")


def uncompiled(source: Source) -> Compiled:
    """Give a template as it stands, no engine run: what one that cannot be compiled would say."""
    parts = take_apart(source)
    if source.channel is not Channel.EMAIL:
        return _as_compiled(source, parts, html="", text=parts.body)
    whole = _in_layout(source, parts, "mjml" if source.suffix == "mjml" else "html")
    text = whole if source.twin is None else _twin(source, parts)
    return _as_compiled(source, parts, html=whole, text=text)


def layout_of(source: Source, suffix: str) -> str | None:
    """Give the file of the layout that really stands around a part: ``mjml`` or ``txt``."""
    if suffix == "mjml" and (source.suffix != "mjml" or "<mjml" in source.text):
        return None
    return source.layout_files.get(suffix)


def _as_compiled(source: Source, parts: Parts, *, html: str, text: str) -> Compiled:
    return Compiled(
        source=source,
        subject=parts.subject,
        preheader=parts.preheader,
        html=html,
        text=text,
        language=parts.language,
        content_hash=content_hash(source),
    )


def _mail(source: Source, parts: Parts) -> tuple[str, str]:
    whole = _in_layout(source, parts, "mjml" if source.suffix == "mjml" else "html")
    protected = protect(whole)
    html = _engines(source, protected)
    gone = lost(html, protected.tags)
    if gone:
        raise FileMistakes([_dropped(source, protected.tags[number]) for number in gone])
    html = put_back(_without_click_tracking(html, protected.tags), protected.tags)
    if source.twin is not None:
        return html, drop_control_lines(_twin(source, parts))
    return html, put_back(text_of(protected), protected.tags)


def _engines(source: Source, protected: Protected) -> str:
    # Both engines are native code and slow to load: only who compiles pays.
    import css_inline  # noqa: PLC0415
    from mjml import mjml2html  # noqa: PLC0415

    is_mjml = source.suffix == "mjml"
    text = in_form(protected, forms_of(protected, is_mjml=is_mjml))
    if is_mjml:
        # An HTML parser would put a loop's end into a table body that its begin stands outside of.
        text = re.sub(r"(<mj-table\b[^>]*(?<!/)>)(?!\s*<t(?:head|body)\b)", r"\1<tbody>", text)
        text = re.sub(r"(?<!</tbody>)(\s*</mj-table>)", r"</tbody>\1", text)
        try:
            text = str(mjml2html(text))
        except ValueError as refused:
            what = f"the MJML cannot be read: {str(refused).splitlines()[0][:120]}"
            raise FileMistakes([Mistake(source.shown_as, 1, what, "check its tags")]) from None
    inliner = css_inline.CSSInliner(
        keep_style_tags=True, keep_at_rules=True, load_remote_stylesheets=False
    )
    return inliner.inline(text)


def _in_layout(source: Source, parts: Parts, suffix: str) -> str:
    around = source.layout.get(suffix)
    whole = "{{ content }}" if around is None or "<mjml" in parts.body else around
    return fill_layout(whole, content=parts.body.strip(), parts=parts)


def fill_layout(layout: str, *, content: str, parts: Parts) -> str:
    """Put content, subject, preheader and language into a layout's own places."""
    filled = {
        "subject": parts.subject,
        "preheader": parts.preheader,
        "language": parts.language,
        "content": content,
    }
    place = re.compile(r"\{\{\s*(subject|preheader|language|content)\s*\}\}")
    return place.sub(lambda found: filled[found[1]], layout)


def _twin(source: Source, parts: Parts) -> str:
    around = source.layout.get("txt", "{{ content }}")
    return fill_layout(around, content=(source.twin or "").strip(), parts=parts)


def _without_click_tracking(html: str, tags: tuple[str, ...]) -> str:
    """Keep the provider's redirect away from our own pages (FACTS.md SG-38)."""

    def marked(found: re.Match[str]) -> str:
        target = put_back(found["href"], tags)
        if "clicktracking" in found["rest"] or not _OWN_PAGES.search(target):
            return found[0]
        return f'<a clicktracking="off"{found["rest"]}>'

    return _ANCHOR.sub(marked, html)


def _syntax_mistakes(source: Source, parts: Parts) -> Iterator[Mistake]:
    texts = [
        (source.shown_as, parts.body, 0),
        (source.twin_shown_as, source.twin or "", 0),
        (source.shown_as, parts.subject, line_of_key(source.text, "subject")),
        (source.shown_as, parts.preheader, line_of_key(source.text, "preheader")),
    ]
    texts += [(source.layout_files[suffix], text, 0) for suffix, text in source.layout.items()]
    for shown_as, text, line in texts:
        wrong = syntax_error(text)
        if wrong is not None:
            what, _, instead = (wrong.message or "cannot be read").partition(": ")
            yield Mistake(shown_as, line or wrong.lineno, what, instead)


@lru_cache(maxsize=512)
def syntax_error(text: str) -> TemplateSyntaxError | None:
    """Give what is wrong in the syntax of a text, None where it can be read."""
    try:
        parse(text)
    except TemplateSyntaxError as wrong:
        return wrong
    return None


def _mjml_mistakes(source: Source, parts: Parts) -> Iterator[Mistake]:
    is_whole = "<mjml" in parts.body
    layout = source.layout.get("mjml")
    looked_at = [(parts.body, source.shown_as, not is_whole)]
    if layout is not None and not is_whole:
        looked_at.append((layout, source.layout_files["mjml"], False))
    for text, shown_as, is_fragment in looked_at:
        # A tag that does not end would be read as elements.
        if syntax_error(text) is None:
            words = protect(text, keep_lines=True).text
            yield from check_mjml(words, shown_as=shown_as, is_fragment=is_fragment)
    if layout is None and not is_whole:
        yield Mistake(
            "templates/_layout/email.mjml", 1, "there is no layout for mails", "add this file"
        )


def _dropped(source: Source, tag: str) -> Mistake:
    inner = re.search(re.escape(tag), source.text)
    line = source.text.count("\n", 0, inner.start()) + 1 if inner else 1
    return Mistake(
        source.shown_as,
        line,
        f"{tag[:40]} stands where mails lose it",
        "put it between elements, into text or into the value of an attribute",
    )


def _front_mistakes(source: Source, written: Any) -> Iterable[Mistake]:
    if not isinstance(written, dict):
        yield Mistake(source.shown_as, 2, "the front matter has no keys", "write subject: ...")
        return
    for key, value in written.items():
        line = line_of_key(source.text, str(key))
        if key not in FRONT_KEYS:
            yield Mistake(
                source.shown_as, line, f"unknown key {key!r}", nearest(str(key), list(FRONT_KEYS))
            )
        elif not isinstance(value, str):
            yield Mistake(
                source.shown_as, line, f"{key} is no text", f'write {key}: "..." in quotes'
            )
        elif "\n" in value.strip():
            yield Mistake(source.shown_as, line, f"{key} has a line break", "keep it on one line")


def line_of_key(text: str, key: str) -> int:
    """Give the line of a key of the front matter, from 1; 1 when it is not there."""
    found = re.search(rf"^{re.escape(key)}\s*:", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _language(source: Source, written: str) -> str:
    return written or source.locale or "en"


def _pairs(layout: Any) -> Iterator[str]:
    for suffix in sorted(layout):
        yield suffix
        yield layout[suffix]
