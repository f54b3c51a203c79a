"""Make one message's words from a published template and a context: only Jinja runs here."""

from collections.abc import Mapping
from traceback import walk_tb
from typing import Any, Final

import jinja2
from jinja2 import TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError

from winback.errors import TemplateError
from winback.messages.context import in_order
from winback.messages.headers import one_line
from winback.messages.language import ready
from winback.messages.segments import plain_punctuation
from winback.messages.templates import PublishedTemplate, Rendered
from winback.messages.words import LANGUAGE, reader_locale
from winback.states import Channel

MAX_OUTPUT: Final = 200_000
MAX_TEXT: Final = 1_600
"""Characters of an SMS, as the provider takes them."""
_WRONG_VALUES: Final = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError)


def render(
    published: PublishedTemplate, context: Mapping[str, Any], *, is_in_order: bool = False
) -> Rendered:
    """Render one message; the same version and context always give the same bytes.

    ``context`` is what ``build_context`` gave, fresh or read back from the message's row; who has
    just built it of facts in order says so. Raises TemplateError, which names template and
    variable but no value of the customer.
    """
    running = dict(context) if is_in_order else in_order(context)
    running[LANGUAGE] = reader_locale(context, published.language)
    name = f"{published.campaign}/{published.template}"
    if published.channel is not Channel.EMAIL:
        return Rendered("", "", _text(published, running, name))
    subject = " ".join(_run(published.subject, running, name).split(" ")).strip()
    if not one_line(subject, f"subject of {name}"):
        raise TemplateError(f"{name}: the subject is empty")
    html = _run(published.html, running, name, autoescape=True)
    return Rendered(subject, html, tidy(_run(published.text, running, name)))


def tidy(text: str) -> str:
    """Give a text without blanks at line ends and with at most one empty line in a row."""
    # Splitting is several times faster than a pattern that tries every blank.
    text = "\n".join([line.rstrip() for line in text.split("\n")])
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip() + "\n"


def _text(published: PublishedTemplate, running: Mapping[str, Any], name: str) -> str:
    text = tidy(_run(published.text, running, name))
    if published.channel is not Channel.SMS:
        return text
    text = plain_punctuation(text).strip()
    if not text:
        raise TemplateError(f"{name}: the text is empty")
    if len(text) > MAX_TEXT:
        raise TemplateError(f"{name}: a text of {len(text)} characters, at most {MAX_TEXT} go out")
    return text


def _run(text: str, running: Mapping[str, Any], name: str, *, autoescape: bool = False) -> str:
    try:
        template = ready(text, autoescape=autoescape)
        return _gathered(template, running)
    except (TemplateError, jinja2.TemplateError, *_WRONG_VALUES) as wrong:
        raise TemplateError(f"{name}: {_why(wrong)}") from None


def first_failure(text: str, context: Mapping[str, Any], language: str) -> tuple[int, str] | None:
    """Give the line of a text that cannot be rendered, and why; None where all of it can.

    ``text`` is as its author wrote it; what is compiled from it has other lines.
    """
    running = {**in_order(context), LANGUAGE: reader_locale(context, language)}
    try:
        _gathered(ready(text, autoescape=False), running)
    except (TemplateError, jinja2.TemplateError, *_WRONG_VALUES) as wrong:
        # Jinja writes the template's own lines into the traceback.
        frames = walk_tb(wrong.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == "<template>"]
        return (lines[-1], _why(wrong)) if lines else None
    return None


def _why(wrong: Exception) -> str:
    match wrong:
        case UndefinedError() | SecurityError() | TemplateSyntaxError():
            return str(wrong.message)
        case TemplateError():
            return str(wrong)
        case _:
            # The sentence of such an error may quote a value of the customer; its kind may not.
            return f"a value cannot be used so ({type(wrong).__name__})"


def _gathered(template: jinja2.Template, running: Mapping[str, Any]) -> str:
    # Piece by piece, so that a loop over much text is cut off before it fills the memory.
    pieces: list[str] = []
    length = 0
    for piece in template.generate(running):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_OUTPUT:
            raise TemplateError(f"longer than {MAX_OUTPUT // 1000} KB")
    return "".join(pieces)
