"""Read an MJML source: what is wrong in it, where its Jinja tags stand, and what it says as text.

The engine gives no line numbers and takes unknown words silently; this reader does neither.
"""

import re
from collections.abc import Iterable
from html.parser import HTMLParser

from winback.errors import Mistake
from winback.messages.mjml_words import (
    ATTRIBUTES,
    DEFAULTS_IN,
    HOLDS_ELEMENTS,
    HOLDS_HTML,
    HTML,
    PARENTS,
    VOID,
    WHY_NOT,
)
from winback.messages.placeholders import WORD, Form, Protected
from winback.yaml_files import nearest

_WHOLE_WORD = re.compile(r"WBJ\d+X")
Attributes = list[tuple[str, str | None]]


class _Walk(HTMLParser):
    """Walk over elements with the stack of open ones."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, int]] = []

    def walk(self, text: str) -> None:
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.begin(tag, attrs)
        if tag not in VOID:
            self.open.append((tag, self.getpos()[0]))

    def handle_startendtag(self, tag: str, attrs: Attributes) -> None:
        self.begin(tag, attrs)
        if tag not in VOID:
            self.open.append((tag, self.getpos()[0]))
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in (name for name, _ in self.open):
            while self.open.pop()[0] != tag:
                pass
        self.end(tag)

    def begin(self, tag: str, attrs: Attributes) -> None:
        """Meet an element that opens; it is not yet on the stack."""

    def end(self, tag: str) -> None:
        """Meet an element that closes; it is off the stack."""

    @property
    def within(self) -> str:
        """The innermost open element; empty outside all."""
        return self.open[-1][0] if self.open else ""

    def is_within(self, names: Iterable[str]) -> bool:
        """Say whether one of these elements is open."""
        return bool({name for name, _ in self.open} & set(names))


class _Check(_Walk):
    """Collect what is wrong, each with its line."""

    def __init__(self, shown_as: str, *, is_fragment: bool) -> None:
        super().__init__()
        self.shown_as = shown_as
        self.outermost = "mj-body" if is_fragment else ""
        self.mistakes: list[Mistake] = []

    def say(self, what: str, instead: str, line: int | None = None) -> None:
        self.mistakes.append(Mistake(self.shown_as, line or self.getpos()[0], what, instead))

    def begin(self, tag: str, attrs: Attributes) -> None:
        if tag in ATTRIBUTES:
            self._check_place(tag)
            self._check_attributes(tag, attrs)
        elif tag.startswith("mj"):
            why = WHY_NOT.get(tag) or nearest(tag, sorted(ATTRIBUTES))
            self.say(f"<{tag}> is not used here", why)
        elif tag not in HTML:
            self.say(f"<{tag}> has no place in a mail", nearest(tag, sorted(HTML)))
        elif not self.is_within(HOLDS_HTML):
            self.say(f"<{tag}> stands outside of mj-text", "put it into an <mj-text>")
        if tag in ("mj-image", "img") and not any(name == "alt" for name, _ in attrs):
            self.say("an image without alt", 'say what it shows, or write alt="" for ornament')
        if any(name.startswith("on") for name, _ in attrs):
            self.say(f"<{tag}> carries a script", "mails run none: remove it")

    def handle_endtag(self, tag: str) -> None:
        names = [name for name, _ in self.open]
        if tag not in names:
            self.say(f"</{tag}> closes nothing", "remove it or open it before")
        else:
            for name, line in self.open[len(names) - 1 - names[::-1].index(tag) + 1 :]:
                self.say(f"<{name}> is not closed", f"write </{name}> before </{tag}>", line)
        super().handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        words = WORD.sub("", data).strip()
        holds = self.is_within((*HOLDS_HTML, "mj-title", "mj-preview", "mj-style"))
        if words and not holds:
            line = self.getpos()[0] + data[: len(data) - len(data.lstrip())].count("\n")
            self.say(f"text outside of mj-text: {words[:30]!r}", "put it into an <mj-text>", line)

    def finish(self) -> list[Mistake]:
        for name, line in self.open:
            self.say(f"<{name}> is not closed", f"write </{name}>", line)
        return self.mistakes

    def _check_place(self, tag: str) -> None:
        around = self.within or self.outermost
        right = PARENTS.get(tag)
        if around == DEFAULTS_IN and tag not in ("mjml", "mj-head", "mj-body", "mj-attributes"):
            return
        if right is None and around:
            self.say(f"<{tag}> stands in <{around}>", "it is the outermost element")
        elif right is not None and around not in right:
            found = f"in <{around}>" if around else "outside of all"
            self.say(f"<{tag}> stands {found}", f"put it into <{'> or <'.join(sorted(right))}>")

    def _check_attributes(self, tag: str, attrs: Attributes) -> None:
        # Within mj-attributes an element's content attributes have no meaning, the others do.
        for name, _ in attrs:
            if name not in ATTRIBUTES[tag] and name != "clicktracking":
                what = f"<{tag}> has no attribute {name!r}"
                self.say(what, nearest(name, sorted(ATTRIBUTES[tag])))


class _Forms(_Walk):
    """Find the form of each tag's word from where it stands."""

    def __init__(self, protected: Protected, *, is_mjml: bool) -> None:
        super().__init__()
        self.protected = protected
        self.is_mjml = is_mjml
        self.forms: dict[int, Form] = {}

    def handle_data(self, data: str) -> None:
        for found in WORD.findall(data):
            number = int(found)
            self.forms[number] = self._form(number)

    def _form(self, number: int) -> Form:
        if self.is_mjml and self.within in HOLDS_ELEMENTS:
            return Form.RAW_COMMENT
        is_hidden = self.within in ("mj-title", "mj-preview", "title", "mj-style", "style")
        in_table = self.within in ("table", "tbody", "thead", "tfoot", "tr", "mj-table")
        if not is_hidden and (in_table or self.protected.is_control(number)):
            return Form.COMMENT
        return Form.WORD


class _Words(_Walk):
    """Write down what a mail says, for its text part; tags stay words."""

    _PARAGRAPHS = frozenset({"p", "div", "h1", "h2", "h3", "h4", "ul", "ol", "table", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.line: list[str] = []
        self.targets: list[tuple[str, int]] = []

    def begin(self, tag: str, attrs: Attributes) -> None:
        match tag:
            case "br" | "tr":
                self.line.append("\n")
            case "li":
                self.line.append("\n- ")
            case "td" | "th":
                self.line.append(" ")
            case "a" | "mj-button":
                self.targets.append((dict(attrs).get("href") or "", len(self.line)))
            case "mj-divider" if not self.is_within(("mj-head",)):
                self.said.append("\n* * *\n\n")
            case _ if tag in self._PARAGRAPHS:
                self.line.append("\n\n")

    def end(self, tag: str) -> None:
        if tag == "a" and self.targets:
            target, start = self.targets.pop()
            words = "".join(self.line[start:]).strip()
            if target and words != target:
                self.line.append(f" ({target})")
        elif tag == "mj-button" and self.targets:
            target, _ = self.targets.pop()
            self.line.append(f": {target}" if target else "")
        elif tag in self._PARAGRAPHS:
            self.line.append("\n\n")
        if tag in ("mj-text", "mj-button", "mj-table"):
            self._end_paragraph()

    def handle_data(self, data: str) -> None:
        if self.is_within(("mj-text", "mj-button", "mj-table")):
            self.line.append(re.sub(r"\s+", " ", data))
        elif not self.is_within(("mj-head", "mj-raw")):
            # Conditions between elements stand on lines of their own and vanish with them.
            self.said += [f"{found}\n" for found in _WHOLE_WORD.findall(data)]

    def _end_paragraph(self) -> None:
        text = "".join(self.line)
        text = re.sub(r" *\n *", "\n", re.sub(r"[ \xa0]+", " ", text))
        self.line = []
        self.said.append(f"{text.strip()}\n\n")


def check_mjml(text: str, *, shown_as: str, is_fragment: bool) -> list[Mistake]:
    """Give what is wrong in an MJML text whose tags are words and whose lines are kept."""
    check = _Check(shown_as, is_fragment=is_fragment)
    check.walk(text)
    return check.finish()


def forms_of(protected: Protected, *, is_mjml: bool) -> dict[int, Form]:
    """Give the form of every tag that stands in the content; those in attributes stay words."""
    forms = _Forms(protected, is_mjml=is_mjml)
    forms.walk(protected.text)
    return forms.forms


def text_of(protected: Protected) -> str:
    """Give what an MJML mail says as plain text, its texts and buttons in order."""
    words = _Words()
    words.walk(protected.text)
    return "".join(words.said)
