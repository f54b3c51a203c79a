"""What a text that we wrote may be known by in its provider's list (FACTS.md TW-34)."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.orm import Session

from winback.errors import TemplateError
from winback.messages.publishing import template_by_id
from winback.messages.rendering import render

_LINK = "/l/"


def markers_of(
    session: Session, template_version_id: int | None, context: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Give what proves a text to be this very message, any one of them; nothing if none is left.

    The most telling that stands in it: its own links, which no other message has; else the
    voucher's code, which an earlier text may have carried too; else its whole words. Rendered
    again from what was stored at the claim, so that they are the same to the letter.
    """
    if context is None:
        return ()
    body = body_of(session, template_version_id, context)
    if body is None:
        return ()
    for markers in (_links(context), _codes(context)):
        if standing := tuple(marker for marker in markers if marker in body):
            return standing
    return (body,)


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
