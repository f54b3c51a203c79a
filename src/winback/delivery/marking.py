"""What a text that we wrote may be known by in its provider's list (FACTS.md TW-34)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from winback.errors import TemplateError
from winback.messages.publishing import template_by_id
from winback.messages.rendering import render

_LINK = "/l/"


@dataclass(frozen=True, slots=True)
class Marks:
    """What a text may be known by, any one of them; nothing where nothing is left of its words."""

    markers: tuple[str, ...] = ()
    are_its_own: bool = False
    """Whether they stand in no other message, so that they prove by themselves."""


def marks_of(
    session: Session, template_version_id: int | None, context: Mapping[str, Any] | None
) -> Marks:
    """Give the most telling that stands in a text.

    Its own links, which no other message has; else the voucher's code, which another text may
    carry too; else its whole words, which another may share. Rendered again from what was stored
    at the claim, so that they are the same to the letter.
    """
    body = body_of(session, template_version_id, context)
    if context is None or body is None:
        return Marks()
    if links := tuple(link for link in _links(context) if link in body):
        return Marks(links, are_its_own=True)
    return Marks(tuple(code for code in _codes(context) if code in body) or (body,))


def body_of(
    session: Session, template_version_id: int | None, context: Mapping[str, Any] | None
) -> str | None:
    """Give the text of a message as it left, rendered from what was stored; None if that is gone.

    The plain part, where it is a mail.
    """
    if template_version_id is None or context is None:
        return None
    try:
        return render(template_by_id(session, template_version_id), context).text
    except TemplateError:
        return None


def _links(context: Mapping[str, Any]) -> Iterator[str]:
    links = context.get("links")
    for target in links.values() if isinstance(links, Mapping) else ():
        if isinstance(target, str) and _LINK in target:
            yield _LINK + target.rpartition(_LINK)[2]


def _codes(context: Mapping[str, Any]) -> Iterator[str]:
    voucher = context.get("voucher")
    if isinstance(voucher, Mapping) and voucher.get("code"):
        yield str(voucher["code"])
